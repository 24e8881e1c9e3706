package atrest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree is a folder with files, and their content by name.
func tree(t *testing.T) (dir string, files map[string][]byte) {
	t.Helper()
	dir, files = t.TempDir(), map[string][]byte{}
	for i, name := range []string{"policies/1.json", "lists/acme/keys", "lists/acme/log", "empty", "lock"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		content := bytes.Repeat([]byte("somebody "), 700*i*i)
		if name == "empty" {
			content = nil
		}
		write(t, path, content)
		at := time.Unix(1_700_000_000+int64(i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	return dir, files
}

// same checks that a Disk has the files, and how many of them can be read on the disk.
func same(t *testing.T, d *Disk, dir string, files map[string][]byte) {
	t.Helper()
	for name, want := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if name == "lock" {
			if got := read(t, path); !bytes.Equal(got, want) {
				t.Errorf("%s was changed", name)
			}
			continue
		}
		got, err := d.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d; %v", name, len(got), len(want), err)
		}
		if on := read(t, path); d != nil && len(want) > 0 && (bytes.Contains(on, []byte("somebody")) || !isSealed(on)) {
			t.Errorf("%s can be read on the disk", name)
		}
	}
}

// What was not encrypted is, at the first start with a key; then under the next key.
func TestTakeOver(t *testing.T) {
	dir, files := tree(t)
	same(t, openDisk(t, dir, Keys{}), dir, files)
	before := read(t, filepath.Join(dir, "lists/acme/log"))
	d := openDisk(t, dir, keys(t, 1))
	same(t, d, dir, files)
	if info, err := os.Stat(filepath.Join(dir, "lists/acme/keys")); err != nil || info.ModTime().Unix() != 1_700_000_001 {
		t.Errorf("%v %v", info.ModTime(), err)
	}
	old := read(t, filepath.Join(dir, "lists/acme/log"))
	if bytes.Equal(old, before) {
		t.Error("nothing was encrypted")
	}
	same(t, openDisk(t, dir, keys(t, 1)), dir, files)
	if !bytes.Equal(read(t, filepath.Join(dir, "lists/acme/log")), old) {
		t.Error("written again without need")
	}
	d = openDisk(t, dir, keys(t, 2, 1))
	same(t, d, dir, files)
	same(t, openDisk(t, dir, keys(t, 2)), dir, files)
	if d.Fingerprint() != keys(t, 2).Fingerprint() {
		t.Error(d.Fingerprint())
	}
}

// Without the key nothing is opened and nothing is changed.
func TestKeyIsMissing(t *testing.T) {
	dir, files := tree(t)
	openDisk(t, dir, keys(t, 1))
	before := read(t, filepath.Join(dir, "lists/acme/log"))
	for _, k := range []Keys{{}, keys(t, 2), keys(t, 3, 2)} {
		_, err := Open(options(dir, k))
		if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), keys(t, 1).Fingerprint()) || !strings.Contains(err.Error(), k.Fingerprint()) {
			t.Errorf("%v: %v", k, err)
		}
		if _, err := Look(dir, k, "lists"); !errors.Is(err, ErrKey) {
			t.Errorf("look with %v: %v", k, err)
		}
		if _, err := Look(dir, k, "nothing"); err != nil {
			t.Errorf("look elsewhere with %v: %v", k, err)
		}
	}
	if !bytes.Equal(read(t, filepath.Join(dir, "lists/acme/log")), before) {
		t.Error("a file was changed")
	}
	same(t, openDisk(t, dir, keys(t, 2, 1)), dir, files)
}

// Once all is encrypted, what is not was not written by whoever has the key.
func TestPlainFileIsRefused(t *testing.T) {
	dir, files := tree(t)
	d := openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "policies/2.json")
	write(t, name, []byte("forged"))
	if _, err := d.ReadFile(name); !errors.Is(err, ErrPlain) {
		t.Error(err)
	}
	if _, err := Open(options(dir, keys(t, 1))); !errors.Is(err, ErrPlain) || !strings.Contains(err.Error(), "2.json") {
		t.Error(err)
	}
	if looked, err := Look(dir, keys(t, 1), "policies"); err != nil {
		t.Error(err)
	} else if got, err := looked.ReadFile(name); err != nil || string(got) != "forged" {
		t.Errorf("%q %v", got, err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	same(t, openDisk(t, dir, keys(t, 1)), dir, files)
	write(t, name, []byte("meant"))
	if err := os.Remove(filepath.Join(dir, Mark)); err != nil {
		t.Fatal(err)
	}
	files["policies/2.json"] = []byte("meant")
	same(t, openDisk(t, dir, keys(t, 1)), dir, files)
}

// A process that dies while it encrypts leaves each file as it was or as it will be.
func TestTakeOverIsInterrupted(t *testing.T) {
	dir, files := tree(t)
	o := options(dir, keys(t, 1))
	d := &Disk{dir: dir, keys: o.Keys}
	if _, err := d.take(filepath.Join(dir, "lists/acme/keys")); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "lists/acme", takeName+"123")
	write(t, left, []byte("half of somebody"))
	same(t, openDisk(t, dir, keys(t, 1)), dir, files)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// While another process has the folder nothing in it is encrypted.
func TestTakeOverIsAlone(t *testing.T) {
	dir, files := tree(t)
	lock, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(dir, keys(t, 1))); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	same(t, nil, dir, files)
}

// A damaged file stays under the key that it has: sealed anew, its zeros would count.
func TestDamagedIsNotTakenOver(t *testing.T) {
	dir, files := tree(t)
	openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "lists/acme/log")
	b := read(t, name)
	b[headSize+overhead] ^= 1
	write(t, name, b)
	d := openDisk(t, dir, keys(t, 2, 1))
	if _, err := d.ReadFile(name); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if !bytes.Equal(read(t, name), b) {
		t.Error("it was written")
	}
	delete(files, "lists/acme/log")
	same(t, d, dir, files)
}

// A file that lacks its end lacks it under the next key too.
func TestLostEndIsNotMadeUp(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "document")
	if err := openDisk(t, dir, keys(t, 1)).WriteFile(name, bytes.Repeat([]byte{'x'}, 2*frameMost)); err != nil {
		t.Fatal(err)
	}
	write(t, name, read(t, name)[:headSize+overhead+frameMost])
	for _, k := range []Keys{keys(t, 1), keys(t, 2, 1)} {
		d := openDisk(t, dir, k)
		if got, err := d.ReadWhole(name); !errors.Is(err, ErrDamaged) {
			t.Errorf("%v: %d bytes, %v", k, len(got), err)
		}
		if got, err := d.ReadFile(name); err != nil || len(got) != frameMost {
			t.Errorf("%v: %d bytes, %v", k, len(got), err)
		}
	}
}

// What was set aside needs no key, and is not to be read where it was not encrypted.
func TestSetAside(t *testing.T) {
	dir, files := tree(t)
	openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "lists/acme/log")
	if err := os.Rename(name, name+".damaged"); err != nil {
		t.Fatal(err)
	}
	delete(files, "lists/acme/log")
	o := options(dir, keys(t, 2, 1))
	o.Aside = func(path string) bool { return path == "lists/acme/log.damaged" }
	for range 2 {
		d, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		same(t, d, dir, files)
		o.Keys = keys(t, 2)
	}
	dir, files = tree(t)
	o = options(dir, keys(t, 1))
	o.Aside = func(path string) bool { return path == "lists/acme/log" }
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, d, dir, files)
}
