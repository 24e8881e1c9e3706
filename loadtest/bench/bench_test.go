package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestMain is also the bare handler, for which the program starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == bareArgument {
		main()
		return
	}
	os.Exit(m.Run())
}

// clean has everything made below a directory, and returns what asserts that it is gone
// and that no process is left.
func clean(t *testing.T) func() {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return func() {
		t.Helper()
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("%d files are left, the first %s", len(left), left[0].Name())
		}
		for _, child := range children(t) {
			t.Errorf("a process is left: %s", child)
		}
	}
}

// children are the names of this process's children.
func children(t *testing.T) (names []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no processes are seen in /proc: %v", err)
	}
	for _, stat := range stats {
		text := fileText(stat) // "": it has ended meanwhile
		at := strings.LastIndexByte(text, ')')
		if fields := strings.Fields(text[at+1:]); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			names = append(names, text[:at+1])
		}
	}
	return names
}

// A whole run, with tiny numbers, against real processes: the form of what it says, not
// a speed.
func TestQuickRun(t *testing.T) {
	gone := clean(t)
	out := filepath.Join(t.TempDir(), "bench.json")
	page := filepath.Join(t.TempDir(), "bench.md")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-quick", "-json", out, "-markdown", page}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d\n%s", code, &stderr)
	}
	gone()
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	checkResult(t, &r)
	markdown, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Rows {
		if !strings.Contains(stdout.String(), "\n  "+r.Rows[i].Name) || !strings.Contains(string(markdown), "| "+r.Rows[i].Name+" |") {
			t.Errorf("%q is not in the table", r.Rows[i].Name)
		}
	}
	for _, want := range []string{"its figures say nothing", r.Machine.Go, "HTTP decisions", "measured", "bare handler", "at least 0.8", "at most 1.3", "a memory read", "plain bloom/v3", " to "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not in\n%s", want, &stdout)
		}
	}
}

func checkResult(t *testing.T, r *result) {
	t.Helper()
	sections := map[string]int{}
	for i := range r.Rows {
		row := &r.Rows[i]
		sections[row.Section]++
		if row.Outcome == none {
			if row.Note == "" {
				t.Errorf("%q was not measured, and nobody says why", row.Name)
			}
			continue
		}
		if len(row.Turns) == 0 || math.IsNaN(row.Measured) || row.Measured < 0 {
			t.Errorf("%+v", row)
		}
		if row.Mark != nil && row.Outcome != quick {
			t.Errorf("%q is judged as %q by a quick run", row.Name, row.Outcome)
		}
		if row.BesideWhat != "" && (row.Beside <= 0 || row.Ratio <= 0) {
			t.Errorf("%+v", row)
		}
	}
	for _, section := range []string{sectionHTTP, sectionRedis, sectionEvents, sectionProcess, sectionResident, sectionLists, sectionState} {
		if sections[section] == 0 {
			t.Errorf("the table has no line of %q", section)
		}
	}
	if sections[sectionHTTP] != 3*len(r.Sizes.httpShapes()) {
		t.Errorf("%d lines of HTTP for %d shapes", sections[sectionHTTP], len(r.Sizes.httpShapes()))
	}
	for i := range r.Pairs {
		p := &r.Pairs[i]
		if len(p.A) != r.Sizes.Turns || len(p.B) != r.Sizes.Turns || p.Capped < leastCapped || p.RequestBytes < 100 {
			t.Errorf("%d and %d turns, %g capped, %d bytes: %+v", len(p.A), len(p.B), p.Capped, p.RequestBytes, p.Shape)
		}
		for _, s := range append(p.A, p.B...) {
			if s.Requests <= 0 || s.P99US < s.P50US || s.CPUUS <= 0 || s.ClientCPUUS <= 0 || s.BodyBytes <= 0 {
				t.Errorf("%+v", s)
			}
		}
	}
	m := &r.Machine
	if m.CPUs < 1 || m.CPU == "" || m.Kernel == "" || m.MemoryMB < 100 || m.Go == "" || m.Fasthttp == "" || m.Restraint == "" || len(r.Begun.Load) != 3 || r.Ended.At.Before(r.Begun.At) {
		t.Errorf("%+v, %+v, %+v", m, r.Begun, r.Ended)
	}
	_, err := exec.LookPath("redis-server")
	if (m.Redis != "") != (err == nil) {
		t.Errorf("Redis %q was measured, and looking for it says %v", m.Redis, err)
	}
}

// onLine calls a function at the first line that has a mark in it.
type onLine struct {
	mark string
	once sync.Once
	call func()
	bytes.Buffer
}

func (w *onLine) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.mark) {
		w.once.Do(w.call)
	}
	return w.Buffer.Write(p)
}

// Ctrl-C ends everything that was started, and what was measured before is told.
func TestInterrupted(t *testing.T) {
	for _, at := range []string{"node: 500 users", "HTTP: 20 candidates", "go benchmarks"} {
		t.Run(at, func(t *testing.T) {
			gone := clean(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			only := "http"
			if at == "go benchmarks" {
				only = "go"
			}
			out := filepath.Join(t.TempDir(), "bench.json")
			stderr := &onLine{mark: at, call: cancel}
			var stdout bytes.Buffer
			if code := run(ctx, []string{"-quick", "-only", only, "-json", out}, &stdout, stderr); code != 1 {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			gone()
			if !strings.Contains(stdout.String(), "Not everything was measured: ") || !strings.Contains(stdout.String(), "context canceled") {
				t.Errorf("%s", &stdout)
			}
			var r result
			if err := json.Unmarshal([]byte(fileText(out)), &r); err != nil || !strings.Contains(r.Failed, "context canceled") {
				t.Errorf("%v: %q", err, r.Failed)
			}
		})
	}
}

// Without redis-server the table says so and the rest is measured.
func TestWithoutRedis(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := &bench{progress: &bytes.Buffer{}, result: &result{}}
	if err := b.measureRedis(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := b.result.Rows; len(rows) != 1 || rows[0].Outcome != none || !strings.Contains(rows[0].Note, "apt install redis-server") {
		t.Errorf("%+v", b.result.Rows)
	}
}

func TestTimeIsUp(t *testing.T) {
	gone := clean(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-quick", "-json", "", "-most", "1ns"}, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "-most") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	gone()
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"extra": `"extra"`, "-quick -large": "choose one", "-only (": `-only "("`, "-only nothing": "http, redis, events, go",
		"-most -1s": "-most -1s", "-most x": "-most", "-speed": "-speed",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
			t.Errorf("%s: exit %d: %s%s", args, code, &stdout, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &stdout, &stderr); code != 0 || !strings.Contains(stderr.String(), "-strict") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}

func TestExitCode(t *testing.T) {
	good := plainRow("s", "good", "us", []float64{1}, atMost(1))
	bad := plainRow("s", "bad", "us", []float64{2}, atMost(1))
	for _, c := range []struct {
		rows   []row
		failed string
		strict bool
		want   int
		says   string
	}{
		{[]row{good, bad}, "", false, 0, ""},
		{[]row{good, bad}, "", true, 99, "1 marks missed: bad"},
		{[]row{good, missingRow("s", "absent", "why")}, "", true, 99, "absent"},
		{[]row{good}, "", true, 0, ""},
		{[]row{good, bad}, "it ended", true, 1, ""},
	} {
		var stderr bytes.Buffer
		if got := exitCode(&result{Rows: c.rows, Failed: c.failed}, c.strict, &stderr); got != c.want || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%+v: exit %d: %s", c, got, &stderr)
		}
	}
}
