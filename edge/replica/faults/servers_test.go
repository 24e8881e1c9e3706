package faults

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// The scenarios of this file have three nodes and three NATS servers, which keep three copies of everything.

// withoutLeader kills the leader of a stream under load, does something while the others elect another, waits for that one, and starts the
// server again. Events are acknowledged all the while.
func (c *cluster) withoutLeader(t *testing.T, stream string, meanwhile func()) {
	t.Helper()
	before := c.leader(t, stream)
	acknowledged := c.history.totals().acknowledged
	before.kill(t)
	for _, n := range c.nodes {
		c.staysReady(t, n)
	}
	meanwhile()
	after := c.leader(t, stream)
	if got := c.history.totals().acknowledged; after == before || got == acknowledged {
		t.Errorf("%s was led by %s and is led by %s, %d events acknowledged meanwhile", stream, before.name, after.name, got-acknowledged)
	}
	c.awaitMore(t, 200)
	before.start(t)
}

// The leader of each stream is killed with -9 under load, and comes back when another leads.
func TestLeaderKilled(t *testing.T) {
	c := newClusterOf(t, clusterOptions{servers: 3})
	streams := c.random.Perm(2)
	for round := range rounds(1, 20) {
		stream := []string{eventsStream, refusalsStream}[streams[round%2]]
		c.during(t, func() {
			c.withoutLeader(t, stream, func() {})
			c.awaitMore(t, 50)
		})
		c.verify(t)
		c.awaitCopies(t)
	}
	c.summary(t)
}

// Holds do not go by the streams: a node hears of another's while no server leads the stream of events.
func TestHoldsWithoutLeader(t *testing.T) {
	c := newClusterOf(t, clusterOptions{servers: 3})
	heard := 0
	for round := 0; heard == 0 && round < rounds(6, 20); round++ {
		c.during(t, func() {
			c.withoutLeader(t, eventsStream, func() {
				for i := 0; c.leading(eventsStream) == nil; i++ {
					from := c.random.IntN(3)
					user := fmt.Sprintf("held-%d-%d", round, i)
					if c.holdsAll(t, c.nodes[from], c.nodes[(from+1)%3], user) && c.leading(eventsStream) == nil {
						heard++
					}
				}
			})
		})
		c.verify(t)
		c.awaitCopies(t)
	}
	if heard == 0 {
		t.Error("no hold was seen on another node while the stream of events had no leader")
	}
	t.Logf("%d times all places held on one node were seen on another while there was no leader", heard)
	c.summary(t)
}

// holdsAll holds all places of a new person on one node, and says whether another sees none left within a moment. Nothing but holds says so.
func (c *cluster) holdsAll(t *testing.T, from, to *node, user string) bool {
	t.Helper()
	candidate := fmt.Sprintf(`{"campaign":%q}`, tightCampaign)
	for range tightLimit {
		d, err := from.decide(user, candidate, `,"want":1,"hold":true`)
		if err != nil || len(d.Decisions) != 1 || !d.Decisions[0].Show {
			t.Fatalf("%s does not hold a place of %s, who is new: %+v %v", from.name, user, d, err)
		}
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); pause() {
		d, err := to.decide(user, candidate, "")
		if err != nil || len(d.Decisions) != 1 {
			t.Fatalf("%s on %s: %+v %v", to.name, user, d, err)
		}
		if !d.Decisions[0].Show {
			return d.Decisions[0].Reason == "cap"
		}
	}
	return false
}

// Two of three servers are away: nothing can be stored, so events wait at the nodes, and changes of the policy are refused. One that the
// server which is left had written down may come into force when it is no longer alone, on all nodes or on none.
func TestNoQuorum(t *testing.T) {
	c := newClusterOf(t, clusterOptions{servers: 3})
	policies := policyPuts()
	policies.next(c.nodes[0])
	policies.inForce(t, c.nodes)
	for range rounds(1, 10) {
		left := c.brokers[c.random.IntN(3)]
		c.during(t, func() {
			for _, b := range c.others(left) {
				b.kill(t)
			}
			c.awaitMore(t, 100)
			stored := left.streams()[eventsStream].State.Last
			c.awaitMore(t, 500)
			if now := left.streams()[eventsStream].State.Last; now != stored || stored == 0 {
				t.Errorf("the server that is left had stored %d messages and has %d now: it has no quorum", stored, now)
			}
			for _, n := range c.nodes {
				c.staysReady(t, n)
			}
			refused := policies.refused
			policies.next(c.nodes[c.random.IntN(3)])
			if policies.refused == refused {
				t.Error("a policy that nobody can store is not refused")
			}
			for _, b := range c.others(left) {
				b.start(t)
			}
		})
		c.verify(t)
		policies.inForce(t, c.nodes)
		c.awaitCopies(t)
	}
	c.summary(t)
}

// A server loses its disk and comes back with nothing; then it is one of the two that are left.
func TestServerLostItsStore(t *testing.T) {
	c := newClusterOf(t, clusterOptions{servers: 3})
	for range rounds(1, 8) {
		wiped := c.brokers[c.random.IntN(3)]
		c.during(t, func() {
			c.awaitMore(t, 100)
			wiped.kill(t)
			c.awaitMore(t, 100)
			replaceDir(t, wiped.store(), t.TempDir())
			wiped.start(t)
			c.awaitMore(t, 100)
		})
		c.awaitCopies(t)
		other := c.others(wiped)[c.random.IntN(2)]
		c.during(t, func() {
			other.kill(t)
			before := c.leader(t, eventsStream).streams()[eventsStream].State.Last
			until(t, "more is stored with the server that had lost everything", func() bool { return wiped.streams()[eventsStream].State.Last > before })
			other.start(t)
		})
		c.verify(t)
		c.awaitCopies(t)
	}
	c.summary(t)
}

// All servers are restarted under load, one after the other, as for an update.
func TestServersRestartedInTurn(t *testing.T) {
	c := newClusterOf(t, clusterOptions{servers: 3})
	for range rounds(1, 10) {
		led := map[string]bool{}
		c.during(t, func() {
			for _, b := range c.brokers {
				led[c.leader(t, eventsStream).name] = true
				pid := b.pid()
				b.terminate(t)
				b.start(t)
				if b.pid() == pid {
					t.Errorf("%s was not restarted", b.name)
				}
				c.awaitMore(t, 100)
				c.awaitCopies(t)
			}
			led[c.leader(t, eventsStream).name] = true
		})
		if len(led) < 2 {
			t.Errorf("the stream of events was led by %v all the time", led)
		}
		c.verify(t)
	}
	c.summary(t)
}

// Faults of servers and nodes in random order.
func TestServersRandomFaults(t *testing.T) {
	if *faultsFlag && *durationFlag == 0 {
		t.Skip("a minute for one round of all faults of servers: in the long form only (make faults-long)")
	}
	c := newClusterOf(t, clusterOptions{servers: 3})
	var faults []fault
	for _, b := range c.brokers {
		faults = append(faults, frozen(&b.process),
			fault{"kill server", func(t *testing.T) { b.kill(t) }, func(t *testing.T) { b.start(t) }},
			fault{"terminate server", func(t *testing.T) { b.terminate(t) }, func(t *testing.T) { b.start(t) }},
			fault{"wipe server", func(t *testing.T) {
				c.awaitCopies(t) // of three copies two must stay
				b.kill(t)
				if err := os.RemoveAll(b.store()); err != nil {
					t.Error(err)
				}
			}, func(t *testing.T) { b.start(t); c.awaitCopies(t) }})
	}
	for i, n := range c.nodes {
		faults = append(faults, killed(n, func(*testing.T) {}), frozen(&n.process),
			fault{"cut node", func(*testing.T) {
				for _, p := range c.proxies[3*i : 3*i+3] {
					p.cut()
				}
			}, func(*testing.T) { c.heal() }})
	}
	unleash(t, c.random, c.load, faults, 25*time.Second)
}
