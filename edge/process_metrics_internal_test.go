package edge

import (
	"bytes"
	"math"
	rt "runtime/metrics"
	"slices"
	"strings"
	"testing"
)

// The bounds are the runtime's own, so that no bucket of it is cut in two.
func TestRuntimeBounds(t *testing.T) {
	samples := []rt.Sample{{Name: "/sched/latencies:seconds"}, {Name: "/sched/pauses/total/gc:seconds"}}
	rt.Read(samples)
	for _, s := range samples {
		for _, bound := range runtimeBounds {
			if !slices.ContainsFunc(s.Value.Float64Histogram().Buckets, func(b float64) bool { return math.Abs(b-bound) <= 1e-9*bound }) {
				t.Errorf("%s has no bound %v", s.Name, bound)
			}
		}
	}
	for _, m := range runtimeMetrics {
		if s := []rt.Sample{{Name: m.from}}; !slices.ContainsFunc(rt.All(), func(d rt.Description) bool { return d.Name == m.from }) {
			t.Errorf("this runtime has no %s", s[0].Name)
		}
	}
}

// Buckets add up to the count, and the sum is of the middles.
func TestRuntimeHistogram(t *testing.T) {
	var out bytes.Buffer
	writeRuntimeHistogram(&out, "x", &rt.Float64Histogram{
		Counts: []uint64{0, 2, 0, 4, 1}, Buckets: []float64{math.Inf(-1), 0, 1.024e-06, 6.5536e-05, 1, math.Inf(1)},
	})
	for _, want := range []string{
		"x_bucket{le=\"1.024e-06\"} 2\n", "x_bucket{le=\"6.5536e-05\"} 2\n", "x_bucket{le=\"0.268435456\"} 6\n", "x_bucket{le=\"2.147483648\"} 7\n", "x_bucket{le=\"+Inf\"} 7\n",
		"x_sum 3.00013", "x_count 7\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nlacks %s", out.String(), want)
		}
	}
	if n := strings.Count(out.String(), "_bucket"); n != len(runtimeBounds)+1 {
		t.Errorf("%d buckets", n)
	}
}
