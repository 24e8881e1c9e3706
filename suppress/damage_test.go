package suppress_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/suppress"
)

// corrupt changes one byte of the file at a place counted from its end.
func corrupt(t *testing.T, path string, fromEnd int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-fromEnd] ^= 0x40
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	keys := func(g int) string {
		all, _ := filepath.Glob(filepath.Join(dir, "lists", "l", fmt.Sprintf("%010d-*.keys", g)))
		if len(all) != 1 {
			t.Fatalf("generation %d has %q", g, all)
		}
		return all[0]
	}
	reopen := func() *suppress.Store {
		s := open(t, suppress.Options{Dir: dir, Hash: numberHash})
		declare(t, s, people("l"))
		return s
	}
	upload := func(s *suppress.Store, to uint64) {
		if _, err := s.Replace("l", &numbers{to: to}, plain); err != nil {
			t.Fatal(err)
		}
	}
	want := func(s *suppress.Store, state suppress.State, members int64, notices int) {
		t.Helper()
		st, _ := s.Status("l")
		if st.State != state || st.Keys != members || len(s.Notices()) != notices {
			t.Fatalf("got %+v\n%v", st, s.Notices())
		}
	}
	s := reopen()
	upload(s, 100)
	upload(s, 200)
	if _, err := s.Change("l", suppress.Add, &numbers{at: 500, to: 505}, plain); err != nil {
		t.Fatal(err)
	}
	s.Close()
	corrupt(t, keys(2), 40)
	s = reopen()
	want(s, suppress.StateReady, 105, 1) // the generation before, and the changes over it
	upload(s, 300)
	s.Close()

	corrupt(t, filepath.Join(dir, "lists", "l", "current"), 3)
	s = reopen()
	want(s, suppress.StateReady, 300, 1)
	if _, err := s.Change("l", suppress.Add, &numbers{at: 500, to: 501}, plain); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Change("l", suppress.Add, &numbers{at: 501, to: 503}, plain); err != nil {
		t.Fatal(err)
	}
	s.Close()

	log := filepath.Join(dir, "lists", "l", "changes.log")
	st, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(log, st.Size()-1); err != nil { // a torn tail
		t.Fatal(err)
	}
	s = reopen()
	want(s, suppress.StateReady, 301, 1)
	s.Close()
	s = reopen()
	want(s, suppress.StateReady, 301, 0)
	s.Close()

	corrupt(t, keys(1), 1)
	corrupt(t, keys(3), 1)
	for range 2 { // it stays known that the list is damaged
		s = reopen()
		if st, _ := s.Status("l"); st.State != suppress.StateDamaged || s.View().Ready(0) || len(s.Notices()) == 0 {
			t.Fatalf("got %+v", st)
		}
		s.Close()
	}
	s = reopen()
	upload(s, 10)
	if st, _ := s.Status("l"); st.State != suppress.StateReady || st.Generation < 4 {
		t.Fatalf("got %+v", st)
	}
	if err := s.Delete("l"); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(filepath.Join(dir, "lists", "l"))
	for _, f := range left {
		if st, err := f.Info(); err != nil || st.Size() > 1000 {
			t.Errorf("after delete %q is left, of %d bytes", f.Name(), st.Size())
		}
	}
}

func TestOtherSecret(t *testing.T) {
	o := suppress.Options{Dir: t.TempDir(), Hash: numberHash, Fingerprint: "one"}
	s := open(t, o)
	declare(t, s, people("l"), people("changes only"))
	if _, err := s.Replace("l", &numbers{to: 3}, plain); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply("changes only", 1, suppress.Add, []suppress.Key{number(1)}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	o.Fingerprint = "two"
	_, err := suppress.Open(o)
	if !errors.Is(err, suppress.ErrFingerprint) || !strings.Contains(err.Error(), `"one"`) || !strings.Contains(err.Error(), `"two"`) {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(o.Dir, "lists", "l"))
	if _, err := suppress.Open(o); !errors.Is(err, suppress.ErrFingerprint) {
		t.Fatalf("a journal of another secret: %v", err)
	}
}
