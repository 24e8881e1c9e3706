package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "restraint")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "restraint")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build restraint: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// inProcess runs a command through run, with nothing of the real environment.
func inProcess(t *testing.T, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), &process{
		args:      args,
		lookup:    func(k string) (string, bool) { v, ok := env[k]; return v, ok },
		variables: func() []string { return slices.Collect(maps.Keys(env)) },
		stdin:     strings.NewReader(stdin), stdout: &out, stderr: &errs,
		now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	})
	return result{code, out.String(), errs.String()}
}

// must fails the test unless the command ended with code and said all of wants,
// on stdout or stderr.
func (r result) must(t *testing.T, code int, wants ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
	if code != 0 && r.stderr == "" {
		t.Error("a failure with nothing on stderr")
	}
	for _, w := range wants {
		if !strings.Contains(r.stdout, w) && !strings.Contains(r.stderr, w) {
			t.Errorf("%q is not in the output\nstdout: %s\nstderr: %s", w, r.stdout, r.stderr)
		}
	}
}

// asked is a request as the fake node got it.
type asked struct {
	method, path, query, body string
	header                    http.Header
}

// fakeNode answers every request alike and keeps the last.
func fakeNode(t *testing.T, status int, contentType, answer string) (addr string, last *asked) {
	t.Helper()
	last = &asked{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		*last = asked{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), last
}

const problemJSON = "application/problem+json"

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The real program: exit codes, and errors on stderr only.
func TestBinary(t *testing.T) {
	bad := writeFile(t, "restraint.yaml", "listen: nowhere\nnodes: x\n")
	faulty := writeFile(t, "policy.yaml", "campaigns:\n  a: {purpose: nothing}\n")
	serve := func(policy string) []string {
		return []string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--policy", policy}
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"faulty policy", serve(faulty), 2, ":2: campaigns.a.purpose"},
		{"no policy", serve(faulty + ".not"), 2, "no such file"},
		{"policy is a folder", serve(t.TempDir()), 2, "read policy"},
		{"empty policy", serve(writeFile(t, "empty.yaml", "\n")), 2, "empty"},
		{"help", []string{"--help"}, 0, "Commands:"},
		{"help of a command", []string{"push", "--help"}, 0, "--item-column"},
		{"nothing", nil, 2, "expected one of"},
		{"unknown command", []string{"servee"}, 2, "servee"},
		{"unknown flag", []string{"lists", "--adr", "x"}, 2, "--adr"},
		{"missing flag", []string{"push", "x.csv"}, 2, "--list"},
		{"two that exclude each other", []string{"push", "--list", "l", "--id", "s", "--add", "--remove", "x.txt"}, 2, "--add"},
		{"configuration", []string{"serve", "--config", bad}, 2, bad + ":2: nodes: there is no such key: did you mean node?"},
		{"configuration of check", []string{"check", "--config", bad}, 2, bad + ":1: listen: \"nowhere\""},
		{"no configuration", []string{"serve", "--config", bad + ".not"}, 2, "no such file"},
		{"no node", []string{"lists", "--addr", "127.0.0.1:1"}, 1, "start one with restraint serve"},
		{"no file", []string{"push", "--list", "l", "--id", "s", filepath.Join(t.TempDir(), "x.txt")}, 1, "no such file"},
		{"version", []string{"version"}, 0, "github.com/alecthomas/kong"},
		{"print", []string{"serve", "--print-config", "--caps-memory", "3GiB"}, 0, "memory: 3GiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, c.args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			cmd.Dir = t.TempDir()
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			err := cmd.Run()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			r := result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
			r.must(t, c.code, c.want)
			if c.code == 0 && r.stderr != "" || c.code != 0 && r.stdout != "" {
				t.Errorf("on the wrong stream\nstdout: %s\nstderr: %s", r.stdout, r.stderr)
			}
		})
	}
}

// Every command explains itself.
func TestHelpOfEachCommand(t *testing.T) {
	all := inProcess(t, nil, "", "--help")
	all.must(t, 0, "Commands:")
	_, list, _ := strings.Cut(all.stdout, "Commands:")
	found := regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z-]+)?)  +[A-Z]`).FindAllStringSubmatch(list, -1)
	if len(found) < 20 {
		t.Fatalf("only %d commands in:\n%s", len(found), list)
	}
	for _, c := range found {
		r := inProcess(t, nil, "", append(strings.Fields(c[1]), "--help")...)
		r.must(t, 0, "Usage: restraint "+c[1])
		if r.stderr != "" {
			t.Errorf("%s --help on stderr: %s", c[1], r.stderr)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel() // as a signal would, while the node works
		<-r.Context().Done()
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	code := run(ctx, &process{
		args: []string{"lists", "--addr", server.URL}, lookup: func(string) (string, bool) { return "", false },
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now,
	})
	result{code, out.String(), errs.String()}.must(t, 1, "interrupted")
}
