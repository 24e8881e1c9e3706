package suppress_test

import (
	"testing"

	"restraint/suppress"
)

// A person's keys are taken off a list, in base and changes, for readers and after a restart; others stay, and the
// next replacement decides anew.
func TestRemoveKeys(t *testing.T) {
	d := people("l")
	d.Exact = true
	s := numberStore(t, d, 5)
	in := func(n uint64) bool {
		t.Helper()
		member, err := s.Member("l", number(n))
		if err != nil {
			t.Fatal(err)
		}
		var p suppress.Probe
		p.Reset(number(n))
		v := s.View()
		if seen := v.Contains(v.List("l"), &p, 0); seen != member {
			t.Errorf("%d: readers see %v, the look-up says %v", n, seen, member)
		}
		return member
	}
	if err := s.RemoveKeys("l", []suppress.Key{number(1), number(3), number(99)}); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(5) {
		if got := in(n); got == (n == 1 || n == 3) {
			t.Errorf("%d: member %v", n, got)
		}
	}
	if st, err := s.Status("l"); err != nil || st.Keys != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := s.RemoveKeys("nobodys", []suppress.Key{number(1)}); err != nil {
		t.Errorf("a list that there is not: %v", err)
	}
	if err := s.RemoveKeys("l", nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Replace("l", &numbers{to: 5}, plain); err != nil || !in(1) {
		t.Errorf("the next upload does not decide: %v", err)
	}
	s.Close()
	if err := s.RemoveKeys("l", []suppress.Key{number(1)}); err == nil {
		t.Error("a closed store takes a removal")
	}
}
