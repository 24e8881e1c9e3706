package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// goBench is some Go benchmarks of one package, run in one process, and the lines of
// the table that are made of them.
type goBench struct {
	pkg   string // below the module
	match string // -test.bench
	// args and quickArgs are further flags of the test binary.
	args, quickArgs []string
	count           int           // runs of a full measurement; a quick one has one
	most            time.Duration // that it may take
	rows            func(goResults) ([]row, error)
}

// goResult is one line that a benchmark printed.
type goResult struct {
	// Name is without its Benchmark and the number of processors.
	Name string `json:"name"`
	N    int64  `json:"n"`
	// Values are by unit: ns/op, B/op, and what the benchmark reports itself.
	Values map[string]float64 `json:"values"`
}

type goResults []goResult

// values are one figure of all runs of one benchmark.
func (rs goResults) values(name, unit string) ([]float64, error) {
	var v []float64
	for _, r := range rs {
		if value, ok := r.Values[unit]; ok && r.Name == name {
			v = append(v, value)
		}
	}
	if len(v) == 0 {
		return nil, fmt.Errorf("%w: no benchmark %q printed %s; rename it in loadtest/bench too", errBenchmark, name, unit)
	}
	return v, nil
}

// errBenchmark: a Go benchmark failed, or did not print what is looked for.
var errBenchmark = errors.New("go benchmark")

// parseBenchmarks reads what go test -bench prints. Lines that are no results are passed
// over; a result that cannot be read is an error.
func parseBenchmarks(out []byte) (goResults, error) {
	var results goResults
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), "\t")
		if !ok || !strings.HasPrefix(name, "Benchmark") {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 3 || len(fields)%2 == 0 {
			return nil, fmt.Errorf("%w: line %q: want a count, and values with their units", errBenchmark, lines.Text())
		}
		r := goResult{Name: trimProcessors(strings.TrimPrefix(strings.TrimSpace(name), "Benchmark")), Values: map[string]float64{}}
		var err error
		if r.N, err = strconv.ParseInt(fields[0], 10, 64); err != nil {
			return nil, fmt.Errorf("%w: line %q: %w", errBenchmark, lines.Text(), err)
		}
		for i := 1; i < len(fields); i += 2 {
			if r.Values[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
				return nil, fmt.Errorf("%w: line %q: %w", errBenchmark, lines.Text(), err)
			}
		}
		results = append(results, r)
	}
	return results, lines.Err()
}

// trimProcessors is a name without the -N that go test appends.
func trimProcessors(name string) string {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[at+1:]); err != nil {
		return name
	}
	return name[:at]
}

// runGo builds the test binary of a package, once, and runs the benchmarks in it.
func (b *bench) runGo(ctx context.Context, g *goBench) error {
	dir := filepath.Join(b.root, filepath.FromSlash(g.pkg))
	binary := filepath.Join(b.dir, strings.ReplaceAll(g.pkg, "/", "-")+".test")
	if _, err := os.Stat(binary); err != nil {
		if _, err := b.runProgram(ctx, dir, 10*time.Minute, "go", "test", "-c", "-o", binary, "."); err != nil {
			return fmt.Errorf("build benchmarks of %s: %w", g.pkg, err)
		}
	}
	args := []string{"-test.run", "^$", "-test.bench", g.match, "-test.timeout", g.most.String()}
	if b.sizes.Quick {
		args = append(args, "-test.benchtime", "1x", "-test.short", "-test.count", "1")
		args = append(args, g.quickArgs...)
	} else {
		args = append(args, "-test.count", strconv.Itoa(g.count))
		args = append(args, g.args...)
	}
	b.say("go benchmarks: %s %s", g.pkg, strings.Join(args, " "))
	out, err := b.runProgram(ctx, dir, g.most+time.Minute, binary, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", g.pkg, err)
	}
	results, err := parseBenchmarks(out)
	if err != nil {
		return fmt.Errorf("%s: %w", g.pkg, err)
	}
	b.result.Benchmarks = append(b.result.Benchmarks, goRun{Package: g.pkg, Arguments: args, Results: results})
	rows, err := g.rows(results)
	if err != nil {
		return fmt.Errorf("%s: %w", g.pkg, err)
	}
	for _, r := range rows {
		b.add(r)
	}
	return nil
}

// runProgram runs a program to its end and returns what it wrote to stdout. It, and what
// it started, is killed when ctx ends or after most.
func (b *bench) runProgram(ctx context.Context, dir string, most time.Duration, path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it took longer than %v", most))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir) // what a killed one leaves goes too
	cmd.SysProcAttr = diesWithParent()
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = 10 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %s %s: %w\n%s%s", errBenchmark, path, strings.Join(args, " "), err, lastLines(out.Bytes()), lastLines(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// lastLines are the last thousand bytes, from the beginning of a line.
func lastLines(text []byte) []byte {
	if len(text) > 1000 {
		_, text, _ = bytes.Cut(text[len(text)-1000:], []byte("\n"))
	}
	return text
}
