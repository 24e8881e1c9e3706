package loadtest

import (
	"strings"
	"testing"
)

func TestParseSLO(t *testing.T) {
	for text, want := range map[string]SLO{
		"p99<1ms":        {"p99<1ms", "p99", 1000, false},
		" p99.99 <= 2s ": {"p99.99<=2s", "p99.99", 2e6, true},
		"max<500us":      {"max<500us", "max", 500, false},
		"errors<0.1%":    {"errors<0.1%", "errors", 0.1, false},
		"errors<=0%":     {"errors<=0%", "errors", 0, true},
	} {
		if got, err := ParseSLO(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "p99", "p98<1ms", "p99>1ms", "p99<1", "p99<-1ms", "p99<0ms", "errors<1", "errors<1ms", "errors<200%", "p99<1%", "p99<1ms,max<2ms", "p99<1..0ms"} {
		if got, err := ParseSLO(text); err == nil || !strings.Contains(err.Error(), "p99<1ms") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestSLOJudges(t *testing.T) {
	r := &Report{Errors: []Count{{"timeout", 2}, {"http_503", 1}}}
	r.Requests.Offered = 1000
	r.Latency.Corrected = Percentiles{MeanUS: 1, P50US: 2, P75US: 3, P90US: 4, P95US: 5, P99US: 1000, P999US: 2000, P9999US: 3000, MaxUS: 4000}
	for text, pass := range map[string]bool{
		"p99<1ms": false, "p99<=1ms": true, "p99<1001us": true, "mean<=1us": true, "p50<=2us": true, "p75<=3us": true, "p90<=4us": true, "p95<5us": false,
		"p99.9<2ms": false, "p99.99<3.1ms": true, "max<4ms": false, "errors<0.3%": false, "errors<=0.3%": true, "errors<1%": true,
	} {
		s, err := ParseSLO(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.judge(r); got.Pass != pass {
			t.Errorf("%s: %+v", text, got)
		}
	}
	s, _ := ParseSLO("errors<1%")
	if s.judge(&Report{}).Pass {
		t.Error("a run of nothing meets an objective")
	}
	s, _ = ParseSLO("p99<1ms")
	if got := s.judge(r).String(); got != "p99<1ms missed: 1.00 ms" {
		t.Error(got)
	}
}
