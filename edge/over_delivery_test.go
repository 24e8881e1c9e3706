package edge_test

import (
	"fmt"
	"testing"
	"time"
)

const overPolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
campaigns:
  shoes:
    advertiser: acme
    caps: [{per: campaign, limit: 3, within: 24h}, {per: advertiser, limit: 5, within: month}, {per: campaign, channel: email, limit: 1, within: week}]
  boots: {advertiser: acme, caps: [{per: advertiser, limit: 4, within: month}, {per: item, limit: 1, within: 1h}]}
`

// overLimit is what a node counts over limits, and how many exposures it knows of.
func (n *node) overLimit() string {
	return fmt.Sprint(n.metric("restraint_exposures_over_limit_total"), " of ", n.metric("restraint_exposures_total"))
}

// What is shown over a cap is counted, by the campaign's own limits, whoever showed it.
func TestOverDelivery(t *testing.T) {
	n := startNode(t, "", overPolicy, nil)
	report := func(user, campaign, more string) {
		n.event(`{"type":"impression","user":{"id":"` + user + `"},"campaign":"` + campaign + `"` + more + `}`)
	}
	steps := []struct{ user, campaign, more, want string }{
		{"u-1", "shoes", "", "0 of 1"},
		{"u-1", "shoes", "", "0 of 2"},
		{"u-1", "shoes", "", "0 of 3"},
		{"u-1", "shoes", "", "1 of 4"}, // the campaign's fourth
		{"u-2", "shoes", "", "1 of 5"},
		{"u-1", "boots", "", "2 of 6"}, // of the advertiser's four no more for boots
		{"u-3", "shoes", `,"channel":"email"`, "2 of 7"},
		{"u-3", "shoes", `,"channel":"web"`, "2 of 8"},   // not in that channel
		{"u-3", "shoes", `,"channel":"email"`, "3 of 9"}, // a second in it
		{"u-4", "boots", `,"item":"i"`, "3 of 10"},
		{"u-4", "boots", `,"item":"i"`, "3 of 11"}, // caps of items are not looked at
		{"u-5", "unheard-of", "", "3 of 12"},
	}
	for i, s := range steps {
		report(s.user, s.campaign, s.more)
		if got := n.overLimit(); got != s.want {
			t.Fatalf("after step %d: %s are over, not %s", i, got, s.want)
		}
	}
	again := fmt.Sprintf(`{"type":"impression","id":"i-1","user":{"id":"u-2"},"campaign":"shoes","at":%d}`, time.Now().Unix())
	n.event(again)
	n.event(again)
	if got := n.overLimit(); got != "3 of 13" {
		t.Errorf("one that is reported again: %s", got)
	}
	raised := `{campaigns: {shoes: {advertiser: acme, caps: [{per: campaign, limit: 9, within: 24h}]}}, markets: [{name: e, require: none}], timezone: UTC}`
	n.must(200, "PUT", "/v1/policy", "application/yaml", raised, nil)
	for range 4 {
		report("u-6", "shoes", "")
	}
	if got := n.overLimit(); got != "3 of 17" {
		t.Errorf("under a raised limit: %s", got)
	}
}

// Nodes that are cut off from each other each show what is allowed; once they hear of each
// other again, each of them knows how many were too many.
func TestOverDeliveryOfNodesApart(t *testing.T) {
	c := newDialCluster(t, dialPolicy, 2)
	a, b := c.nodes[0], c.nodes[1]
	b.wire.cutOff(t, true)
	for range 3 {
		a.shownTo("p-1", "p-2")
	}
	b.shownTo("p-1", "p-1")
	for _, n := range []*dialled{a, b} {
		if over := n.metric("restraint_exposures_over_limit_total"); over != 0 {
			t.Fatalf("%s knows of %v over the limit, alone", n.name, over)
		}
	}
	b.wire.cutOff(t, false) // four of the five to p-1 are allowed
	for _, n := range []*dialled{a, b} {
		if got := n.overLimit(); got != "1 of 8" {
			t.Errorf("%s: %s are over, not 1 of 8", n.name, got)
		}
	}
}
