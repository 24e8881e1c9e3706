package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// reported is how often decisions on a campaign are in a node's report.
func (n *node) reported(t testing.TB, campaign string) (decisions int) {
	t.Helper()
	status, answer, err := n.do(http.MethodGet, "/v1/report?by=campaign&campaign="+campaign, "", "")
	var r struct {
		Rows []struct{ Decisions int }
	}
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal([]byte(answer), &r)
	}
	if err != nil || status != http.StatusOK || len(r.Rows) > 1 {
		t.Fatalf("report of %s: %d %v %s", n.name, status, err, answer)
	}
	for _, row := range r.Rows {
		decisions += row.Decisions
	}
	return decisions
}

// asked has a node decide so many times on the campaign.
func (n *node) asked(t testing.TB, campaign string, times int) {
	t.Helper()
	candidates := strings.Repeat(fmt.Sprintf(`,{"campaign":%q}`, campaign), times)[1:]
	if d, err := n.decide("somebody", candidates, ""); err != nil || len(d.Decisions) != times {
		t.Fatalf("%d decisions, %v", len(d.Decisions), err)
	}
}

// The counts of three nodes sum, on each of them; what was written is not lost by kill -9, and a restart does not double it; a node that was
// cut off is included once it is back; one that lost its disk gets back what it had told the others.
func TestReportOfACluster(t *testing.T) {
	const campaign = tightCampaign
	c := newCluster(t)
	total := 0
	ask := func(i, times int) {
		t.Helper()
		c.nodes[i].asked(t, campaign, times)
		total += times
	}
	agreed := func(what string) {
		t.Helper()
		for _, n := range c.nodes {
			until(t, fmt.Sprintf("%d decisions in the report of %s, %s", total, n.name, what), func() bool {
				got := n.reported(t, campaign)
				if got > total {
					t.Fatalf("%d decisions in the report of %s, %s; there were %d", got, n.name, what, total)
				}
				return got == total
			})
		}
	}
	for i := range c.nodes {
		ask(i, 20*(i+1))
	}
	agreed("at peace")

	c.nodes[1].kill(t)
	c.nodes[1].start(t)
	agreed("after kill -9")
	ask(1, 30)
	agreed("of another start")

	p := c.proxies[2]
	before := p.stats()
	p.cut()
	ask(2, 50)
	ask(0, 10)
	until(t, "bytes swallowed", func() bool { return p.stats().swallowed[toServer] > before.swallowed[toServer] })
	if got := c.nodes[2].reported(t, campaign); got != total-10 {
		t.Errorf("%d decisions in the report of the node that is cut off, want %d", got, total-10)
	}
	c.heal()
	agreed("after the cut was healed")

	c.nodes[0].kill(t)
	if err := os.RemoveAll(c.nodes[0].data()); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].startAsAnother(t)
	agreed("after a disk was lost")
	ask(0, 15)
	agreed("on the new disk")
}
