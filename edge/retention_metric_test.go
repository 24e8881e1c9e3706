package edge_test

import (
	"bytes"
	"testing"
)

// The metrics say how long each kind is kept that goes by age, so that an alert can hold
// the oldest to it; of a policy's own, not of a market with a shorter one.
func TestRetentionMetric(t *testing.T) {
	n := startNode(t, "", `
retention: {exposures: 60d, purchases: 100d}
markets: [{name: short, countries: [USA], require: none, retention: {exposures: 30d}}, {name: all, require: none}]
campaigns: {a: {advertiser: b, hold: 2m}}
`, nil)
	const day = 86400
	for kind, want := range map[string]float64{"exposures": 60 * day, "purchases": 100 * day, "hidden_campaigns": 90 * day, "holds": 120, "reports": 3 * day} {
		if got := n.metric(`restraint_retention_seconds{kind="` + kind + `"}`); got != want {
			t.Errorf("%s: %v, not %v", kind, got, want)
		}
	}
	if _, body := n.do("GET", "/metrics", "", ""); bytes.Count(body, []byte("restraint_retention_seconds{")) != 5 {
		t.Error("there are others, or some twice")
	}
	const oldest = `restraint_oldest_seconds{kind="reports"}`
	if _, body := n.do("GET", "/metrics", "", ""); bytes.Contains(body, []byte(oldest)) {
		t.Error("of nothing there is an oldest")
	}
	n.event(`{"type":"hide","user":{"id":"u-1"},"campaign":"a"}`)
	if age := n.metric(oldest); age < 0 || age > day {
		t.Errorf("a report of today is of %v s ago", age)
	}
}
