package suppress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/edge/atrest"
	"restraint/suppress"
)

// cryptDisk encrypts files below a folder.
type cryptDisk struct{ disk *atrest.Disk }

func encrypted(t testing.TB, dir string) suppress.Disk {
	t.Helper()
	keys, err := atrest.ParseKeys([]byte("\x00a key of a test, of 32 bytes..."))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := atrest.Open(atrest.Options{Dir: dir, Keys: keys, Lock: filepath.Join(dir, "lock"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return cryptDisk{disk}
}

func (d cryptDisk) OpenFile(name string, flag int) (suppress.File, error) {
	f, err := d.disk.OpenFile(name, flag)
	if errors.Is(err, atrest.ErrPath) {
		return nil, fmt.Errorf("%w: %w", suppress.ErrDamaged, err)
	}
	return f, err
}

func (d cryptDisk) CreateTemp(dir, pattern string) (suppress.File, error) {
	return d.disk.CreateTemp(dir, pattern)
}

// Members of an encrypted list are found after a start, and no key of one can be read on
// the disk.
func TestEncryptedLists(t *testing.T) {
	const keys = 5000
	for _, crypt := range []bool{false, true} {
		o := suppress.Options{Dir: t.TempDir(), Hash: numberHash}
		again := func() *suppress.Store {
			if crypt {
				o.Disk = encrypted(t, o.Dir)
			}
			s := open(t, o)
			declare(t, s, people("l"))
			return s
		}
		s := again()
		if _, err := s.Replace("l", &numbers{to: keys}, plain); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Change("l", suppress.Add, strings.NewReader("77777\n"), plain); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = again()
			for _, member := range []uint64{0, 1, keys / 2, keys - 1, 77777} {
				var p suppress.Probe
				if p.Reset(number(member)); !s.View().Contains(0, &p, 0) {
					t.Errorf("encrypted %t: %d is no member", crypt, member)
				}
			}
		}
		found := 0
		for _, member := range []uint64{1, keys / 2, 77777} {
			key := number(member)
			if onDisk(t, o.Dir, key[:]) {
				found++
			}
		}
		if want := map[bool]int{false: 3, true: 0}[crypt]; found != want {
			t.Errorf("encrypted %t: %d of 3 keys can be read", crypt, found)
		}
	}
}

// A process that died while it wrote a change to an encrypted journal leaves the list as one
// without encryption does: the change is cut off, those before it count, and the list is
// trusted. A change that was written whole and damaged since is another matter.
func TestEncryptedJournalIsTorn(t *testing.T) {
	o := suppress.Options{Dir: t.TempDir(), Hash: numberHash}
	o.Disk = encrypted(t, o.Dir)
	s := numberStoreWith(t, o, people("l"), 10)
	made, journal := o.Dir, filepath.Join("lists", "l", "changes.log")
	change := func(members string) (whole []byte) {
		t.Helper()
		if _, err := s.Change("l", suppress.Add, strings.NewReader(members), plain); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(filepath.Join(made, journal))
		if err != nil {
			t.Fatal(err)
		}
		return whole
	}
	begin := len(change("77777\n"))
	var many strings.Builder
	for i := range 300 { // more than one frame on the disk
		fmt.Fprintln(&many, 100_000+i)
	}
	whole := change(many.String())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look := func(content []byte) (st suppress.Status, added, torn bool) {
		t.Helper()
		o := suppress.Options{Dir: t.TempDir(), Hash: numberHash} // what is found is remembered
		if err := os.CopyFS(o.Dir, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.Dir, journal), content, 0o600); err != nil {
			t.Fatal(err)
		}
		o.Disk = encrypted(t, o.Dir)
		s := open(t, o)
		declare(t, s, people("l"))
		has := func(member uint64) bool {
			var p suppress.Probe
			p.Reset(number(member))
			return s.View().Contains(0, &p, 0)
		}
		st, added, torn = s.StatusAll()[0], has(77777), has(100_001)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return st, added, torn
	}
	const frame = 28 + 4096 + 16
	for _, cut := range []int{1, 7, 8, 12, 15, 16, 27, 28, 60, 4000, frame - 1, frame, frame + 1, frame + 16, frame + 20, len(whole) - begin - 1} {
		if st, added, torn := look(whole[:begin+cut]); st.State != suppress.StateReady || !added || torn {
			t.Errorf("%d bytes of the last change: the list is %s, the change before it counts %t, it counts %t", cut, st.State, added, torn)
		}
	}
	for _, at := range []int{0, 9, 12, 20, 100} {
		damaged := bytes.Clone(whole)
		damaged[begin+at] ^= 1
		if st, _, _ := look(damaged); st.State != suppress.StateDamaged {
			t.Errorf("byte %d of the last change damaged: the list is %s", at, st.State)
		}
	}
}

func onDisk(t *testing.T, dir string, what []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found = found || bytes.Contains(content, what)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Where what is needed to settle a hit was changed on the disk since the start, the hit
// counts: nobody is let through.
func TestExactOnChangedDisk(t *testing.T) {
	const keys = 5000
	d := people("l")
	d.Exact = true
	o := suppress.Options{Dir: t.TempDir(), Hash: numberHash}
	o.Disk = encrypted(t, o.Dir)
	s := numberStoreWith(t, o, d, keys)
	files, err := filepath.Glob(filepath.Join(o.Dir, "lists", "l", "*.keys"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 300; at < len(content); at += 4000 {
		content[at] ^= 1
	}
	if err := os.WriteFile(files[0], content, 0o600); err != nil { // in its place: the store has it open
		t.Fatal(err)
	}
	for i := range uint64(keys) {
		var p suppress.Probe
		if p.Reset(number(i)); !s.View().Contains(0, &p, 0) {
			t.Fatalf("member %d is let through", i)
		}
	}
	if n := s.StatusAll()[0].Doubts; n == 0 {
		t.Error("no doubt is counted")
	}
}
