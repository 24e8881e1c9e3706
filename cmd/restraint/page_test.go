package main

import (
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pageOf is a page of the deploy folder.
func pageOf(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// commandsOf are the commands of a page: its lines that are indented by four.
func commandsOf(page string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(page) {
			if command, is := strings.CutPrefix(strings.TrimRight(line, "\n"), "    "); is && !yield(command) {
				return
			}
		}
	}
}

// standIn puts a script where a page calls bin/restraint, which knows where the
// node of the test is.
func standIn(t *testing.T, dir, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "restraint"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
}

func shell(dir, command string) (string, error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pageWants are parts of commands of a page, and what those print. Each is met by the
// first command that it is a part of and that no earlier one has taken.
type pageWants []*pageWant

type pageWant struct {
	part, want string
	met        bool
}

// wanted makes them of pairs of part and want.
func wanted(pairs ...[2]string) (w pageWants) {
	for _, p := range pairs {
		w = append(w, &pageWant{part: p[0], want: p[1]})
	}
	return w
}

// hold holds what a command printed to what is wanted of it.
func (wants pageWants) hold(t *testing.T, command, out string) {
	t.Helper()
	for _, w := range wants {
		if w.met || !strings.Contains(command, w.part) {
			continue
		}
		if w.met = true; !strings.Contains(out, w.want) {
			t.Errorf("%s\nsays\n%s\nand not %q", command, out, w.want)
		}
		return
	}
}

// rest wants that nothing is left over.
func (wants pageWants) rest(t *testing.T) {
	t.Helper()
	for _, w := range wants {
		if !w.met {
			t.Errorf("the page has no command with %q", w.part)
		}
	}
}
