package loadtest

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func metricsText(counts [4]int, sum, cpu float64) string {
	var b strings.Builder
	total := 0
	fmt.Fprintf(&b, "# a comment\nrestraint_build_info{version=\"v1\",goversion=\"go1.26\"} 1\n")
	for i, le := range []string{"1e-05", "0.0001", "0.001", "+Inf"} {
		total += counts[i]
		fmt.Fprintf(&b, "restraint_decide_duration_seconds_bucket{le=%q} %d\n", le, total)
	}
	fmt.Fprintf(&b, "restraint_decide_duration_seconds_sum %g\nrestraint_decide_duration_seconds_count %d\n", sum, total)
	fmt.Fprintf(&b, "process_cpu_seconds_total %g\nprocess_resident_memory_bytes 1048576\nother{a=\"b c\"} 5\n", cpu)
	return b.String()
}

func mustScrape(t *testing.T, text string) *scrape {
	t.Helper()
	s, err := parseScrape([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestScrapeDifference(t *testing.T) {
	before := mustScrape(t, metricsText([4]int{100, 10, 5, 1}, 1, 2))
	after := mustScrape(t, metricsText([4]int{600, 410, 104, 2}, 3, 4.5))
	s, ok := after.since(before, 500)
	if !ok || s.Decides != 1000 || after.version != "v1" {
		t.Fatalf("%+v", s)
	}
	for name, c := range map[string][2]float64{
		"mean": {s.MeanUS, 2000}, "p50": {s.P50US, 10}, "p99": {s.P99US, 100 + 900*90.0/99}, "CPU a request": {s.CPUUSPerRequest, 5000},
		"memory": {float64(s.ResidentBytes), 1 << 20}, "first": {float64(s.Buckets[0].Count), 500}, "last": {float64(s.Buckets[3].Count), 1}, "no end": {s.Buckets[3].UpToUS, 0},
		"p99.9": {s.P999US, 1000},
	} {
		if math.Abs(c[0]-c[1]) > 1e-6*c[1] {
			t.Errorf("%s is %g, not %g", name, c[0], c[1])
		}
	}
	if _, ok := before.since(after, 1); ok {
		t.Error("counters that went down are taken")
	}
	if s, ok := after.since(&scrape{}, 1); !ok || s.Decides != 1116 {
		t.Errorf("a histogram that had not begun: %+v", s)
	}
	if _, ok := mustScrape(t, "up 1\n").since(&scrape{}, 1); ok {
		t.Error("no histogram is one")
	}
	other := mustScrape(t, strings.ReplaceAll(metricsText([4]int{}, 0, 0), "1e-05", "2e-05"))
	if _, ok := after.since(other, 1); ok {
		t.Error("other buckets are taken")
	}
}

func TestScrapeRefuses(t *testing.T) {
	good := metricsText([4]int{1, 1, 1, 1}, 1, 1)
	for _, c := range [][2]string{{"_count 4", "_count four"}, {`le="0.001"} 3`, `le="0.001"} 1`}, {`le="+Inf"`, `le="1"`}, {`le="1e-05"`, `le="3"`}} {
		if _, err := parseScrape([]byte(strings.Replace(good, c[0], c[1], 1))); err == nil {
			t.Errorf("%s is taken", c[1])
		}
	}
}

func FuzzScrape(f *testing.F) {
	f.Add([]byte(metricsText([4]int{1, 2, 3, 4}, 1, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseScrape(text); err == nil && s.hasHistogram {
			s.since(&scrape{}, 1)
		}
	})
}
