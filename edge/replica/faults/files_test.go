package faults

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// copyDir copies a folder with the permissions of its files: a secret that others can read is refused.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// replaceDir puts a copy in the place of a folder, and asserts that something is another then.
func replaceDir(t testing.TB, dir, with string) {
	t.Helper()
	before := listing(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	copyDir(t, with, dir)
	if listing(t, dir) == before {
		t.Fatalf("%s is as it was: the fault did not take place", dir)
	}
}

// listing is the names and contents in a folder.
func listing(t testing.TB, dir string) (all string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		all += name + "\x00" + string(content) + "\x00"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rewrite changes a file and asserts that it is another one then.
func rewrite(t testing.TB, name string, change func([]byte) []byte) {
	t.Helper()
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	after := change(append([]byte(nil), before...))
	if string(after) == string(before) {
		t.Fatalf("%s is as it was: the fault did not take place", name)
	}
	if err := os.WriteFile(name, after, 0o600); err != nil {
		t.Fatal(err)
	}
}
