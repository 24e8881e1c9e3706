package suppress_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/suppress"
)

// The cluster test feeds three stores the same changes and publications, each at
// its own speed, and compares every one of them after every step with a model
// that keeps everything and drops nothing.

const crowd = 60 // identifiers

// streamed is one message of the stream of changes.
type streamed struct {
	seq     uint64
	op      suppress.Op
	ids     []int
	leaves  uint32
	message []byte
}

// shipped is an uploaded generation: the model's, and the object store's.
type shipped struct {
	base modelBase
	form []byte // of the shipment
	file []byte
}

type node struct {
	dir     string
	epochs  *epochs // all nodes know the same; each is in one of its own
	s       *suppress.Store
	applied map[uint64]bool
	through uint64 // every change up to it was applied
	held    suppress.Publication
}

type cluster struct {
	t       *testing.T
	rng     *rand.Rand
	clock   *testClock
	seq     uint64 // of the last message of the stream
	stream  []streamed
	objects map[uint64]*shipped
	orders  []suppress.Publication
	nodes   []*node
	log     []string
	replays int
	turns   int
}

func (c *cluster) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *cluster) open(n *node) {
	o := options(n.dir)
	o.MaxChanges, o.Now, o.Seals = 40, c.clock.now, n.epochs
	n.s = open(c.t, o)
	if notices := n.s.Notices(); len(notices) > 0 {
		c.t.Fatalf("notices: %v", notices)
	}
	d := people("l")
	d.Exact = true
	declare(c.t, n.s, d)
}

func newCluster(t *testing.T, seed uint64) *cluster {
	c := &cluster{t: t, rng: rand.New(rand.NewPCG(seed, 2)), clock: newTestClock(), seq: 1, objects: map[uint64]*shipped{1: {base: modelBase{ids: map[int]bool{}}}}}
	for range 3 {
		n := &node{dir: t.TempDir(), applied: make(map[uint64]bool), held: suppress.Publication{Generation: 1}, epochs: &epochs{known: 8}}
		c.open(n)
		c.nodes = append(c.nodes, n)
	}
	return c
}

func (c *cluster) ids(most int) []int {
	ids := make([]int, c.rng.IntN(most)+1)
	for i := range ids {
		ids[i] = c.rng.IntN(crowd)
	}
	return ids
}

// publish puts a change into the stream, as a node's prepared import makes it.
func (c *cluster) publish(n *node) {
	ids, op := c.ids(8), suppress.Op(1+c.rng.IntN(2))
	im := plain
	if op == suppress.Add {
		im.Until = c.clock.until(c.rng)
	}
	p, _, err := n.s.Prepare("l", op, strings.NewReader(body(ids)), im)
	if err != nil {
		c.t.Fatal(err)
	}
	defer p.Close()
	for b, err := range p.Messages() {
		if err != nil {
			c.t.Fatal(err)
		}
		c.seq++
		c.stream = append(c.stream, streamed{c.seq, op, ids, leavesAt(im.Until), slices.Clone(b)})
		c.note("change %d op %d %v until %d", c.seq, op, ids, im.Until)
	}
}

// consume applies some messages: the next ones, some again, some too early.
func (c *cluster) consume(n *node) {
	var batch []streamed
	for _, m := range c.stream {
		if m.seq > n.through && len(batch) < 4 || m.seq < n.through+3 && c.rng.IntN(20) == 0 {
			batch = append(batch, m)
		}
	}
	c.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	for _, m := range batch {
		c.apply(n, m)
	}
	for slices.ContainsFunc(c.stream, func(m streamed) bool { return m.seq == n.through+1 && n.applied[m.seq] }) || c.noChange(n.through+1) {
		n.through++
	}
}

// noChange says that the number was given to something else than a change.
func (c *cluster) noChange(seq uint64) bool {
	return seq <= c.seq && !slices.ContainsFunc(c.stream, func(m streamed) bool { return m.seq == seq })
}

func (c *cluster) apply(n *node, m streamed) {
	change, err := n.s.ParseChange(m.message)
	if err != nil {
		c.t.Fatal(err)
	}
	err = n.s.ApplyChange(m.seq, &change)
	if errors.Is(err, suppress.ErrFull) {
		c.note("full at %d", n.through)
		if err = n.s.Compact("l", n.through); errors.Is(err, suppress.ErrBusy) {
			return // beside an upload; it comes again
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if err = n.s.ApplyChange(m.seq, &change); errors.Is(err, suppress.ErrFull) {
			return // it came too early; the ones before make room
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	n.applied[m.seq] = true
}

// upload replaces the list on one node, while changes are made, and ships it.
func (c *cluster) upload(n *node) {
	c.seq++
	ids, generation, start := c.ids(40), c.seq, c.seq
	r := &duringRead{Reader: strings.NewReader(body(ids)), do: func() {
		for range c.rng.IntN(3) {
			c.publish(n)
			c.consume(n)
		}
		if other := c.nodes[c.rng.IntN(len(c.nodes))]; other != n {
			c.consume(other)
			c.compact(other)
		}
	}}
	im := numbered(generation, start)
	im.Until = c.clock.until(c.rng)
	_, err := n.s.Replace("l", r, im)
	c.note("upload %d of %v: %v", generation, ids, err)
	if errors.Is(err, suppress.ErrReplay) {
		return // it was refused before a byte was read
	}
	if err != nil {
		c.t.Fatal(err)
	}
	n.held = suppress.Publication{Order: generation, Generation: generation}
	up := &shipped{base: modelBase{ids: make(map[int]bool), start: start, leaves: leavesAt(im.Until)}}
	for _, id := range ids {
		up.base.ids[id] = true
	}
	if c.rng.IntN(3) == 0 {
		c.consume(n)
		c.compact(n) // ships a generation with changes in it
	}
	e, err := n.s.Export("l")
	if err != nil {
		c.t.Fatal(err)
	}
	if up.form, err = suppress.AppendShipment(nil, &e.Shipment); err != nil {
		c.t.Fatal(err)
	}
	if up.file, err = io.ReadAll(e.Reader()); err != nil {
		c.t.Fatal(err)
	}
	c.objects[generation] = up
	c.orders = append(c.orders, n.held)
}

// rollback publishes one to what a node can be rolled back to.
func (c *cluster) rollback(n *node) {
	st, err := n.s.Status("l")
	if err != nil || st.Previous == 0 {
		return
	}
	c.seq++
	c.orders = append(c.orders, suppress.Publication{Order: c.seq, Generation: st.Previous})
	c.note("roll back to %+v", c.orders[len(c.orders)-1])
}

// follow gives a node one publication, whichever, and the file where it asks for it.
func (c *cluster) follow(n *node, p suppress.Publication) {
	st, err := n.s.RollbackTo("l", p)
	if errors.Is(err, suppress.ErrNoPrevious) {
		if c.objects[p.Generation].form == nil {
			return // the list before any upload is not shipped
		}
		st, err = c.install(n, p)
	}
	c.note("follow %+v: %v", p, err)
	if (p.Order < n.held.Order) != errors.Is(err, suppress.ErrOlder) {
		c.t.Fatalf("publication %+v while %+v is in use: %v", p, n.held, err)
	}
	if errors.Is(err, suppress.ErrOlder) {
		return
	}
	if err != nil || n.s.Publication("l") != p || st.Generation != p.Generation {
		c.t.Fatalf("publication %+v: %+v, %v", p, st, err)
	}
	c.turns++
	n.held = p
}

func (c *cluster) install(n *node, p suppress.Publication) (suppress.Status, error) {
	up := c.objects[p.Generation]
	sh, err := suppress.ParseShipment(up.form)
	if err != nil {
		c.t.Fatal(err)
	}
	sh.Order = p.Order
	st, err := n.s.Install("l", &sh, strings.NewReader(string(up.file)), nil)
	var gap *suppress.ReplayError
	if errors.As(err, &gap) {
		c.replays++
		st, err = n.s.Install("l", &sh, strings.NewReader(string(up.file)), c.replay(n, gap))
	}
	return st, err
}

func (c *cluster) replay(n *node, gap *suppress.ReplayError) *suppress.Replay {
	return &suppress.Replay{Through: gap.Through, Changes: func(yield func(uint64, *suppress.Change) error) error {
		for _, m := range c.stream {
			change, err := n.s.ParseChange(m.message)
			if err != nil {
				return err
			}
			if err := yield(m.seq, &change); err != nil {
				return err
			}
		}
		return nil
	}}
}

func (c *cluster) compact(n *node) {
	if err := n.s.Compact("l", n.through); err != nil && !errors.Is(err, suppress.ErrBusy) {
		c.t.Fatal(err)
	}
	c.note("compact through %d", n.through)
}

// compare looks everybody up. What a generation of another node has in it of
// changes counts as applied.
func (c *cluster) compare(n *node) {
	st, err := n.s.Status("l")
	if err != nil {
		c.t.Fatal(err)
	}
	base := &c.objects[n.held.Generation].base
	m := modelList{cur: base}
	for _, e := range c.stream {
		if n.applied[e.seq] || e.seq <= st.Start {
			m.changes = append(m.changes, modelChange{e.seq, e.op, e.ids, e.leaves})
		}
	}
	now := uint32(c.clock.at)
	want := m.members(now)
	v := n.s.View()
	var p suppress.Probe
	for id := range crowd {
		p.Reset(testHash("user.id", fmt.Appendf(nil, "u%d", id)))
		if in := v.Contains(v.List("l"), &p, now); in != want[id] {
			c.t.Fatalf("%s: u%d is a member: %v, want %v, by %+v, %+v", n.dir[len(n.dir)-3:], id, in, want[id], n.held, st)
		}
	}
	if st.Keys != int64(len(want)) {
		c.t.Fatalf("%d keys, want %d", st.Keys, len(want))
	}
}

func (c *cluster) step() {
	c.clock.pass(c.rng)
	n := c.nodes[c.rng.IntN(len(c.nodes))]
	switch k := c.rng.IntN(22); {
	case k == 20:
		n.epochs.use(min(8, n.epochs.active+1))
		c.note("epoch %d", n.epochs.active)
	case k == 21:
		c.note("reseal")
		if err := n.s.Reseal(); err != nil {
			c.t.Fatal(err)
		}
	case k < 5:
		c.publish(n)
	case k < 11:
		c.consume(n)
	case k < 12:
		c.upload(n)
	case k < 13:
		c.rollback(n)
	case k < 17 && len(c.orders) > 0:
		c.follow(n, c.orders[max(0, len(c.orders)-1-c.rng.IntN(4))])
	case k < 18:
		c.compact(n)
	case k < 19:
		c.note("forget")
		if err := n.s.Forget(n.through); err != nil {
			c.t.Fatal(err)
		}
	default:
		c.note("restart")
		if err := n.s.Close(); err != nil {
			c.t.Fatal(err)
		}
		c.open(n)
	}
	for _, n := range c.nodes {
		c.compare(n)
	}
}

// TestCluster: whatever the order, in the end all stores say the same.
func TestCluster(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", s)
	replays, turns := 0, 0
	for round := range uint64(3) {
		c := newCluster(t, s+round)
		defer func() {
			if t.Failed() {
				t.Logf("round %d, last operations:\n%s", round, strings.Join(c.log[max(0, len(c.log)-25):], "\n"))
			}
		}()
		for range *steps {
			c.step()
		}
		for _, n := range c.nodes {
			for n.through < c.seq {
				c.consume(n)
			}
			if k := len(c.orders); k > 0 {
				c.follow(n, slices.MaxFunc(c.orders, func(a, b suppress.Publication) int { return int(a.Order) - int(b.Order) }))
			}
			c.compare(n)
		}
		replays, turns = replays+c.replays, turns+c.turns
	}
	t.Logf("%d publications were followed, %d with changes read again", turns, replays)
}
