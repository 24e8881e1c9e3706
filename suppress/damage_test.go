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

// damageStore opens the one list "l" of a directory. Its uploads may shrink.
func damageStore(t *testing.T, dir string) *suppress.Store {
	t.Helper()
	s := open(t, suppress.Options{Dir: dir, Hash: numberHash, MaxShrink: 1, MaxChanges: 100})
	declare(t, s, people("l"))
	return s
}

func upload(t *testing.T, s *suppress.Store, to uint64) {
	t.Helper()
	if _, err := s.Replace("l", &numbers{to: to}, plain); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, s *suppress.Store, from, to uint64) {
	t.Helper()
	if _, err := s.Change("l", suppress.Add, &numbers{at: from, to: to}, plain); err != nil {
		t.Fatal(err)
	}
}

func trusted(s *suppress.Store) bool {
	v := s.View()
	return v.Trusted(v.List("l"))
}

// keysOf is the path of the key file of a generation.
func keysOf(t *testing.T, dir string, generation int) string {
	t.Helper()
	all, _ := filepath.Glob(filepath.Join(dir, "lists", "l", fmt.Sprintf("%010d-*.keys", generation)))
	if len(all) != 1 {
		t.Fatalf("generation %d has %q", generation, all)
	}
	return all[0]
}

// damages are what may happen to the files of a list with generations 1 (100
// members) and 2 (200), and the changes 500..504 and 505..509, two frames.
var damages = []struct {
	name    string
	do      func(t *testing.T, dir string)
	members int64
	back    int64 // after a rollback; 0: it is refused
}{
	{"current generation", func(t *testing.T, dir string) { corrupt(t, keysOf(t, dir, 2), 40) }, 110, 110},
	{"current generation gone", func(t *testing.T, dir string) { os.Remove(keysOf(t, dir, 2)) }, 110, 110},
	{"both generations", func(t *testing.T, dir string) {
		corrupt(t, keysOf(t, dir, 1), 1)
		corrupt(t, keysOf(t, dir, 2), 1)
	}, 10, 0},
	{"pointer", func(t *testing.T, dir string) { corrupt(t, filepath.Join(dir, "lists", "l", "current"), 3) }, 210, 110},
	{"pointer gone", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "lists", "l", "current")) }, 210, 110},
	{"pointer and generations gone", func(t *testing.T, dir string) {
		os.Remove(filepath.Join(dir, "lists", "l", "current"))
		os.Remove(keysOf(t, dir, 1))
		os.Remove(keysOf(t, dir, 2))
	}, 10, 0},
	{"head of the journal", func(t *testing.T, dir string) { corruptLog(t, dir, 2*(28+80)+10) }, 200, 0},
	{"journal gone", func(t *testing.T, dir string) { os.Remove(logOf(dir)) }, 200, 0},
	{"head of a frame in the middle", func(t *testing.T, dir string) { corruptLog(t, dir, 2*(28+80)-5) }, 205, 0},
	{"keys of a frame in the middle", func(t *testing.T, dir string) { corruptLog(t, dir, 28+80+3) }, 205, 0},
	{"keys of the last frame", func(t *testing.T, dir string) { corruptLog(t, dir, 1) }, 205, 0},
	{"count of the last frame", func(t *testing.T, dir string) { corruptLog(t, dir, 28+80-18) }, 205, 0},
}

func logOf(dir string) string { return filepath.Join(dir, "lists", "l", "changes.log") }

func corruptLog(t *testing.T, dir string, fromEnd int) { corrupt(t, logOf(dir), fromEnd) }

// damaged is the directory of such a list after the damage.
func damaged(t *testing.T, damage func(t *testing.T, dir string)) string {
	t.Helper()
	dir := t.TempDir()
	s := damageStore(t, dir)
	upload(t, s, 100)
	upload(t, s, 200)
	add(t, s, 500, 505)
	add(t, s, 505, 510)
	s.Close()
	damage(t, dir)
	return dir
}

// TestDamage: whatever may have lost a member makes the list one that is not
// trusted, at every start from then on, until a new upload, and somebody is told.
func TestDamage(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			dir := damaged(t, c.do)
			var s *suppress.Store
			for range 3 {
				s = damageStore(t, dir)
				st, _ := s.Status("l")
				if st.State != suppress.StateDamaged || st.Keys != c.members || trusted(s) || s.View().Ready(0) {
					t.Fatalf("got %+v\n%v", st, s.Notices())
				}
				if n := s.Notices(); len(n) == 0 || !strings.Contains(n[0].Detail, "upload") || strings.Contains(fmt.Sprint(n), dir) {
					t.Fatalf("notices %v", n)
				}
				s.Close()
			}
			s = damageStore(t, dir)
			refuseFolding(t, s)
			upload(t, s, 300)
			for range 2 {
				if st, _ := s.Status("l"); st.State != suppress.StateReady || st.Keys != 300 || !trusted(s) {
					t.Fatalf("got %+v", st)
				}
				s.Close()
				if s = damageStore(t, dir); len(s.Notices()) > 0 {
					t.Fatalf("notices %v", s.Notices())
				}
			}
		})
	}
}

// refuseFolding adds more than fits in memory, and compacts: both would hide
// what was lost. A few more members are taken all the same.
func refuseFolding(t *testing.T, s *suppress.Store) {
	t.Helper()
	add(t, s, 600, 601)
	if _, err := s.Change("l", suppress.Add, &numbers{at: 700, to: 900}, plain); !errors.Is(err, suppress.ErrDamaged) {
		t.Fatalf("a big change: %v", err)
	}
	if err := s.Compact("l", s.Sequence()); !errors.Is(err, suppress.ErrDamaged) {
		t.Fatalf("compaction: %v", err)
	}
	if trusted(s) {
		t.Fatal("a damaged list is trusted after a change")
	}
}

// TestDamageRollback: a person may settle for a generation that is left whole,
// but not where changes were lost.
func TestDamageRollback(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			dir := damaged(t, c.do)
			s := damageStore(t, dir)
			st, err := s.Rollback("l")
			if (err == nil) != (c.back > 0) || trusted(s) != (c.back > 0) {
				t.Fatalf("got %+v, %v", st, err)
			}
			s.Close()
			s = damageStore(t, dir)
			if trusted(s) != (c.back > 0) {
				t.Fatal("the next start thinks otherwise")
			}
			if st, _ = s.Status("l"); c.back > 0 && st.Keys != c.back {
				t.Fatalf("got %+v", st)
			}
		})
	}
}

// TestDamageHarmless: nothing acknowledged is lost, and the list stays trusted.
func TestDamageHarmless(t *testing.T) {
	for name, c := range map[string]struct {
		do      func(t *testing.T, dir string)
		members int64
	}{
		"previous generation": {func(t *testing.T, dir string) { corrupt(t, keysOf(t, dir, 1), 1) }, 205},
		"torn keys":           {func(t *testing.T, dir string) { cutLog(t, dir, 1) }, 200},
		"torn head":           {func(t *testing.T, dir string) { cutLog(t, dir, 80+3) }, 200},
		"torn magic":          {func(t *testing.T, dir string) { cutLog(t, dir, 80+26) }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := damageStore(t, dir)
			upload(t, s, 100)
			upload(t, s, 200)
			add(t, s, 500, 505)
			s.Close()
			c.do(t, dir)
			for n := range 2 {
				s = damageStore(t, dir)
				if st, _ := s.Status("l"); st.State != suppress.StateReady || st.Keys != c.members || !trusted(s) || len(s.Notices()) != 1-n {
					t.Fatalf("start %d: got %+v\n%v", n, st, s.Notices())
				}
				s.Close()
			}
		})
	}
}

func cutLog(t *testing.T, dir string, bytes int64) {
	t.Helper()
	st, err := os.Stat(logOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(logOf(dir), st.Size()-bytes); err != nil {
		t.Fatal(err)
	}
}

// TestDamageWhileOpen: keys that change under an open store are not folded into
// a generation with a good checksum, nor rolled back to.
func TestDamageWhileOpen(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	upload(t, s, 100)
	upload(t, s, 200)
	add(t, s, 500, 505)
	corrupt(t, keysOf(t, dir, 1), 1)
	if _, err := s.Rollback("l"); !errors.Is(err, suppress.ErrDamaged) {
		t.Fatalf("rollback: %v", err)
	}
	corrupt(t, keysOf(t, dir, 1), 1)
	corrupt(t, keysOf(t, dir, 2), 1)
	if err := s.Compact("l", s.Sequence()); !errors.Is(err, suppress.ErrDamaged) {
		t.Fatalf("compaction: %v", err)
	}
	if st, _ := s.Status("l"); st.Keys != 205 || st.Generation != 2 {
		t.Fatalf("got %+v", st)
	}
	upload(t, s, 300)
	if st, _ := s.Status("l"); st.Keys != 300 || !trusted(s) {
		t.Fatalf("got %+v", st)
	}
}

func TestDamageDelete(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	upload(t, s, 100)
	s.Close()
	corrupt(t, keysOf(t, dir, 1), 1)
	s = damageStore(t, dir)
	if err := s.Delete("l"); err != nil || !trusted(s) {
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
