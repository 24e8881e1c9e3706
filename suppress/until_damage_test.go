package suppress_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"restraint/suppress"
)

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
