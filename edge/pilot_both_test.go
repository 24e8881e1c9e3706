package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What only the policy that is tried out has is seen wherever one looks: a campaign of its
// own that is dialled back, in reviews, in the metric and in a look-up; how long it keeps
// what people say; and a market of its own in the report.
func TestPilotIsSeenEverywhere(t *testing.T) {
	n := startNode(t, "", strings.Replace(dialPolicy, "dial_back: {window: 24h,", "dial_back: off #", 1), nil)
	tried := strings.Replace(dialPolicy, "window: 24h", "window: 30d", 1)
	tried = strings.Replace(tried, "{name: rest,", "{name: isles, countries: [ISL], require: none}, {name: rest,", 1)
	n.must(200, "PUT", "/v1/policy?pilot=100", "application/yaml", tried+"  slippers: {advertiser: acme}\n", nil)
	now := time.Now().Unix()
	var tokens []string
	for i := range 12 {
		var a struct{ Token string }
		n.must(200, "POST", "/v1/decide", "application/json", fmt.Sprintf(`{"user":{"id":"p-%d"},"device":{"geo":{"country":"ISL"}},"candidates":[{"campaign":"slippers"}],"want":1,"token":true}`, i), &a)
		n.must(204, "GET", "/v1/impression?campaign=slippers&t="+a.Token, "", "", nil)
		tokens = append(tokens, a.Token)
	}
	for _, token := range tokens {
		n.must(204, "POST", "/v1/hide?campaign=slippers&t="+token, "", "", nil)
	}
	n.event(fmt.Sprintf(`{"type":"complaint","user":{"id":"p-1"},"device":{"geo":{"country":"ISL"}},"campaign":"slippers","at":%d}`, now))
	eventually(t, "that it is dialled back", func() bool { return n.review("slippers").Level == "paused" })
	if r := n.review("slippers"); !r.InForce {
		t.Errorf("%+v", r)
	}
	_, metrics := n.do("GET", "/metrics", "", "")
	if line := `restraint_campaigns_dialled_back{level="paused"} 1`; !strings.Contains(string(metrics), line) {
		t.Errorf("the metrics have no %s", line)
	}
	var retention struct {
		Kept []struct {
			Kind    string
			Seconds uint32
		}
	}
	n.must(200, "GET", "/v1/retention", "", "", &retention)
	for _, k := range retention.Kept {
		if k.Kind == "reports" && k.Seconds < 30*24*60*60 {
			t.Errorf("reports are kept for %d s, it says", k.Seconds)
		}
	}
	var held struct {
		Reports []struct{ Campaign, Kind string }
	}
	n.must(200, "POST", "/v1/users/lookup", "application/json", `{"user":{"id":"p-1"}}`, &held)
	if len(held.Reports) != 2 || held.Reports[0].Campaign != "slippers" {
		t.Errorf("%+v", held)
	}
	r := n.report("by=market&campaign=slippers")
	if row := r.row(t); row.Market != "isles" || row.Impressions != 12 || row.Hides != 12 {
		t.Errorf("%+v", r)
	}
}
