package loadtest

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestFindKnee(t *testing.T) {
	f := newLoadNode(t)
	// Over 60 requests in a window, some fail.
	f.fail = func(n int) int {
		if n > 60 && n%4 == 0 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	o := f.options()
	o.Config.Mix = []Weight{{"decide", 1}}
	o.FindKnee, o.SLOs = true, []SLO{mustSLO(t, "errors<1%")}
	o.Config.Rate, o.Config.DurationSeconds = 50, 0.2
	var said []string
	o.Progress = func(text string) {
		said = append(said, text)
		if strings.HasPrefix(text, "connecting") || strings.Contains(text, "/s") { // a step begins
			f.mu.Lock()
			f.decides = 0
			f.mu.Unlock()
		}
	}
	r := mustLoad(t, o)
	k := r.Knee
	if k == nil || k.LimitedBy != "slo" && k.LimitedBy != "generator" {
		t.Fatalf("%+v", k)
	}
	if k.LimitedBy == "slo" && (k.Rate < 250 || k.Rate > 330 || k.BrokeAt <= k.Rate || k.BrokeAt > 1.06*k.Rate || r.Config.Rate != k.Rate || r.Outcome != OutcomePass) {
		t.Errorf("knee at %g, broke at %g, report at %g %s", k.Rate, k.BrokeAt, r.Config.Rate, r.Outcome)
	}
	if len(k.Steps) < 6 || !strings.Contains(strings.Join(said, "\n"), k.Steps[0].String()) {
		t.Errorf("%d steps, said %q", len(k.Steps), said)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "met the objectives") {
		t.Errorf("%v\n%s", err, text.String())
	}
	f.fail = every(1, http.StatusServiceUnavailable)
	if k := mustLoad(t, o).Knee; k.Rate != 0 || k.BrokeAt > 2 {
		t.Errorf("a node that fails always: %+v", k)
	}
}
