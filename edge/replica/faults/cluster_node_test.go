package faults

import (
	"net/http"
	"os"
	"testing"
	"time"
)

// kill -9 of one node after the other while the rest go on.
func TestClusterKillLoop(t *testing.T) {
	c := newCluster(t)
	for range rounds(4, 60) {
		n := c.nodes[c.random.IntN(3)]
		c.during(t, func() {
			<-anyTime(c.random, 200*time.Millisecond)
			n.kill(t)
			c.awaitMore(t, 200)
			n.start(t)
		})
		c.verify(t)
		if t.Failed() {
			return
		}
	}
	c.summary(t)
}

// A node is down while the others go on. When it says that it is ready it has what it missed: so no time to agree is given.
func TestNodeDown(t *testing.T) {
	c := newCluster(t)
	n := c.nodes[c.random.IntN(3)]
	c.during(t, func() { n.kill(t) })
	c.during(t, func() { c.awaitMore(t, 1000) })
	n.start(t)
	if wrong := c.findings(t, 0); len(wrong) > 0 {
		t.Errorf("ready, but not caught up:%s", few(wrong))
	}
	c.verify(t)
	c.summary(t)
}

// A node loses its disk, and comes back with an empty one.
func TestNodeLostItsDisk(t *testing.T) {
	c := newCluster(t)
	n := c.nodes[c.random.IntN(3)]
	c.during(t, func() { c.awaitMore(t, 500) })
	c.verify(t) // so that all of it has left the node
	n.kill(t)
	if err := os.RemoveAll(n.data()); err != nil {
		t.Fatal(err)
	}
	c.during(t, func() { c.awaitMore(t, 300) })
	n.startAsAnother(t)
	if wrong := c.findings(t, 0); len(wrong) > 0 {
		t.Errorf("ready, but not caught up:%s", few(wrong))
	}
	c.verify(t)
	c.summary(t)
}

// startAsAnother starts a node that comes with the name of one that was there a moment ago and another folder: it is refused, and told to
// come again, until the one before it counts as gone.
func (n *node) startAsAnother(t *testing.T) {
	t.Helper()
	until(t, n.name+" accepted in its own place", func() bool {
		refusals := n.logged("another node has this name")
		n.launch(t)
		until(t, n.name+" answers or was refused", func() bool {
			status, _, err := n.do(http.MethodGet, "/healthz", "", "")
			return !n.running() || err == nil && status == http.StatusOK
		})
		if n.running() {
			return true
		}
		if n.logged("another node has this name") == refusals {
			t.Fatalf("%s ended: %v\n%s", n.name, n.state, n.tail())
		}
		<-time.After(time.Second) // as a supervisor would
		return false
	})
	n.awaitReady(t)
}

// A fourth node joins with nothing.
func TestNodeJoins(t *testing.T) {
	c := newCluster(t)
	c.during(t, func() { c.awaitMore(t, 500) })
	c.verify(t)
	n := c.newNode(t, "node-3")
	c.during(t, func() { n.start(t) })
	c.nodes = append(c.nodes, n)
	c.verify(t)
	c.summary(t)
}

// A node stands still for a while: to the others a slow peer, to the broker a slow consumer.
func TestSlowPeer(t *testing.T) {
	c := newCluster(t)
	n := c.nodes[c.random.IntN(3)]
	c.during(t, func() {
		n.freeze(t)
		c.awaitMore(t, 25) // each caller waits for the frozen one now and then
		n.thaw(t)
		c.awaitMore(t, 300)
	})
	c.verify(t)
	c.summary(t)
}

// A node comes back with its snapshots of some time ago, or with damaged ones: it fills the gap from the others, or says that it cannot.
func TestClusterOlderSnapshot(t *testing.T) {
	c := newCluster(t)
	n := c.nodes[0]
	c.during(t, func() { n.awaitSnapshots(t, 2) })
	n.kill(t)
	older := t.TempDir()
	copyDir(t, n.data(), older)
	n.start(t)
	for range 3 {
		c.during(t, func() { n.awaitSnapshots(t, 2) })
		n.terminate(t)
		n.start(t)
	}
	c.verify(t)
	n.kill(t)
	replaceDir(t, n.data(), older)
	n.start(t)
	if wrong := c.findings(t, 0); len(wrong) > 0 {
		t.Errorf("ready, but not caught up:%s", few(wrong))
	}
	c.verify(t)
	c.summary(t)
}

// Two nodes with one name: the second is refused, by not starting or by never being ready, and says why.
func TestOneNameTwice(t *testing.T) {
	c := newCluster(t)
	twin := c.newNode(t, "twin")
	twin.argv[3] = c.nodes[0].name // after --node
	twin.launch(t)
	until(t, "the twin refused", func() bool {
		if !twin.running() {
			return true
		}
		if twin.logged(`"msg":"ready"`) == 0 {
			return false
		}
		ready, _ := twin.ready(t)
		if ready {
			t.Fatal("a second node with the name of another is ready")
		}
		return true
	})
	if twin.logged(c.nodes[0].name) == 0 {
		t.Errorf("the log of the refused node does not name the name:\n%s", twin.tail())
	}
}
