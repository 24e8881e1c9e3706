package identity

import (
	"testing"
)

// Each part of what a hash is of tells it from others, and two secrets have nothing in
// common.
func TestReportsTellApart(t *testing.T) {
	secret := func(text string) Secret {
		s, err := ParseSecret([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seen := map[uint64]string{}
	add := func(what string, h uint64) {
		if h == 0 || seen[h] != "" {
			t.Errorf("%s and %s are both %x", what, seen[h], h)
		}
		seen[h] = what
	}
	key, other := Key{1}, Key{2}
	for name, s := range map[string]Secret{"a": secret("0123456789abcdef0123456789abcdef"), "b": secret("0123456789abcdef0123456789abcdeg")} {
		r := NewReports(s)
		add(name+" id", r.Named(1, 1, key[:]))
		add(name+" other id", r.Named(1, 1, other[:]))
		add(name+" other campaign", r.Named(2, 1, key[:]))
		add(name+" other kind", r.Named(1, 2, key[:]))
		add(name+" token", r.ByToken(1, 1, 5))
		add(name+" other token", r.ByToken(1, 1, 6))
		add(name+" person's", r.ByPerson(1, 1, 5, key))
		add(name+" on another day", r.ByPerson(1, 1, 6, key))
		add(name+" person", r.Person(1, 5, key))
		add(name+" on another day", r.Person(1, 6, key))
		add(name+" for another campaign", r.Person(2, 5, key))
		add(name+" another", r.Person(1, 5, other))
		if r.Named(1, 1, key[:]) != NewReports(s).Named(1, 1, key[:]) {
			t.Error("the same report is another")
		}
	}
	r := NewReports(secret("0123456789abcdef0123456789abcdef"))
	id := make([]byte, 1024)
	if n := testing.AllocsPerRun(50, func() { r.Named(1, 1, id) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
