package suppress_test

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"testing"

	"restraint/suppress"
)

// span is the numbers from at up to to.
type span struct{ at, to uint64 }

func (s span) has(n uint64) bool { return n >= s.at && n < s.to }

// course is a list that is taken through everything that can be done to it, and
// what its members should be: uploads, and over them changes in their order.
type course struct {
	t       *testing.T
	o       suppress.Options
	d       suppress.Declaration
	s       *suppress.Store
	item    uint64 // the tag of the one item
	size    uint64
	every   uint64
	uploads [2]span // the one in use, the one before
	changes []struct {
		op suppress.Op
		of span
	}
}

func (c *course) member(n uint64) bool {
	in := c.uploads[0].has(n)
	for _, change := range c.changes {
		if change.of.has(n) {
			in = change.op == suppress.Add
		}
	}
	return in
}

// body is the numbers as a file of the list's kind.
func (c *course) body(of span) (io.Reader, suppress.Import) {
	if !c.d.Items {
		return &numbers{at: of.at, to: of.to}, plain
	}
	r, w := io.Pipe()
	go func() {
		row := []byte("c,i\n")
		for n := of.at; n < of.to; n++ {
			row = append(strconv.AppendUint(row, n, 10), ",sku\n"...)
			if len(row) > 60<<10 {
				if _, err := w.Write(row); err != nil {
					return
				}
				row = row[:0]
			}
		}
		_, err := w.Write(row)
		w.CloseWithError(err)
	}()
	return r, suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "c", ItemColumn: "i"}
}

func (c *course) key(n uint64) suppress.Key {
	if c.d.Items {
		return suppress.ItemKey(number(n), c.item)
	}
	return number(n)
}

func (c *course) upload(of span) {
	c.t.Helper()
	r, im := c.body(of)
	im.Force = true
	if _, err := c.s.Replace("l", r, im); err != nil {
		c.t.Fatal(err)
	}
	c.uploads = [2]span{of, c.uploads[0]}
	c.changes = nil
}

func (c *course) change(op suppress.Op, of span) {
	c.t.Helper()
	r, im := c.body(of)
	if _, err := c.s.Change("l", op, r, im); err != nil {
		c.t.Fatal(err)
	}
	c.changes = append(c.changes, struct {
		op suppress.Op
		of span
	}{op, of})
}

func (c *course) open(dir string) *suppress.Store {
	c.t.Helper()
	o := c.o
	o.Dir = dir
	s := open(c.t, o)
	if n := s.Notices(); len(n) > 0 {
		c.t.Fatal(n)
	}
	declare(c.t, s, c.d)
	return s
}

// look looks every member up, and strangers, one of every: none of the former is let
// through, and of the latter no more are skipped than the rate says, with three
// standard deviations; of an exact list none.
func (c *course) look(after string, s *suppress.Store) {
	c.t.Helper()
	v, p := s.View(), suppress.Probe{}
	at := v.List("l")
	members, strangers, wrong := int64(0), 0, 0
	for n := range 5 * c.size {
		want := c.member(n)
		if !want && n%c.every != 0 {
			continue
		}
		p.Reset(c.key(n))
		in := v.Contains(at, &p, math.MaxUint32-1)
		switch {
		case want && !in:
			c.t.Fatalf("after %s: member %d is let through", after, n)
		case want:
			members++
		case in:
			wrong++
			fallthrough
		default:
			strangers++
		}
	}
	st, err := s.Status("l")
	if err != nil || st.Keys != members {
		c.t.Fatalf("after %s: %d members, want %d (%v)", after, st.Keys, members, err)
	}
	most := float64(strangers) * suppress.DefaultRate
	if float64(wrong) > most+3*math.Sqrt(most) || c.d.Exact && wrong > 0 {
		c.t.Fatalf("after %s: %d of %d strangers are taken for members", after, wrong, strangers)
	}
	c.t.Logf("after %s: %d members are in, %d of %d strangers", after, members, wrong, strangers)
}

// sent is another store to which the list was sent.
func (c *course) sent() *suppress.Store {
	c.t.Helper()
	e, err := c.s.Export("l")
	if err != nil {
		c.t.Fatal(err)
	}
	to := c.open(c.t.TempDir())
	if _, err := to.Install("l", &e.Shipment, e.Reader(), nil); err != nil {
		c.t.Fatal(err)
	}
	return to
}

func (c *course) run() {
	n, dir := c.size, c.t.TempDir()
	c.s = c.open(dir)
	restart := func() {
		c.s.Close()
		c.s = c.open(dir)
	}
	c.upload(span{0, n})
	c.look("the first upload", c.s)
	c.upload(span{n / 4, n + n/4})
	c.look("replace", c.s)
	c.change(suppress.Add, span{2 * n, 2*n + n/10})
	c.look("add", c.s)
	c.change(suppress.Remove, span{n / 4, n/4 + n/20})
	c.change(suppress.Remove, span{2 * n, 2*n + n/50})
	c.look("remove", c.s)
	c.change(suppress.Add, span{n / 4, n/4 + n/40})
	c.change(suppress.Add, span{2 * n, 2*n + n/100})
	c.look("re-add", c.s)
	restart()
	c.look("a restart", c.s)
	if err := c.s.Compact("l", c.s.Sequence()); err != nil {
		c.t.Fatal(err)
	}
	c.look("compaction", c.s)
	other := c.sent()
	c.look("transfer", other)
	c.change(suppress.Add, span{3 * n, 3*n + 50})
	c.change(suppress.Remove, span{n, n + 50})
	c.look("changes since the compaction", c.s)
	restart()
	c.look("a restart after those", c.s)
	for i, of := range []span{{3 * n, 3*n + 50}, {n, n + 50}} { // as the stream brings them
		change := suppress.Change{List: "l", Op: []suppress.Op{suppress.Add, suppress.Remove}[i], Items: c.d.Items}
		for k := of.at; k < of.to; k++ {
			change.Keys = append(change.Keys, c.key(k))
		}
		if err := other.ApplyChange(other.Sequence()+1+uint64(i), &change); err != nil {
			c.t.Fatal(err)
		}
	}
	c.look("transfer and the changes since", other)
	if _, err := c.s.Rollback("l"); err != nil {
		c.t.Fatal(err)
	}
	c.uploads[0], c.uploads[1] = c.uploads[1], c.uploads[0]
	c.look("rollback", c.s)
	c.look("rollback and transfer", c.sentWithChanges())
	restart()
	c.look("rollback and a restart", c.s)
	if _, err := c.s.Rollback("l"); err != nil {
		c.t.Fatal(err)
	}
	c.uploads[0], c.uploads[1] = c.uploads[1], c.uploads[0]
	c.look("rollback of the rollback", c.s)
}

// sentWithChanges compacts first, so that the changes are in what is sent.
func (c *course) sentWithChanges() *suppress.Store {
	c.t.Helper()
	if err := c.s.Compact("l", c.s.Sequence()); err != nil {
		c.t.Fatal(err)
	}
	return c.sent()
}

// TestMembersAreNeverLetThrough takes lists of every kind through replace, add,
// remove, re-add, compaction, restart, rollback and transfer to a second node, and
// looks everybody up after each. With -big at ten million members.
func TestMembersAreNeverLetThrough(t *testing.T) {
	for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
		for _, exact := range []bool{false, true} {
			for _, items := range []bool{false, true} {
				size := uint64(5_000)
				switch {
				case *big && !exact && !items:
					size = 10_000_000
				case *big:
					size = 1_000_000
				}
				t.Run(fmt.Sprintf("%s/exact=%v/items=%v/members=%d", kind, exact, items, size), func(t *testing.T) {
					d := people("l")
					d.Filter, d.Exact, d.Items = kind, exact, items
					c := course{t: t, d: d, size: size, every: max(1, size/200_000), o: suppress.Options{Hash: numberHash, Item: options("").Item, MaxShrink: 1}}
					if !*big {
						c.o.MaxChanges = 400 // so that some changes are folded and some are not
					}
					c.item = c.o.Item("l", []byte("sku"))
					c.run()
				})
			}
		}
	}
}

// TestReadersBesideFolding looks up, all the time, everybody who is certain to be a
// member and everybody who is certain not to be, while others come and go, changes
// are folded into both generations, large ones at once, and the filter is built anew.
func TestReadersBesideFolding(t *testing.T) {
	d := people("l")
	d.Exact = true
	s := open(t, suppress.Options{Dir: t.TempDir(), Hash: numberHash, MaxShrink: 1, MaxChanges: 400})
	declare(t, s, d)
	for range 2 {
		if _, err := s.Replace("l", &numbers{to: 2000}, plain); err != nil {
			t.Fatal(err)
		}
	}
	change := func(op suppress.Op, of span, until uint32) {
		im := plain
		im.Until = until
		if _, err := s.Change("l", op, &numbers{at: of.at, to: of.to}, im); err != nil {
			t.Error(err)
		}
	}
	later := uint32(s.StatusAll()[0].Uploaded) + 3600
	change(suppress.Add, span{5000, 5200}, 0)     // members by a change
	change(suppress.Add, span{5200, 5300}, later) // for an hour
	change(suppress.Remove, span{0, 100}, 0)      // strangers by a change
	change(suppress.Remove, span{100, 200}, 0)    // and members again
	change(suppress.Add, span{100, 200}, 0)       //
	members := []span{{100, 1000}, {5000, 5300}}  // 1000 to 2000, 6000 to 8000: they come and go
	strangers := []span{{0, 100}, {9000, 9500}}   //
	stop, rounds := make(chan struct{}), [2]int{} // a reader's rounds
	var readers sync.WaitGroup
	for i := range rounds {
		readers.Go(func() {
			rounds[i] = lookUpUntil(t, s, stop, later-1, members, strangers)
		})
	}
	for i := range uint64(20) {
		change(suppress.Add, span{6000 + 10*i, 6200 + 10*i}, 0)
		change(suppress.Remove, span{1000 + 10*i, 1100 + 10*i}, 0)
		switch i % 5 {
		case 0:
			change(suppress.Add, span{1000, 1500}, later) // folded at once
		case 1, 3:
			if err := s.Compact("l", s.Sequence()); err != nil {
				t.Error(err)
			}
		case 2:
			change(suppress.Remove, span{6000, 6500}, 0)
		case 4:
			d.Filter = []string{suppress.FilterBloom, suppress.FilterFuse}[i/5%2]
			declare(t, s, d)
		}
	}
	close(stop)
	readers.Wait()
	t.Logf("rounds of the readers: %v", rounds)
	if rounds[0]+rounds[1] == 0 {
		t.Error("nobody was looked up")
	}
}

// lookUpUntil looks all of them up, again and again, and returns how often.
func lookUpUntil(t *testing.T, s *suppress.Store, stop <-chan struct{}, now uint32, members, strangers []span) (rounds int) {
	var p suppress.Probe
	for {
		select {
		case <-stop:
			return rounds
		default:
		}
		for side, spans := range [][]span{members, strangers} {
			for _, of := range spans {
				for n := of.at; n < of.to; n++ {
					p.Reset(number(n))
					if v := s.View(); v.Contains(v.List("l"), &p, now) != (side == 0) {
						t.Errorf("%d is a member: %v", n, side != 0)
						return rounds
					}
				}
			}
		}
		rounds++
	}
}
