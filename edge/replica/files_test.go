package replica

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

var errInjected = errors.New("injected fault")

// testFiles calls hook before each operation. An error of hook is the operation's, which is then not done; but a write with errHalf is
// done by half, and then fails.
type testFiles struct {
	disk
	hook func(op, name string, data []byte) error
}

var errHalf = errors.New("injected fault: half a write")

func (f testFiles) open(name string, flag int) (File, error) {
	if flag != os.O_RDONLY { // what reads is not the subject
		if err := f.hook("open", name, nil); err != nil {
			return nil, err
		}
	}
	x, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return testFile{x, f.hook}, nil
}

func (f testFiles) rename(from, to string) error {
	if err := f.hook("rename", from, nil); err != nil {
		return err
	}
	return f.disk.rename(from, to)
}

func (f testFiles) remove(name string) error {
	if err := f.hook("remove", name, nil); err != nil {
		return err
	}
	return f.disk.remove(name)
}

func (f testFiles) list(dir string) ([]fs.FileInfo, error) {
	if err := f.hook("list", dir, nil); err != nil {
		return nil, err
	}
	return f.disk.list(dir)
}

func (f testFiles) syncDir(dir string) error {
	if err := f.hook("syncdir", dir, nil); err != nil {
		return err
	}
	return f.disk.syncDir(dir)
}

type testFile struct {
	*os.File
	hook func(op, name string, data []byte) error
}

func (f testFile) Write(b []byte) (int, error) {
	err := f.hook("write", f.Name(), b)
	if errors.Is(err, errHalf) {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, err
	}
	if err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f testFile) Sync() error {
	if err := f.hook("sync", f.Name(), nil); err != nil {
		return err
	}
	return nil // the tests need none
}

func (f testFile) Truncate(size int64) error {
	if err := f.hook("truncate", f.Name(), nil); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// copyDir copies a directory as it is, with no regard to who writes to it.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// damage changes a file.
func damage(t *testing.T, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// matches returns the files that match, at least one.
func matches(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	return names
}
