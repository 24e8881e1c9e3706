package suppress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func testUntil(t *testing.T, d suppress.Declaration) {
	clock, dir := newTestClock(), t.TempDir()
	begun := clock.at
	s := untilStore(t, dir, clock, d)
	do := func(how string, seconds int64, ids string) {
		t.Helper()
		var err error
		im, r := untilOf(clock, seconds), strings.NewReader(strings.ReplaceAll(ids, " ", "\n")+"\n")
		switch how {
		case "replace":
			_, err = s.Replace("l", r, im)
		case "add":
			_, err = s.Change("l", suppress.Add, r, im)
		case "remove":
			_, err = s.Change("l", suppress.Remove, r, plain)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	everybody := strings.Fields("a b c d e f g h i x")
	want := func(what string, s *suppress.Store) {
		t.Helper()
		for _, c := range []struct {
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
			if got := at(s, begun+c.seconds, everybody...); got != c.in {
				t.Fatalf("%s: after %d seconds %q are members, want %q", what, c.seconds, got, c.in)
			}
		}
	}
	do("replace", 50, "p q")
	do("replace", 100, "a b c d g")
	do("add", 200, "c f")
	do("add", 0, "d h")
	do("add", 300, "e")
	do("add", 150, "d h") // for good already
	do("add", 400, "g i")
	do("add", 60, "i")
	do("add", 0, "f") // and removed after that
	do("remove", 0, "f x")
	do("add", 200, "f")
	want("changes", s)
	s.Close()
	s = untilStore(t, dir, clock, d)
	want("after a restart", s)
	sent := carried(t, s, clock, d)
	want("sent to another", sent)
	if err := s.Compact("l", s.Sequence()); err != nil {
		t.Fatal(err)
	}
	want("compacted", s)
	if st, _ := s.Status("l"); st.Changes != 0 || st.Keys != 9 || st.Leaving != 7 || st.Until != uint32(begun+100) {
		t.Fatalf("%+v", st)
	}
	want("sent to another", carried(t, s, clock, d))
	s.Close()
	s = untilStore(t, dir, clock, d)
	want("compacted, after a restart", s)
	for range 2 {
		if _, err := s.Rollback("l"); err != nil {
			t.Fatal(err)
		}
	}
	want("rolled back twice", s)
	clock.at = begun + 300
	if st, _ := s.Status("l"); st.Keys != 4 || st.Leaving != 2 {
		t.Fatalf("after 300 seconds: %+v", st)
	}
	if in, err := s.Member("l", testHash("user.id", []byte("e"))); in || err != nil {
		t.Fatalf("e is a member for whoever asks: %v, %v", in, err)
	}
	clock.at = begun + 100 + 25*3600
	do("add", 0, "x")
	if err := s.Compact("l", s.Sequence()); err != nil {
		t.Fatal(err)
	}
	if got := at(s, clock.at, everybody...); got != "d h x" {
		t.Fatalf("a day later %q are members", got)
	}
	if st, _ := s.Status("l"); st.DiskBytes > 2000 || st.Leaving != 0 {
		t.Fatalf("who left a day ago is still in the files: %+v", st)
	}
}

// TestForget: those who left a day ago are in no file any more, of the generation
// before neither; nobody else is touched, and it can be rolled back as before.
func TestForget(t *testing.T) {
	clock, dir := newTestClock(), t.TempDir()
	begun := clock.at
	s := untilStore(t, dir, clock, people("l"))
	put := func(seconds int64, ids string) {
		t.Helper()
		if _, err := s.Replace("l", strings.NewReader(ids), untilOf(clock, seconds)); err != nil {
			t.Fatal(err)
		}
	}
	add := func(seconds int64, ids string) {
		t.Helper()
		if _, err := s.Change("l", suppress.Add, strings.NewReader(ids), untilOf(clock, seconds)); err != nil {
			t.Fatal(err)
		}
	}
	put(100, "a\nb\n")
	add(0, "b\nc\n")
	put(0, "d\n")
	add(100, "e\nf\n")
	if err := s.Compact("l", s.Sequence()); err != nil {
		t.Fatal(err)
	}
	add(200, "f\ng\n") // a journal
	forget := func() {
		t.Helper()
		if err := s.Forget(s.Sequence()); err != nil {
			t.Fatal(err)
		}
	}
	held := func(want string) {
		t.Helper()
		var in []string
		for _, id := range strings.Fields("a b c d e f g") {
			key := testHash("user.id", []byte(id))
			files, err := filepath.Glob(filepath.Join(dir, "lists", "l", "*"))
			if err != nil || len(files) < 3 {
				t.Fatalf("%q, %v", files, err)
			}
			for _, file := range files {
				if b, err := os.ReadFile(file); err != nil {
					t.Fatal(err)
				} else if bytes.Contains(b, key[:]) {
					in = append(in, id)
					break
				}
			}
		}
		if got := strings.Join(in, " "); got != want {
			t.Fatalf("%d seconds later the files hold %q, want %q", clock.at-begun, got, want)
		}
	}
	sizes := func() (cur, prev int64) {
		t.Helper()
		st, _ := s.Status("l")
		if _, err := s.Rollback("l"); err != nil {
			t.Fatal(err)
		}
		back, _ := s.Status("l")
		if _, err := s.Rollback("l"); err != nil {
			t.Fatal(err)
		}
		return st.Keys, back.Keys
	}
	forget()
	held("a b c d e f g")
	clock.at = begun + 100 + 24*3600 - 1
	forget()
	held("a b c d e f g")
	clock.at++
	forget()
	held("b c d f g")
	for range 2 {
		if cur, prev := sizes(); cur != 1 || prev != 2 {
			t.Fatalf("%d members, %d of the generation before", cur, prev)
		}
		s.Close()
		s = untilStore(t, dir, clock, people("l"))
	}
	clock.at += 100
	forget()
	held("b c d")
	if st, _ := s.Status("l"); st.Keys != 1 || st.Changes != 0 {
		t.Fatalf("%+v", st)
	}
	if got := at(s, clock.at, "a", "b", "c", "d", "e", "f", "g"); got != "d" {
		t.Fatalf("members are %q", got)
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
	var p suppress.Probe
	for _, second := range []uint32{0, 1, 2, 300, 500, 998, 1000, 1001} {
		now, wrong, members := uint32(clock.at)+second, 0, int64(0)
		for n := range uint64(people) {
			p.Reset(number(n))
			want := leaves[n] > now
			if want {
				members++
			}
			for _, store := range []*suppress.Store{s, other} {
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
		for _, store := range []*suppress.Store{s, other} {
			if st, _ := store.Status("l"); st.Keys != members {
				t.Fatalf("%d members at +%d, want %d", st.Keys, second, members)
			}
		}
		clock.at = before
	}
}

// TestUntilDamaged: a generation is not trusted when it is not known who leaves.
func TestUntilDamaged(t *testing.T) {
	clock := newTestClock()
	for _, fromEnd := range []int{1, 20, 60, 100} { // an entry, another, the head, a key
		dir := t.TempDir()
		s := untilStore(t, dir, clock, people("l"))
		for _, seconds := range []int64{100, 300, 0} {
			if _, err := s.Change("l", suppress.Add, strings.NewReader(fmt.Sprintf("a%d\n", seconds)), untilOf(clock, seconds)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Compact("l", s.Sequence()); err != nil {
			t.Fatal(err)
		}
		s.Close()
		corrupt(t, keysOf(t, dir, 1), fromEnd)
		s = open(t, options(dir))
		declare(t, s, people("l"))
		if st, _ := s.Status("l"); st.State != suppress.StateDamaged || trusted(s) {
			t.Errorf("byte %d from the end: %+v", fromEnd, st)
		}
		s.Close()
	}
}

// TestUntilAllocations: to look at when somebody leaves takes no memory.
func TestUntilAllocations(t *testing.T) {
	clock := newTestClock()
	s := untilStore(t, t.TempDir(), clock, people("l"))
	for i := range 4 {
		if _, err := s.Change("l", suppress.Add, strings.NewReader("a\nb\n"), untilOf(clock, int64(100-20*i))); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := s.Compact("l", s.Sequence()); err != nil {
				t.Fatal(err)
			}
		}
	}
	var p suppress.Probe
	key := testHash("user.id", []byte("a"))
	for _, now := range []uint32{0, uint32(clock.at) + 99, uint32(clock.at) + 100} {
		in := false
		if got := testing.AllocsPerRun(100, func() {
			p.Reset(key)
			v := s.View()
			in = v.Contains(v.List("l"), &p, now)
		}); got >= 1 {
			t.Errorf("%v allocations", got)
		}
		if want := int64(now) < clock.at+100; in != want {
			t.Errorf("at %v: %v", time.Unix(int64(now), 0), in)
		}
	}
}
