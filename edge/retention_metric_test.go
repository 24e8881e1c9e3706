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
	for kind, want := range map[string]float64{"exposures": 60 * day, "purchases": 100 * day, "hidden_campaigns": 90 * day, "holds": 120} {
		if got := n.metric(`restraint_retention_seconds{kind="` + kind + `"}`); got != want {
			t.Errorf("%s: %v, not %v", kind, got, want)
		}
	}
	if _, body := n.do("GET", "/metrics", "", ""); bytes.Count(body, []byte("restraint_retention_seconds{")) != 4 {
		t.Error("there are others, or some twice")
	}
}
