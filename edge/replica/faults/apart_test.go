package faults

import "testing"

// NATS is away while everybody's requests go to all nodes: how much is shown beyond a cap is bounded, and it is none as soon as the nodes
// have heard of one another again.
func TestOverDeliveryWhileApart(t *testing.T) {
	c := newCluster(t)
	for range rounds(2, 20) {
		for _, w := range c.workers {
			w.work.there = true
			w.work.base += w.work.users / 2 // some who have had everything, and some new ones
		}
		c.during(t, func() { c.awaitMore(t, 50) })
		c.verify(t)
		known := map[pair]int{}
		before := c.history.byNode(impression)
		for p := range before {
			known[p] = c.history.acknowledged(impression, p)
		}
		c.broker.kill(t)
		shows := len(c.history.shownAll())
		c.during(t, func() {
			until(t, "something is shown beyond a cap", func() bool { return measureOvershoot(c.history.shownAll()[shows:], tightLimit).over > 0 })
			c.awaitMore(t, 500)
		})
		after := c.history.byNode(impression)
		if wrong := checkApart(known, tightOnly(before), tightOnly(after), tightLimit); len(wrong) > 0 {
			t.Error(few(wrong))
		}
		apart := measureOvershoot(c.history.shownAll()[shows:], tightLimit)
		c.broker.start(t)
		c.verify(t)
		c.set(true)
		shows = len(c.history.shownAll())
		asked := c.history.totals().asked
		c.during(t, func() { c.awaitMore(t, 300) })
		c.set(false)
		together := measureOvershoot(c.history.shownAll()[shows:], tightLimit)
		if asked = c.history.totals().asked - asked; together.over > 0 || asked < 20 {
			t.Errorf("asked %d times after all nodes knew all: %d of %d shown over the cap", asked, together.over, together.shown)
		}
		c.verify(t)
		t.Logf("%d of %d over the cap while apart, %d of %d after, asked %d times", apart.over, apart.shown, together.over, together.shown, asked)
	}
	c.summary(t)
}

// set says whether a person's requests go to one node always.
func (c *cluster) set(sticky bool) {
	for _, w := range c.workers {
		w.work.sticky = sticky
	}
}

// tightOnly keeps the pairs whose campaign has the cap that is looked at.
func tightOnly(all map[pair]map[string]int) map[pair]map[string]int {
	kept := map[pair]map[string]int{}
	for p, at := range all {
		if p.of == tightCampaign {
			kept[p] = at
		}
	}
	return kept
}
