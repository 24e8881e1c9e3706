package suppress_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"restraint/suppress"
)

// untilStore is a store with its clock, in a directory that may hold one already.
func untilStore(t *testing.T, dir string, clock *testClock, d suppress.Declaration) *suppress.Store {
	t.Helper()
	o := options(dir)
	o.Now, o.MaxShrink = clock.now, 1
	s := open(t, o)
	if n := s.Notices(); len(n) > 0 {
		t.Fatalf("notices: %v", n)
	}
	declare(t, s, d)
	return s
}

// at says who of them is a member at a second.
func at(s *suppress.Store, second int64, ids ...string) (in string) {
	v := s.View()
	var p suppress.Probe
	for _, id := range ids {
		p.Reset(testHash("user.id", []byte(id)))
		if v.Contains(v.List("l"), &p, uint32(second)) {
			in += id + " "
		}
	}
	return strings.TrimSpace(in)
}

func untilOf(clock *testClock, seconds int64) suppress.Import {
	im := plain
	if seconds != 0 {
		im.Until = uint32(clock.at + seconds)
	}
	return im
}

// TestUntil: members leave at the second of their upload or addition, not before
// and not after, whatever is done to the list meanwhile; who was given no end, or a
// later one, stays as long as that.
func TestUntil(t *testing.T) {
	for _, exact := range []bool{false, true} {
		for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
			t.Run(fmt.Sprintf("%s/exact=%v", kind, exact), func(t *testing.T) {
				d := people("l")
				d.Filter, d.Exact = kind, exact
				testUntil(t, d)
			})
		}
	}
}

// untilCourse is a list whose members leave, and the second at which it began.
type untilCourse struct {
	t     *testing.T
	clock *testClock
	begun int64
	dir   string
	d     suppress.Declaration
	s     *suppress.Store
}

func newUntilCourse(t *testing.T, d suppress.Declaration) *untilCourse {
	t.Helper()
	c := &untilCourse{t: t, clock: newTestClock(), dir: t.TempDir(), d: d}
	c.begun = c.clock.at
	c.s = untilStore(t, c.dir, c.clock, d)
	return c
}

func (c *untilCourse) restart() {
	c.t.Helper()
	c.s.Close()
	c.s = untilStore(c.t, c.dir, c.clock, c.d)
}

// do replaces, adds until so many seconds from now (0: for good), or removes.
func (c *untilCourse) do(how string, seconds int64, ids string) {
	c.t.Helper()
	var err error
	im, r := untilOf(c.clock, seconds), strings.NewReader(strings.ReplaceAll(ids, " ", "\n")+"\n")
	switch how {
	case "replace":
		_, err = c.s.Replace("l", r, im)
	case "add":
		_, err = c.s.Change("l", suppress.Add, r, im)
	case "remove":
		_, err = c.s.Change("l", suppress.Remove, r, plain)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *untilCourse) compact() {
	c.t.Helper()
	if err := c.s.Compact("l", c.s.Sequence()); err != nil {
		c.t.Fatal(err)
	}
}

// want looks at who is a member when, in a store with what testUntil does.
func (c *untilCourse) want(what string, s *suppress.Store) {
	c.t.Helper()
	for _, w := range []struct {
		seconds int64
		in      string
	}{
		{0, "a b c d e f g h i"},
		{99, "a b c d e f g h i"},
		{100, "c d e f g h i"}, // a and b of the upload
		{199, "c d e f g h i"},
		{200, "d e g h i"}, // c, f
		{300, "d g h i"},   // e
		{400, "d h"},       // g, i: the later of two
		{400_000_000, "d h"},
	} {
		if got := at(s, c.begun+w.seconds, strings.Fields("a b c d e f g h i x")...); got != w.in {
			c.t.Fatalf("%s: after %d seconds %q are members, want %q", what, w.seconds, got, w.in)
		}
	}
}

func testUntil(t *testing.T, d suppress.Declaration) {
	c := newUntilCourse(t, d)
	c.do("replace", 50, "p q")
	c.do("replace", 100, "a b c d g")
	c.do("add", 200, "c f")
	c.do("add", 0, "d h")
	c.do("add", 300, "e")
	c.do("add", 150, "d h") // for good already
	c.do("add", 400, "g i")
	c.do("add", 60, "i")
	c.do("add", 0, "f") // and removed after that
	c.do("remove", 0, "f x")
	c.do("add", 200, "f")
	c.want("changes", c.s)
	c.restart()
	c.want("after a restart", c.s)
	sent := carried(t, c.s, c.clock, d)
	c.want("sent to another", sent)
	c.compact()
	c.want("compacted", c.s)
	if st, _ := c.s.Status("l"); st.Changes != 0 || st.Keys != 9 || st.Leaving != 7 || st.Until != uint32(c.begun+100) {
		t.Fatalf("%+v", st)
	}
	c.want("sent to another", carried(t, c.s, c.clock, d))
	c.restart()
	c.want("compacted, after a restart", c.s)
	for range 2 {
		if _, err := c.s.Rollback("l"); err != nil {
			t.Fatal(err)
		}
	}
	c.want("rolled back twice", c.s)
	c.clock.at = c.begun + 300
	if st, _ := c.s.Status("l"); st.Keys != 4 || st.Leaving != 2 {
		t.Fatalf("after 300 seconds: %+v", st)
	}
	if in, err := c.s.Member("l", testHash("user.id", []byte("e"))); in || err != nil {
		t.Fatalf("e is a member for whoever asks: %v, %v", in, err)
	}
	c.clock.at = c.begun + 100 + 25*3600
	c.do("add", 0, "x")
	c.compact()
	if got := at(c.s, c.clock.at, strings.Fields("a b c d e f g h i x")...); got != "d h x" {
		t.Fatalf("a day later %q are members", got)
	}
	if st, _ := c.s.Status("l"); st.DiskBytes > 2000 || st.Leaving != 0 {
		t.Fatalf("who left a day ago is still in the files: %+v", st)
	}
}

// carried is another store with the generation and the changes of s.
func carried(t *testing.T, s *suppress.Store, clock *testClock, d suppress.Declaration) *suppress.Store {
	t.Helper()
	e, err := s.Export("l")
	if err != nil {
		t.Fatal(err)
	}
	form, err := suppress.AppendShipment(nil, &e.Shipment)
	if err != nil {
		t.Fatal(err)
	}
	sh, err := suppress.ParseShipment(form)
	if err != nil {
		t.Fatal(err)
	}
	to := untilStore(t, t.TempDir(), clock, d)
	if _, err := to.Install("l", &sh, e.Reader(), nil); err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.Changes == 0 {
		return to
	}
	// The changes, as the stream would bring them: late ones first.
	for i, c := range []struct {
		op    suppress.Op
		until int64
		ids   string
	}{
		{suppress.Add, 200, "c"},
		{suppress.Add, 0, "d h"},
		{suppress.Add, 300, "e"},
		{suppress.Add, 150, "d h"},
		{suppress.Add, 400, "g i"},
		{suppress.Add, 60, "i"},
		{suppress.Add, 0, "f"},
		{suppress.Remove, 0, "f x"},
		{suppress.Add, 200, "f"},
	} {
		change := suppress.Change{List: "l", Fingerprint: options("").Fingerprint, Op: c.op}
		if c.until != 0 {
			change.Until = uint32(clock.at + c.until)
		}
		for _, id := range strings.Fields(c.ids) {
			change.Keys = append(change.Keys, testHash("user.id", []byte(id)))
		}
		message, err := suppress.AppendChange(nil, &change)
		if err != nil {
			t.Fatal(err)
		}
		back, err := suppress.ParseChange(message)
		if err != nil || back.Until != change.Until {
			t.Fatalf("%+v, %v", back, err)
		}
		defer func() {
			if err := to.ApplyChange(sh.Start+uint64(i)+1, &back); err != nil {
				t.Error(err)
			}
		}()
	}
	return to
}

// TestUntilRefused: a second that cannot be meant is refused before a byte is read.
func TestUntilRefused(t *testing.T) {
	clock := newTestClock()
	s := untilStore(t, t.TempDir(), clock, people("l"))
	for _, c := range []struct {
		op     suppress.Op
		until  uint32
		phrase string
	}{
		{suppress.Add, uint32(clock.at), "which is past"},
		{suppress.Add, 1, "1970-01-01T00:00:01Z, which is past"},
		{suppress.Add, uint32(clock.at) + 11*366*24*3600, "more than ten years ahead"},
		{suppress.Add, never, "more than ten years ahead"},
		{suppress.Remove, uint32(clock.at) + 60, "leave it out"},
	} {
		im := plain
		im.Until = c.until
		_, err := s.Change("l", c.op, unread{t}, im)
		if !errors.Is(err, suppress.ErrImport) || !strings.Contains(err.Error(), c.phrase) {
			t.Errorf("op %d until %d: %v", c.op, c.until, err)
		}
		if c.op == suppress.Remove {
			continue
		}
		if _, err := s.Replace("l", unread{t}, im); !errors.Is(err, suppress.ErrImport) {
			t.Errorf("replace until %d: %v", c.until, err)
		}
	}
	if st, _ := s.Status("l"); st.State != suppress.StateNone {
		t.Errorf("%+v", st)
	}
}

// TestUntilMany adds more than fit in memory, each part with an end of its own,
// and looks everybody up at every second at which some leave, in the store and in
// one to which it was sent.
func TestUntilMany(t *testing.T) {
	const people, parts = 20_000, 40
	clock, rng := newTestClock(), rand.New(rand.NewPCG(1, 2))
	d := suppress.Declaration{Name: "l", Sources: []string{"user.id"}}
	o := suppress.Options{Dir: t.TempDir(), Hash: numberHash, Now: clock.now, MaxShrink: 1, MaxChanges: 300}
	s := open(t, o)
	declare(t, s, d)
	leaves := make([]uint32, people)
	for i := range parts {
		from := rng.Uint64N(people)
		to := min(people, from+1+rng.Uint64N(3000))
		im, op := plain, suppress.Add
		switch rng.IntN(5) {
		case 0:
			op = suppress.Remove
		case 1: // for good
		default:
			im.Until = uint32(clock.at) + 1 + rng.Uint32N(1000)
		}
		for n := from; n < to; n++ {
			if leaves[n] = max(leaves[n], leavesAt(im.Until)); op == suppress.Remove {
				leaves[n] = 0
			}
		}
		if _, err := s.Change("l", op, &numbers{at: from, to: to}, im); err != nil {
			t.Fatal(i, err)
		}
	}
	e, err := s.Export("l")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = t.TempDir()
	other := open(t, o)
	declare(t, other, d)
	if e.Leaving == 0 || e.Version != 2 {
		t.Fatalf("%+v", e.Shipment)
	}
	if _, err := other.Install("l", &e.Shipment, io.LimitReader(e.Reader(), e.Bytes-1), nil); !errors.Is(err, suppress.ErrDamaged) {
		t.Fatalf("without its last byte: %v", err)
	}
	if _, err := other.Install("l", &e.Shipment, e.Reader(), nil); err != nil {
		t.Fatal(err)
	}
	compareLeaving(t, clock, leaves, s, other)
}

// compareLeaving looks everybody up at seconds at which some leave, and counts them.
func compareLeaving(t *testing.T, clock *testClock, leaves []uint32, stores ...*suppress.Store) {
	t.Helper()
	var p suppress.Probe
	for _, second := range []uint32{0, 1, 2, 300, 500, 998, 1000, 1001} {
		now, wrong, members := uint32(clock.at)+second, 0, int64(0)
		for n := range uint64(len(leaves)) {
			p.Reset(number(n))
			want := leaves[n] > now
			if want {
				members++
			}
			for _, store := range stores {
				if in := store.View().Contains(0, &p, now); want && !in {
					t.Fatalf("member %d is let through at +%d", n, second)
				} else if in && !want {
					wrong++
				}
			}
		}
		if wrong > 20 {
			t.Fatalf("%d of those who left, or never came, are taken for members at +%d", wrong, second)
		}
		before := clock.at
		clock.at = int64(now)
		for _, store := range stores {
			if st, _ := store.Status("l"); st.Keys != members {
				t.Fatalf("%d members at +%d, want %d", st.Keys, second, members)
			}
		}
		clock.at = before
	}
}
