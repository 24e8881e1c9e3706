package faults

import (
	"fmt"
	"testing"
	"time"
)

// NATS is killed, stays away while events go on, and comes back.
func TestBrokerKilled(t *testing.T) {
	c := newCluster(t)
	for range rounds(2, 20) {
		c.during(t, func() {
			c.broker.kill(t)
			c.awaitMore(t, 300)
			for _, n := range c.nodes {
				c.staysReady(t, n)
			}
			c.broker.start(t)
		})
		c.verify(t)
	}
	c.summary(t)
}

// Without NATS a node that starts again has its own past and takes events.
func TestStartWithoutBroker(t *testing.T) {
	c := newCluster(t)
	c.during(t, func() {
		for _, n := range c.nodes {
			n.awaitSnapshots(t, 1)
		}
	})
	c.verify(t)
	c.broker.kill(t)
	for _, n := range c.nodes {
		n.kill(t)
	}
	for _, n := range c.nodes {
		n.start(t)
	}
	c.during(t, func() { c.awaitMore(t, 200) })
	c.broker.start(t)
	c.verify(t)
	c.summary(t)
}

// The store of NATS is put back to an older copy: its tail is lost, and grows again with other messages. What nodes have, they give again;
// one that was away in between gets it from them.
func TestBrokerRolledBack(t *testing.T) {
	c := newCluster(t)
	away := c.nodes[2]
	c.during(t, func() { c.awaitMore(t, 300) })
	c.verify(t)
	c.broker.terminate(t)
	older := t.TempDir()
	copyDir(t, c.broker.store(), older)
	c.broker.start(t)
	away.kill(t)
	c.during(t, func() { c.awaitMore(t, 500) }) // the tail
	c.broker.kill(t)
	replaceDir(t, c.broker.store(), older)
	c.broker.start(t)
	c.during(t, func() { c.awaitMore(t, 800) }) // beyond where it was
	away.start(t)
	c.verify(t)
	c.summary(t)
}

// The store of NATS is lost altogether.
func TestBrokerLostItsStore(t *testing.T) {
	c := newCluster(t)
	c.during(t, func() { c.awaitMore(t, 500) })
	c.broker.kill(t)
	replaceDir(t, c.broker.store(), t.TempDir())
	c.broker.start(t)
	c.during(t, func() { c.awaitMore(t, 300) })
	c.verify(t)
	c.summary(t)
}

// A list is replaced on any node under load, and partitions come and go: no member is let through anywhere, and all come to the last.
func TestClusterListSwap(t *testing.T) {
	c := newCluster(t)
	p := newPusher(t, c.nodes, c.random)
	p.push(t)
	p.arrives(t)
	for _, n := range c.nodes {
		p.watch(n, c.random.Uint64())
	}
	for range rounds(3, 30) {
		apart := c.proxies[c.random.IntN(3)]
		c.during(t, func() {
			for range 3 {
				p.push(t)
			}
			apart.cut()
			c.awaitMore(t, 300)
			c.heal()
		})
		p.push(t)
		p.arrives(t)
	}
	p.end(t)
	c.verify(t)
	c.summary(t)
}

// arrives waits until every node obeys the last replacement.
func (p *pusher) arrives(t *testing.T) {
	t.Helper()
	for _, n := range p.nodes {
		last := ""
		end := time.Now().Add(patience)
		for last = p.lag(t, n); last != "" && time.Now().Before(end); last = p.lag(t, n) {
			pause()
		}
		if last != "" {
			t.Fatalf("generation %d does not arrive: %s", p.generation, last)
		}
	}
}

// A policy is put on one node under load and is in force on all.
func TestClusterPolicyPut(t *testing.T) {
	c := newCluster(t)
	c.during(t, func() {
		for i := range 5 {
			n := c.nodes[c.random.IntN(3)]
			name := fmt.Sprintf("extra-%d", i)
			n.mustPut(t, "/v1/policy", "application/yaml", suitePolicy("  "+name+": {advertiser: extra}\n"))
			for _, other := range c.nodes {
				until(t, name+" in force on "+other.name, func() bool {
					d, err := other.decide("u", fmt.Sprintf(`{"campaign":%q}`, name), "")
					return err == nil && len(d.Decisions) == 1 && d.Decisions[0].Show
				})
			}
		}
	})
	c.verify(t)
	c.summary(t)
}

// Faults of the cluster in random order.
func TestClusterRandomFaults(t *testing.T) {
	c := newCluster(t)
	faults := []fault{{"kill broker", func(t *testing.T) { c.broker.kill(t) }, func(t *testing.T) { c.broker.start(t) }}, frozen(&c.broker.process)}
	for i, n := range c.nodes {
		p := c.proxies[i]
		faults = append(faults, killed(n, func(*testing.T) {}), frozen(&n.process),
			fault{"cut", func(*testing.T) { p.cut() }, func(*testing.T) { p.heal() }},
			fault{"cut to broker", func(*testing.T) { p.set(toServer, swallow) }, func(*testing.T) { p.heal() }},
			fault{"cut from broker", func(*testing.T) { p.set(toClient, swallow) }, func(*testing.T) { p.heal() }},
			fault{"pause", func(*testing.T) { p.pause() }, func(*testing.T) { p.heal() }},
			fault{"delay", func(*testing.T) { p.slow(5*time.Millisecond, 50*time.Millisecond) }, func(*testing.T) { p.heal() }},
			fault{"reset", func(*testing.T) { p.resetAll() }, func(*testing.T) { p.heal() }},
			fault{"refuse", func(*testing.T) { p.refuseNew(true); p.resetAll() }, func(*testing.T) { p.heal() }},
		)
	}
	unleash(t, c.random, c.load, faults, 25*time.Second)
}
