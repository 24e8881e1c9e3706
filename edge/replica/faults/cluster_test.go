package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cluster is nodes that meet at one NATS server or at a cluster of them, each through proxies of its own.
type cluster struct {
	*load
	dir     string
	broker  *broker   // the first
	brokers []*broker // all
	proxies []*proxy  // one for each node and server, those of the first node first
	random  *rand.Rand
	options clusterOptions
	named   int // nodes that were made
}

// clusterOptions say what a cluster is. The zero value: one server that anybody may use.
type clusterOptions struct {
	servers int      // 0: one
	config  string   // more for the configuration of each server
	routes  string   // more for what the servers have with one another
	address string   // what stands before host and port in nats.urls; "": nats://
	flags   []string // of every node
}

// newCluster starts three nodes and one server.
func newCluster(t *testing.T) *cluster { return newClusterOf(t, clusterOptions{}) }

// newClusterOf starts the servers, and three nodes.
func newClusterOf(t *testing.T, o clusterOptions) *cluster {
	t.Helper()
	random := scenario(t)
	c := &cluster{dir: t.TempDir(), random: random, options: o}
	c.brokers = newBrokers(t, c.dir, max(1, o.servers), o.config, o.routes)
	c.broker = c.brokers[0]
	for _, b := range c.brokers {
		b.start(t)
	}
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(random.Uint32())
	}
	if err := os.WriteFile(c.secret(), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	var nodes []*node
	for i := range 3 {
		n := c.newNode(t, fmt.Sprintf("node-%d", i))
		nodes = append(nodes, n)
		n.launch(t)
		n.awaitReady(t)
	}
	c.load = newLoad(nodes, random.Uint64(), 4, 25)
	if len(c.brokers) > 1 {
		c.awaitCopies(t)
	}
	return c
}

func (c *cluster) secret() string { return filepath.Join(c.dir, "secret") }

// newNode makes a node with a proxy between it and each server. Of several servers each node has another first.
func (c *cluster) newNode(t *testing.T, name string, flags ...string) *node {
	t.Helper()
	var urls []string
	for i := range c.brokers {
		p, err := openProxy(c.brokers[(c.named+i)%len(c.brokers)].addr, c.random.Uint64())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.close)
		c.proxies = append(c.proxies, p)
		urls = append(urls, cmp.Or(c.options.address, "nats://")+p.addr())
	}
	c.named++
	return newNode(t, c.dir, name, slices.Concat([]string{
		"--nats-urls", strings.Join(urls, ","), "--nats-replicas", fmt.Sprint(len(c.brokers)), "--secret-file", c.secret(),
	}, c.options.flags, flags)...)
}

// heal takes back everything that a proxy does.
func (c *cluster) heal() {
	for _, p := range c.proxies {
		p.heal()
	}
}

// staysReady asserts that a node that was ready stays so without NATS, as the contract says.
func (c *cluster) staysReady(t *testing.T, n *node) {
	t.Helper()
	if ready, unmet := n.ready(t); !ready {
		t.Errorf("%s was ready and is no more when it cannot reach NATS: %+v", n.name, unmet)
	}
}

// Nothing is broken: the nodes agree, and with a person's requests on one node, and holds, no cap is overshot.
func TestClusterAtPeace(t *testing.T) {
	c := newCluster(t)
	for _, w := range c.workers {
		w.work.sticky = true
	}
	c.during(t, func() { c.awaitMore(t, 2000) })
	c.verify(t)
	if o := measureOvershoot(c.history.shownAll(), tightLimit); o.over > 0 {
		t.Errorf("%d of %d shown over the cap though each person's requests went to one node", o.over, o.shown)
	}
	c.summary(t)
}

// A node is cut off both ways, serves on, and is healed.
func TestPartitionAndHeal(t *testing.T) {
	c := newCluster(t)
	for round := range rounds(2, 20) {
		i := c.random.IntN(3)
		p := c.proxies[i]
		c.during(t, func() {
			before := p.stats()
			p.cut()
			c.awaitMore(t, 500)
			if round%2 == 1 { // long enough for the node to find out, and to try again
				until(t, "another connection of the node's", func() bool { return p.stats().accepted > before.accepted })
			}
			c.staysReady(t, c.nodes[i])
			if s := p.stats(); s.swallowed[toServer] == before.swallowed[toServer] {
				t.Errorf("the cut swallowed nothing of the node's: %+v", s)
			}
			c.heal()
		})
		c.verify(t)
	}
	c.summary(t)
}

// Only one way is cut: what the node sends arrives and the answers do not, or the reverse.
func TestOneWayPartition(t *testing.T) {
	for d, name := range []string{"to broker", "from broker"} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			i := c.random.IntN(3)
			p := c.proxies[i]
			c.during(t, func() {
				p.set(direction(d), swallow)
				c.awaitMore(t, 500)
				until(t, "bytes swallowed", func() bool { return p.stats().swallowed[d] > 0 })
				c.staysReady(t, c.nodes[i])
				c.heal()
			})
			c.verify(t)
			c.summary(t)
		})
	}
}

// The network stalls, and then delivers everything that it held.
func TestStalledNetwork(t *testing.T) {
	c := newCluster(t)
	c.during(t, func() {
		for _, p := range c.proxies {
			p.pause()
		}
		c.awaitMore(t, 300)
		held := int64(0)
		for _, p := range c.proxies {
			held += p.stats().held[toServer] + p.stats().held[toClient]
		}
		if held == 0 {
			t.Error("the proxies held nothing")
		}
		c.heal()
	})
	c.verify(t)
	c.summary(t)
}

// Connections are reset again and again under delays: what was on its way is sent again, so it comes twice, and late, and out of order.
func TestResetsAndRedelivery(t *testing.T) {
	c := newCluster(t)
	c.during(t, func() {
		for _, p := range c.proxies {
			p.slow(0, 5e6)
		}
		for range rounds(15, 300) {
			c.awaitMore(t, 50)
			c.proxies[c.random.IntN(3)].resetAll()
		}
		c.heal()
	})
	resets, delayed := 0, int64(0)
	for _, p := range c.proxies {
		resets, delayed = resets+p.stats().reset, delayed+p.stats().delayed
	}
	if resets < 10 || delayed == 0 {
		t.Errorf("%d resets, %d delays: the fault hardly took place", resets, delayed)
	}
	c.verify(t)
	c.summary(t)
}
