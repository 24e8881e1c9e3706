package backup

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tree is every file in a folder, and the empty folders.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err == nil && !d.IsDir() {
			var text []byte
			text, err = os.ReadFile(path)
			all = append(all, name+"="+string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func staged(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put(t, filepath.Join(dir, "secret"), "s")
	put(t, filepath.Join(dir, "counters", "lock"), "1")
	stage, err := Stage(dir)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(stage, "counters", "snapshots", "1.snap"), "c")
	put(t, filepath.Join(stage, "counters", "imported"), "i")
	put(t, filepath.Join(stage, "policies", "1.json"), "p")
	return dir
}

const moved = "counters/imported=i counters/lock=1 counters/snapshots/1.snap=c policies/1.json=p secret=s"

func TestCommitMovesAll(t *testing.T) {
	dir := staged(t)
	if err := Commit(dir); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != moved || Pending(dir) {
		t.Errorf("%s, pending %v", got, Pending(dir))
	}
	if err := Finish(dir); err != nil {
		t.Errorf("with nothing to finish: %v", err)
	}
}

// A process that died at any step of a commit leaves all or nothing, once Finish was called.
func TestDeathAtAnyStep(t *testing.T) {
	dir := staged(t) // before the rename
	if err := Finish(dir); err != nil || Pending(dir) {
		t.Errorf("%v", err)
	}
	if !Left(dir) {
		t.Error("nothing is left")
	}
	if err := Discard(dir); err != nil || Left(dir) {
		t.Error(err)
	}
	if got := tree(t, dir); got != "counters/lock=1 secret=s" {
		t.Errorf("before the commit: %s", got)
	}
	for step := range 4 {
		dir := staged(t)
		from := filepath.Join(dir, commitName)
		if err := os.Rename(filepath.Join(dir, stageName), from); err != nil {
			t.Fatal(err)
		}
		// What Finish does, up to a step.
		moves := []func() error{
			func() error {
				return os.Rename(filepath.Join(from, "counters", "imported"), filepath.Join(dir, "counters", "imported"))
			},
			func() error {
				return os.Rename(filepath.Join(from, "counters", "snapshots"), filepath.Join(dir, "counters", "snapshots"))
			},
			func() error { return os.Remove(filepath.Join(from, "counters")) },
		}
		for _, move := range moves[:step] {
			if err := move(); err != nil {
				t.Fatal(err)
			}
		}
		if !Pending(dir) {
			t.Errorf("step %d: nothing is pending", step)
		}
		if err := Finish(dir); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		if got := tree(t, dir); got != moved || Pending(dir) {
			t.Errorf("step %d: %s", step, got)
		}
	}
}

// What is there already is never overwritten.
func TestFinishOverwritesNothing(t *testing.T) {
	dir := staged(t)
	put(t, filepath.Join(dir, "policies", "1.json"), "mine")
	if err := Commit(dir); err == nil || !strings.Contains(err.Error(), "1.json") || !Pending(dir) {
		t.Errorf("%v", err)
	}
	if got := tree(t, filepath.Join(dir, "policies")); got != "1.json=mine" {
		t.Error(got)
	}
}

// What an earlier try left goes.
func TestStageBeginsAnew(t *testing.T) {
	dir := staged(t)
	stage, err := Stage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := tree(t, stage); got != "" {
		t.Error(got)
	}
}
