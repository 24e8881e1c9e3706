// Package deploy holds the tests of the files in this folder: that they say what they mean
// to say, and that the program takes what they give it. The program is built as the
// Dockerfile builds it.
package deploy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// program is the binary, in a folder that everybody may read.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "restraint")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		program = filepath.Join(dir, "restraint")
		err = build(program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// buildLine is how the Dockerfile makes the program.
var buildLine = regexp.MustCompile(`(?m)^RUN (.*go build .*) -o /out/restraint (\S+)$`)

// build runs the Dockerfile's own command in the top folder.
func build(out string) error {
	text, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		return err
	}
	found := buildLine.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("docker/Dockerfile does not build the program as %s", buildLine)
	}
	cmd := exec.Command("sh", "-c", fmt.Sprintf("%s -o %s %s", found[1], out, found[2]))
	cmd.Dir = ".."
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", found[1], err, said)
	}
	return nil
}

// read is the text of a file of this folder.
func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// call runs the program and returns what it said and its exit code.
func call(t testing.TB, dir string, env []string, args ...string) (said string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// poll waits until ok, for at most a minute.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute: " + what)
		}
	}
}

// printed is the effective configuration that the program prints, as dotted keys.
func printed(t testing.TB, env []string, args ...string) map[string]string {
	t.Helper()
	said, code := call(t, t.TempDir(), env, append([]string{"serve", "--print-config"}, args...)...)
	if code != 0 {
		t.Fatal(said)
	}
	keys, path := map[string]string{}, []string{}
	for line := range strings.Lines(said) {
		line, _, _ = strings.Cut(line, " #")
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		depth := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		path = append(path[:depth], name)
		if value = strings.TrimSpace(value); value != "" {
			keys[strings.Join(path, ".")] = strings.Trim(value, `"`)
		}
	}
	return keys
}
