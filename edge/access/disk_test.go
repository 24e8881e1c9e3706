package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// add adds a key of a client to a file.
func add(t testing.TB, path, client string, create bool) error {
	t.Helper()
	k, _ := makeKey(t, Key{Client: client, Roles: Bid})
	return Change(path, create, func(f *File) (*File, error) { return f.Add(k) })
}

// The first key makes file and folder, for the owner alone; many at once lose none.
func TestChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "keys")
	if err := add(t, path, "a", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without create: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := add(t, path, fmt.Sprintf("c-%d", i), true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := Read(path)
	if err != nil || len(f.Keys) != 20 {
		t.Fatalf("%v, %d keys of 20", err, len(f.Keys))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

// What cannot be read is not replaced, and a change that fails changes nothing.
func TestChangeRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("id=a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var faults *Faults
	if err := add(t, path, "a", true); !errors.As(err, &faults) || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("a file with faults: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "id=a\n" {
		t.Errorf("it was changed: %q", text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := add(t, path, "a", true); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.ReadFile(path)
	if err := add(t, path, "a", true); !errors.Is(err, ErrTwoActive) {
		t.Errorf("a third key: %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("it was changed")
	}
}

// A file that others can read or change is refused, with how to mend it.
func TestReadMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, New().Text(), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false, 0o660: false, 0o602: false, 0o620: false, 0o777: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if ok && err != nil || !ok && (!errors.Is(err, ErrMode) || !strings.Contains(err.Error(), "chmod 600")) {
			t.Errorf("%#o: %v", mode, err)
		}
		if err := add(t, path, "a", true); !ok && !errors.Is(err, ErrMode) {
			t.Errorf("%#o was changed: %v", mode, err)
		}
		if ok {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%#o became %v", mode, info.Mode())
			}
			if err := errors.Join(os.Remove(path), os.WriteFile(path, New().Text(), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Folders, pipes and files that are not there are told apart, and nothing waits.
func TestReadKinds(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe} {
		if _, err := Read(path); !errors.Is(err, ErrNotFile) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, make([]byte, maxFile+100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(long); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("a long file: %v", err)
	}
}

// A file that is a link stays one, and keeps the owner it had.
func TestChangeKeepsLinkAndOwner(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := add(t, file, "a", true); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	owner := os.Getuid()
	if owner == 0 { // only root may give a file away
		owner = 12345
		if err := os.Chown(file, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(t, link, "b", false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	info, err := os.Stat(file)
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != owner {
		t.Errorf("the file: %v, %v", info, err)
	}
	if f, err := Read(file); err != nil || len(f.Keys) != 2 {
		t.Errorf("%v", err)
	}
}
