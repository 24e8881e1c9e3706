package edge_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/replica"
	"restraint/edge/shared/sharedtest"
)

// wire carries what nodes record to the others, and can be cut.
type wire struct {
	mu    sync.Mutex
	codec replica.Codec
	ends  []*wireKeeper
}

// wireKeeper is the keeper of one node on a wire.
type wireKeeper struct {
	*replica.Keeper
	wire    *wire
	store   *caps.Store
	cut     bool
	waiting [][]byte // batches of others, while it is cut off
	unsent  [][]byte // its own
}

func (*wireKeeper) Kept() edge.Kept { return edge.Kept{} }

func (k *wireKeeper) Restore(s *caps.Store) error {
	k.store = s
	return k.Keeper.Restore(s)
}

func (k *wireKeeper) Record(changes []caps.Change) error {
	if err := k.Keeper.Record(changes); err != nil {
		return err
	}
	enc, err := k.wire.codec.AppendBatch(nil, changes)
	if err != nil {
		return err
	}
	k.wire.mu.Lock()
	defer k.wire.mu.Unlock()
	if k.cut {
		k.unsent = append(k.unsent, enc)
		return nil
	}
	return k.sendLocked(enc)
}

// sendLocked makes a batch known to the others, twice.
func (k *wireKeeper) sendLocked(enc []byte) error {
	for _, other := range k.wire.ends {
		switch {
		case other == k:
		case other.cut:
			other.waiting = append(other.waiting, enc)
		default:
			for range 2 {
				if err := other.apply(enc); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (k *wireKeeper) apply(enc []byte) error {
	var b replica.Batch
	if _, err := b.ParseNext(enc); err != nil {
		return err
	}
	for c := (caps.Change{}); b.Next(&c); {
		if err := k.store.Reapply(&c); err != nil {
			return err
		}
	}
	return nil
}

// cutOff cuts the end off, or joins it again: then everything comes, the newest first.
func (k *wireKeeper) cutOff(t *testing.T, cut bool) {
	t.Helper()
	k.wire.mu.Lock()
	defer k.wire.mu.Unlock()
	if k.cut = cut; cut {
		return
	}
	for len(k.waiting)+len(k.unsent) > 0 {
		if n := len(k.waiting); n > 0 {
			if err := k.apply(k.waiting[n-1]); err != nil {
				t.Fatal(err)
			}
			k.waiting = k.waiting[:n-1]
		}
		if n := len(k.unsent); n > 0 {
			if err := k.sendLocked(k.unsent[n-1]); err != nil {
				t.Fatal(err)
			}
			k.unsent = k.unsent[:n-1]
		}
	}
}

// dialled is a node of a cluster whose parts can be cut, stopped and started.
type dialled struct {
	*node
	link *link
	wire *wireKeeper
	dir  string
	name string
}

// startDialled starts nodes of one cluster under a policy.
type dialCluster struct {
	t      *testing.T
	store  *sharedtest.Store
	wire   *wire
	secret identity.Secret
	policy string
	nodes  []*dialled
}

func newDialCluster(t *testing.T, policy string, n int) *dialCluster {
	t.Helper()
	secret, err := identity.ParseSecret([]byte("a cluster has one secret for all"))
	if err != nil {
		t.Fatal(err)
	}
	c := &dialCluster{t: t, store: sharedtest.New(), wire: &wire{}, secret: secret, policy: policy}
	for i := range n {
		d := &dialled{dir: t.TempDir(), name: string(rune('a' + i)), link: newLink(c.store)}
		c.nodes = append(c.nodes, d)
		c.start(d)
	}
	inForce(t, 1, policy, c.running()...)
	return c
}

func (c *dialCluster) running() (nodes []*node) {
	for _, d := range c.nodes {
		nodes = append(nodes, d.node)
	}
	return nodes
}

func (c *dialCluster) start(d *dialled) {
	c.t.Helper()
	k, err := replica.Open(replica.Options{Dir: d.dir + "/counters", Fingerprint: c.secret.Fingerprint()})
	if err != nil {
		c.t.Fatal(err)
	}
	d.wire = &wireKeeper{Keeper: k, wire: c.wire}
	d.node = startNode(c.t, d.dir, c.policy, func(o *edge.Options) {
		o.Name, o.Secret, o.Keeper, o.Shared, o.Lists = d.name, c.secret, d.wire, d.link, nil
	})
	c.wire.mu.Lock()
	c.wire.ends = append(c.wire.ends, d.wire)
	c.wire.mu.Unlock()
}

// stop ends a node; what it was about to send is sent when it is back.
func (c *dialCluster) stop(d *dialled) {
	c.t.Helper()
	d.node.stop()
	c.wire.mu.Lock()
	for i, k := range c.wire.ends {
		if k == d.wire {
			c.wire.ends = append(c.wire.ends[:i:i], c.wire.ends[i+1:]...)
			break
		}
	}
	c.wire.mu.Unlock()
	if err := d.wire.Close(); err != nil {
		c.t.Error(err)
	}
}

// agree waits until all nodes say the level, and returns what they say, which is the same.
func (c *dialCluster) agree(level string) reviewed {
	c.t.Helper()
	var said []reviewed
	eventually(c.t, "all nodes say "+level, func() bool {
		said = said[:0]
		for _, d := range c.nodes {
			said = append(said, d.review("shoes"))
		}
		for _, r := range said {
			if r.Level != level || fmt.Sprint(r.DialledBack != nil, r.Released != nil) != fmt.Sprint(said[0].DialledBack != nil, said[0].Released != nil) ||
				r.DialledBack != nil && *r.DialledBack != *said[0].DialledBack || r.Released != nil && *r.Released != *said[0].Released ||
				r.Window.Weighing != said[0].Window.Weighing || r.Window.People != said[0].Window.People || fmt.Sprint(r.Window.Reports) != fmt.Sprint(said[0].Window.Reports) {
				return false
			}
		}
		return true
	})
	return said[0]
}

func (n *node) shownTo(people ...string) {
	n.t.Helper()
	for _, who := range people {
		n.event(`{"type":"impression","user":{"id":"` + who + `"},"campaign":"shoes"}`)
	}
}

func (n *node) complaint(people ...string) {
	n.t.Helper()
	for _, who := range people {
		n.event(`{"type":"complaint","id":"c-` + who + `","user":{"id":"` + who + `"},"campaign":"shoes"}`)
	}
}

var ten = strings.Fields("p-0 p-1 p-2 p-3 p-4 p-5 p-6 p-7 p-8 p-9")

// Reports to different nodes, some of them to several, count once on each; all nodes
// dial back by the same numbers, and go on so after a restart.
func TestDialBackOnAllNodes(t *testing.T) {
	c := newDialCluster(t, dialPolicy, 3)
	a, b, third := c.nodes[0], c.nodes[1], c.nodes[2]
	a.shownTo(ten...)
	b.complaint("p-0")
	third.complaint("p-0", "nobody")
	if r := c.agree("none"); r.Window.Weighing != 1 || r.Window.People != 1 || r.Window.Reports["complaint"] != 2 {
		t.Fatalf("%+v", r.Window)
	}
	third.complaint("p-1") // a has the showings, and is the one to find it
	r := c.agree("lowered")
	if r.DialledBack.Weighing != 2 || r.DialledBack.People != 2 || r.DialledBack.Shown != 10 || r.DialledBack.Node != "a" {
		t.Fatalf("%+v", r.DialledBack)
	}
	for _, d := range c.nodes {
		c.stop(d)
		c.start(d)
		if got := d.review("shoes"); got.Level != "lowered" || *got.DialledBack != *r.DialledBack || got.Window.Weighing != 2 || got.Window.Reports["complaint"] != 3 {
			t.Fatalf("node %s after a restart: %+v", d.name, got)
		}
		d.complaint("p-0", "p-1") // replayed
	}
	if again := c.agree("lowered"); again.Window.Weighing != 2 || *again.DialledBack != *r.DialledBack {
		t.Errorf("%+v", again)
	}
	// A store that is made anew is given how campaigns stand, and a node that joins then hears of it.
	c.store.Change(func(s *sharedtest.State) { clear(s.Documents) })
	d := &dialled{dir: t.TempDir(), name: "d", link: newLink(c.store)}
	c.nodes = append(c.nodes, d)
	c.start(d)
	eventually(t, "the node that joined is told", func() bool { r := d.review("shoes"); return r.Level == "lowered" && r.DialledBack.Node == "a" })
}

// A node that is cut off goes by what it knows, and raises on its own; a release elsewhere
// wins over that once it hears of it, and what was reported before does not count again.
func TestReleaseWhileCutOff(t *testing.T) {
	c := newDialCluster(t, dialPolicy, 2)
	a, b := c.nodes[0], c.nodes[1]
	a.shownTo(ten...)
	b.shownTo(ten...)
	a.complaint("p-0", "p-1", "p-2")
	before := c.agree("lowered")
	b.link.Cut(true)
	b.wire.cutOff(t, true)
	b.complaint(ten[3:]...) // ten of the ten that b knows of
	eventually(t, "b pauses it on its own", func() bool { return b.review("shoes").Level == "paused" })
	if got := a.review("shoes"); got.Level != "lowered" {
		t.Fatalf("a heard of it: %+v", got)
	}
	// The release is to be of a later second than the last complaint, as it is where a human
	// looks into something; polled, since seconds pass by themselves.
	last := time.Now().Unix()
	eventually(t, "the next second", func() bool { return time.Now().Unix() > last })
	a.release("shoes", "it was a test")
	if got := a.review("shoes"); got.Level != "none" || got.Released.From != "lowered" {
		t.Fatalf("%+v", got)
	}
	if got := b.review("shoes"); got.Level != "paused" || got.Released != nil {
		t.Fatalf("b heard of it: %+v", got)
	}
	b.wire.cutOff(t, false)
	b.link.Cut(false)
	r := c.agree("none")
	if r.Released.Why != "it was a test" || r.Window.Weighing != 0 {
		t.Errorf("%+v; before %+v", r, before)
	}
	// And it can be dialled back again, by what is reported from now on.
	after := r.Released.At
	eventually(t, "the next second", func() bool { return time.Now().Unix() > after })
	var others []string // so many that what b had shown before, and tells late, makes no difference
	for i := range 30 {
		others = append(others, fmt.Sprintf("q-%d", i))
	}
	a.shownTo(others...)
	a.complaint(others...)
	if r := c.agree("paused"); r.DialledBack.Weighing < 2 || r.DialledBack.Since <= after {
		t.Errorf("%+v", r.DialledBack)
	}
}
