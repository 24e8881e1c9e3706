package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// errorFile is a file whose disk is full, or fails, at times.
type errorFile struct {
	file
	fail *string // WriteAt, Sync or Truncate; "" for none
	left *int    // bytes that WriteAt still takes
}

func (f errorFile) WriteAt(b []byte, at int64) (int, error) {
	if *f.fail == "WriteAt" {
		n, _ := f.file.WriteAt(b[:min(len(b), *f.left)], at)
		return n, syscall.ENOSPC
	}
	return f.file.WriteAt(b, at)
}

func (f errorFile) Sync() error {
	if *f.fail == "Sync" {
		return syscall.EIO
	}
	return f.file.Sync()
}

func (f errorFile) Truncate(size int64) error {
	if *f.fail != "" && *f.left == 77 {
		return syscall.EIO
	}
	return f.file.Truncate(size)
}

// What cannot be written is not there, and the log goes on once it can be.
func TestDiskFails(t *testing.T) {
	for _, failing := range []string{"WriteAt", "Sync"} {
		for _, left := range []int{0, 77, 300} { // 77: the bytes that were written stay too
			t.Run(fmt.Sprint(failing, left), func(t *testing.T) {
				dir, fail := t.TempDir(), ""
				l := open(t, dir, nil)
				fill(t, l, 3)
				l.file = errorFile{l.file, &fail, &left}
				for range 2 {
					fail = failing
					if _, err := l.Append(someEntry(9)); !errors.Is(err, ErrNotWritten) || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EIO) {
						t.Fatal(err)
					}
					if lines, err := l.Read(From{}, 10, 1<<20); err != nil || lines.Count != int(l.Seq()) {
						t.Errorf("%d entries are read, %v", lines.Count, err)
					}
					fail = ""
					fill(t, l, 2)
				}
				verify(t, dir, head(t, l)).good(t, 8)
			})
		}
	}
}

// The next file cannot be made: the log stays as it is.
func TestNextFileFails(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, func(o *Options) { o.FileBytes = 1 })
	fill(t, l, 2)
	l.create = func(string) (file, error) { return nil, syscall.ENOSPC }
	if _, err := l.Append(someEntry(1)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	l.create = l.createFile
	fill(t, l, 2)
	r := verify(t, dir, head(t, l))
	r.good(t, 5)
	if r.Files != 5 {
		t.Errorf("%d files", r.Files)
	}
}

// What a process that died left of a line is set aside, and an entry says so.
func TestTornLineIsMended(t *testing.T) {
	for _, torn := range []string{"{", `{"seq":4,"at":"2027`, strings.Repeat("\x00", 4096)} {
		dir := t.TempDir()
		l := open(t, dir, nil)
		fill(t, l, 2)
		before := head(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		add(t, logPath(dir, 1), torn)
		r := verify(t, dir)
		if r.FaultsTotal != 1 || r.Faults[0].Seq != 4 || r.Faults[0].Line != 4 || !strings.Contains(r.Faults[0].What, "not whole") {
			t.Errorf("%v", r.Faults)
		}
		l = open(t, dir, nil)
		r = verify(t, dir, before, head(t, l))
		r.good(t, 4)
		if len(r.Notes) != 1 || r.Notes[0].Action != RecordTorn || r.Notes[0].After["line"] != 4.0 {
			t.Fatalf("%+v", r.Notes)
		}
		aside, err := os.ReadFile(filepath.Join(dir, r.Notes[0].After["set_aside"].(string)))
		if err != nil || string(aside) != torn {
			t.Errorf("%q %v", aside, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		open(t, dir, nil)
		verify(t, dir).good(t, 4)
	}
}

func add(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A process that died after it made the next file and before it wrote to it.
func TestEmptyNextFile(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, func(o *Options) { o.FileBytes = 1000 })
	fill(t, l, 3)
	seq := l.Seq()
	if err := errors.Join(l.Close(), os.WriteFile(logPath(dir, seq+1), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, func(o *Options) { o.FileBytes = 1000 })
	fill(t, l, 5)
	verify(t, dir, head(t, l)).good(t, int(seq)+5)
}

// A log whose signing key is gone has another, and says so; the old heads still count.
func TestSigningKeyLost(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	fill(t, l, 2)
	before := head(t, l)
	if err := errors.Join(l.Close(), os.Remove(filepath.Join(dir, signerFile))); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, nil)
	if l.Seq() != 4 || l.signer.public() == before.Key {
		t.Errorf("entry %d", l.Seq())
	}
	verify(t, dir, before, head(t, l)).good(t, 4)
	if err := errors.Join(l.Close(), os.WriteFile(filepath.Join(dir, signerFile), []byte("short"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Node: "n", Key: testKey}); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("%v", err)
	}
}

// Numbers that a signed head names and the log has lost are not used again.
func TestLostEndLeavesAGap(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	fill(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(logPath(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, nil)
	fill(t, l, 4)
	kept := head(t, l)
	if err := errors.Join(l.Close(), os.WriteFile(logPath(dir, 1), copied, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, nil)
	if err := errors.Join(l.Lost(&kept.Head), l.Lost(&kept.Head)); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	r := verify(t, dir, kept, head(t, l))
	if r.Last != 8 || r.FaultsTotal != 2 || r.Faults[0].Seq != 3 || r.Faults[0].Line != 3 || !strings.Contains(r.Faults[0].What, "entries 3 to 6 are missing, 4 in all; the node found that itself") {
		t.Errorf("%+v", r)
	}
	stranger := kept.Head
	stranger.Key = "other"
	if err := l.Lost(&stranger); err != nil || l.Seq() != 8 {
		t.Error(l.Seq(), err)
	}
}
