package edge

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every time is counted in the bucket of the first bound that it is not over, also just
// beside each bound and where no bound is.
func TestLatencyBuckets(t *testing.T) {
	if !slices.IsSorted(latencyBounds[:]) {
		t.Fatal("the bounds are not in order")
	}
	took := []time.Duration{0, 1, math.MaxInt64, time.Minute}
	for _, bound := range latencyBounds {
		took = append(took, bound-1, bound, bound+1)
	}
	for n := range 63 {
		took = append(took, 1<<n-1, 1<<n, 1<<n+1)
	}
	for _, d := range took {
		var l latency
		l.note(d)
		want := slices.IndexFunc(latencyBounds[:], func(bound time.Duration) bool { return d <= bound })
		if want < 0 {
			want = len(latencyBounds)
		}
		if got := l.read(); got[want] != 1 || got.requests() != 1 {
			t.Errorf("%d ns are in %v, want bucket %d", d, got, want)
		}
	}
}

// The histogram is written as Prometheus reads it: buckets up to each bound, all of them
// in the last one, the sum in seconds; a time before the request is none.
func TestLatencyWritten(t *testing.T) {
	var l latency
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, d := range []time.Duration{900, 1000, 1001, 2 * time.Second} {
				l.note(d)
			}
		})
	}
	all.Wait()
	l.since(time.Now().Add(time.Hour))
	var out bytes.Buffer
	l.write(&out, "took_seconds")
	for _, line := range []string{
		`took_seconds_bucket{le="1e-06"} 9`, `took_seconds_bucket{le="1.5e-06"} 13`, `took_seconds_bucket{le="0.01"} 13`, `took_seconds_bucket{le="1"} 13`,
		`took_seconds_bucket{le="+Inf"} 17`, fmt.Sprintf("took_seconds_sum %g", 4*(2901+2e9)/1e9), `took_seconds_count 17`,
	} {
		if !strings.Contains("\n"+out.String(), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

// BenchmarkLatency counts from all processors at once.
func BenchmarkLatency(b *testing.B) {
	var l latency
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l.note(time.Duration(2000 + i%8000))
		}
	})
}
