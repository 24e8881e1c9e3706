package suppress

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func diskStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Hash: func(_ string, id []byte) Key { return sha256Key(id) }, MaxShrink: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Declare([]Declaration{{Name: "l", Sources: []string{"user.id"}}}); err != nil {
		t.Fatal(err)
	}
	return s
}

var lineImport = Import{Format: Plain, ID: "user.id"}

func (s *Store) mustChange(t *testing.T, body string) {
	t.Helper()
	if _, err := s.Change("l", Add, strings.NewReader(body), lineImport); err != nil {
		t.Fatal(err)
	}
}

func wantMembers(t *testing.T, dir string, ids ...string) {
	t.Helper()
	s := diskStore(t, dir)
	for _, id := range ids {
		if in, err := s.Member("l", sha256Key([]byte(id))); !in || err != nil {
			t.Errorf("%s is not a member: %v", id, err)
		}
	}
	if st, _ := s.Status("l"); int(st.Keys) != len(ids) || !s.View().Trusted(s.View().List("l")) {
		t.Errorf("got %+v %v", st, s.Notices())
	}
}

// failAfter makes syncing a directory fail from the n-th time on.
func failAfter(s *Store, n int) {
	s.syncDir = func(dir string) error {
		if n--; n < 0 {
			return &os.PathError{Op: "sync", Path: dir, Err: errors.New("input/output error")}
		}
		return syncDir(dir)
	}
	for _, l := range s.lists {
		if l.log != nil {
			l.log.syncDir = s.syncDir
		}
	}
}

// TestJournalNotDurable rewrites the journal while its directory cannot be
// synced. The new file is the journal from then on; a change is acknowledged
// only when its name outlives a power cut.
func TestJournalNotDurable(t *testing.T) {
	dir := t.TempDir()
	s := diskStore(t, dir)
	s.mustChange(t, "a\n")
	l := s.lists["l"]
	failAfter(s, 0)
	l.mu.Lock()
	s.rewriteJournalLocked(l)
	l.mu.Unlock()
	if _, err := s.Change("l", Add, strings.NewReader("b\n"), lineImport); err == nil {
		t.Fatal("a change was acknowledged that a power cut may undo")
	}
	if err := s.Sync(); err == nil {
		t.Fatal("Sync says that a power cut undoes nothing")
	}
	failAfter(s, 1000)
	s.mustChange(t, "c\n")
	if l.log.unsynced != "" {
		t.Fatal("the directory was not synced")
	}
	s.Close()
	wantMembers(t, dir, "a", "c")
}

// TestGenerationNotDurable fails wherever an upload or a deletion syncs a
// directory: afterwards the disk holds what the pointer names.
func TestGenerationNotDurable(t *testing.T) {
	published := 0
	for n := range 4 {
		dir := t.TempDir()
		s := diskStore(t, dir)
		if _, err := s.Replace("l", strings.NewReader("a\nb\n"), lineImport); err != nil {
			t.Fatal(err)
		}
		s.mustChange(t, "c\n")
		failAfter(s, n)
		want := []string{"a", "b", "c"}
		_, err := s.Replace("l", strings.NewReader("d\n"), lineImport)
		if errors.Is(err, ErrNotDurable) {
			published++
			if len(s.Notices()) == 0 {
				t.Error("nobody is told")
			}
			if strings.Contains(err.Error(), dir) {
				t.Errorf("a path of the node is in %q", err)
			}
		}
		if err == nil || errors.Is(err, ErrNotDurable) {
			want = []string{"d"}
		}
		if st, _ := s.Status("l"); int(st.Keys) != len(want) {
			t.Errorf("fails after %d: got %+v, want %q", n, st, want)
		}
		s.Close()
		wantMembers(t, dir, want...)
	}
	if published == 0 {
		t.Fatal("the pointer was never made without being durable")
	}
}

// TestNoSpace: a full disk is told apart, by a text without a path of the node.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	s := diskStore(t, dir)
	s.mustChange(t, "a\n")
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := s.lists["l"]
	good := l.log.file
	l.log.file = &plainFile{full}
	_, err = s.Change("l", Add, strings.NewReader("b\n"), lineImport)
	if !errors.Is(err, ErrNoSpace) || strings.Contains(err.Error(), "/") {
		t.Fatalf("got %v", err)
	}
	l.log.file = good
	full.Close()
	s.mustChange(t, "c\n")
	s.Close()
	wantMembers(t, dir, "a", "c")
}

// TestOutward takes every path out, also where several errors are joined.
func TestOutward(t *testing.T) {
	dir := t.TempDir()
	_, opened := os.Open(filepath.Join(dir, "x"))
	renamed := os.Rename(filepath.Join(dir, "y"), filepath.Join(dir, "z"))
	err := outward(errors.Join(errors.New("write"), opened, errors.Join(renamed)))
	if strings.Contains(err.Error(), dir) || !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	if outward(nil) != nil {
		t.Fatal("nothing became an error")
	}
}

// TestClosed: whatever reaches the disk is refused once the store is closed,
// however late it finds out.
func TestClosed(t *testing.T) {
	s := diskStore(t, t.TempDir())
	if _, err := s.Replace("l", strings.NewReader("a\n"), lineImport); err != nil {
		t.Fatal(err)
	}
	s.mustChange(t, "b\n")
	l := s.lists["l"]
	s.Close()
	l.mu.Lock()
	journal := s.journalLocked(l, shapePlain)
	apply := s.applyLocked(l, newChange(1, Add, 0), shapePlain, nil, true)
	s.rewriteJournalLocked(l)
	reopened := l.log != nil
	l.mu.Unlock()
	_, base := s.newBase(l)
	for name, err := range map[string]error{"journal": journal, "apply": apply, "base": base, "commit": s.commit(l, nextBase{cur: l.cur})} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if reopened {
		t.Error("the journal is open again")
	}
}
