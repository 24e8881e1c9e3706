package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/edge/durable"
)

// only says that the folder has one file, of that content and these rights.
func only(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != content {
		t.Errorf("%q, %v; want %q", text, err, content)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != mode {
		t.Errorf("mode %v, %v; want %v", info.Mode(), err, mode)
	}
}

func TestWriteReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy")
	for _, content := range []string{"one", "", "three"} {
		if err := durable.Write(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		only(t, path, content, 0o600)
	}
}

func TestStagedIsSeenWhenItIsCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy")
	if err := durable.Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	s, err := durable.Stage(path, []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "old" {
		t.Errorf("before the commit: %q", text)
	}
	if text, _ := os.ReadFile(s.Temporary()); string(text) != "new" || !strings.HasPrefix(filepath.Base(s.Temporary()), ".policy.") {
		t.Errorf("%s: %q", s.Temporary(), text)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	only(t, path, "new", 0o600)

	if s, err = durable.Stage(path, []byte("newer")); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	only(t, path, "new", 0o600)
}

func TestStageLikeKeepsRights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := durable.StageLike(path, []byte("new"), was)
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	only(t, path, "new", 0o640)
}

func TestCommitNewLeavesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	first, err := durable.Stage(path, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := durable.Stage(path, []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.CommitNew(); err != nil {
		t.Fatal(err)
	}
	if err := second.CommitNew(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	only(t, path, "first", 0o600)
}

// What cannot be written leaves what was there, and nothing beside it.
func TestFaultLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := durable.Write(filepath.Join(dir, "gone", "policy"), []byte("new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	path := filepath.Join(dir, "policy")
	if err := os.Mkdir(path, 0o700); err != nil { // a rename over it fails
		t.Fatal(err)
	}
	if err := durable.Write(path, []byte("new")); err == nil {
		t.Error("a folder in its place: no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d entries are left, %v", len(entries), err)
	}
}
