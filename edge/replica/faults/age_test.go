package faults

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// agedCluster keeps events for the shortest time that a node may be told to.
func agedCluster(t *testing.T) *cluster {
	t.Helper()
	c := newClusterOf(t, clusterOptions{flags: []string{"--nats-max-age", "12s"}})
	if age := c.broker.streams()[eventsStream].Config.MaxAge; age != 12*time.Second {
		t.Fatalf("the stream keeps events for %v, and was to be made with 12s", age)
	}
	return c
}

// awaitAged waits until the stream has none of the messages any more that it had.
func (c *cluster) awaitAged(t *testing.T, last uint64) {
	t.Helper()
	until(t, "all messages of the time have gone from the stream", func() bool {
		s, there := c.broker.streams()[eventsStream]
		return there && s.State.First > last
	})
}

// lastEvent is the sequence of the last message of the stream of events.
func (c *cluster) lastEvent(t *testing.T) uint64 {
	t.Helper()
	s, there := c.broker.streams()[eventsStream]
	if !there {
		t.Fatal("the server does not say how its streams stand")
	}
	return s.State.Last
}

// A node is down until the stream has dropped all that it missed. It takes it from another node's copy, and is ready when it has it.
func TestNodeDownPastAge(t *testing.T) {
	c := agedCluster(t)
	n := c.nodes[c.random.IntN(3)]
	for range rounds(1, 5) {
		c.during(t, func() { n.kill(t) })
		before := c.lastEvent(t)
		c.during(t, func() { c.awaitMore(t, 500) })
		missed := c.lastEvent(t)
		if missed <= before {
			t.Fatalf("nothing was stored while the node was down: %d, %d", before, missed)
		}
		c.awaitAged(t, missed)
		taken := n.logged("took the snapshot of another node")
		n.start(t)
		if n.logged("took the snapshot of another node") == taken {
			t.Error("ready, and has not taken the snapshot of another node")
		}
		if wrong := c.findings(t, 0); len(wrong) > 0 {
			t.Errorf("ready, but not caught up:%s", few(wrong))
		}
		c.verify(t)
	}
	c.summary(t)
}

// All nodes are down until the stream has dropped what one of them missed, and that one comes back first, and alone: it is whole, or not
// ready and says that there is a gap. Where the others had been stopped, they have everything, and it gets what it lacks as soon as they are
// back. Where they were killed, each may lack the last of what the others did, as no snapshot had it yet, and has to say so.
func TestNodesDownPastAge(t *testing.T) {
	for name, end := range map[string]func(*process, testing.TB){"stopped": (*process).terminate, "killed": (*process).kill} {
		t.Run(name, func(t *testing.T) {
			c := agedCluster(t)
			n := c.nodes[c.random.IntN(3)]
			others := slices.DeleteFunc(slices.Clone(c.nodes), func(o *node) bool { return o == n })
			c.during(t, func() { n.kill(t) })
			c.during(t, func() {
				c.awaitMore(t, 500)
				for _, o := range others {
					end(&o.process, t)
				}
			})
			c.awaitAged(t, c.lastEvent(t))
			n.startAnswering(t)
			if c.wholeOrGap(t, n) {
				t.Errorf("%s is ready, and nobody was there from whom to take what it missed", n.name)
			}
			for _, o := range others {
				o.startAnswering(t)
			}
			if name == "stopped" {
				for _, o := range c.nodes {
					o.awaitReady(t)
				}
				c.verify(t)
			} else {
				for _, o := range c.nodes {
					c.wholeOrGap(t, o)
				}
			}
			c.summary(t)
		})
	}
}

// wholeOrGap waits until the node is ready, and then has everything, or is not and says that messages have gone; it returns which.
func (c *cluster) wholeOrGap(t *testing.T, n *node) (whole bool) {
	t.Helper()
	var unmet []condition
	until(t, n.name+" is ready, or not and says that messages have gone", func() bool {
		whole, unmet = n.ready(t)
		return whole || slices.ContainsFunc(unmet, func(c condition) bool {
			return c.Name == "stream_events" && strings.Contains(c.Detail, "have gone")
		})
	})
	if !whole {
		t.Logf("%s tells: %+v", n.name, unmet)
		return false
	}
	alone := load{nodes: []*node{n}, history: c.history}
	if wrong := alone.findings(t, 0); len(wrong) > 0 {
		t.Errorf("%s is ready, without what others had acknowledged:%s", n.name, few(wrong))
	}
	return true
}
