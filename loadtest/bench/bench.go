package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	sizes    sizes
	root     string // of the module
	dir      string // of everything that is made, and goes at the end
	self     string // this program
	binary   string // restraint
	progress io.Writer
	result   *result

	node   *node // nil before it is needed
	filled counters
}

// measure runs the parts and ends every process that it started. What was measured
// before an error is in the result.
func measure(ctx context.Context, s settings, progress io.Writer) (*result, error) {
	r := &result{Machine: describeMachine(), Begun: momentNow(), Sizes: s.sizes, Rows: []row{}, Pairs: []httpPair{}, Benchmarks: []goRun{}}
	b := &bench{sizes: s.sizes, progress: progress, result: r}
	err := b.open(ctx)
	defer b.close()
	for _, p := range s.parts() {
		if err != nil {
			break
		}
		if perr := p.measure(b, ctx); perr != nil {
			err = fmt.Errorf("measure %s: %w", p.name, perr)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("stopped: %w (%w)", context.Cause(ctx), err) // what fails then, fails for that
	}
	r.Ended = momentNow()
	return r, err
}

// open makes the directory and builds what is measured.
func (b *bench) open(ctx context.Context) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "restraint-bench-"); err != nil {
		return err
	}
	file, err := b.runProgram(ctx, ".", time.Minute, "go", "env", "GOMOD")
	if err != nil {
		return err
	}
	mod := strings.TrimSpace(string(file))
	if filepath.Base(mod) != "go.mod" {
		return errors.New("not inside the module: run it from the source of Restraint")
	}
	b.root = filepath.Dir(mod)
	return b.buildNode(ctx)
}

// close ends the node and removes the directory.
func (b *bench) close() {
	if b.node != nil {
		b.node.stop(nodeGrace)
	}
	if b.dir != "" {
		if err := os.RemoveAll(b.dir); err != nil {
			fmt.Fprintln(b.progress, "bench: remove what was made:", err)
		}
	}
}

// say tells what is being done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// add puts a line into the table.
func (b *bench) add(r row) {
	if b.sizes.Quick && r.Outcome != none && r.Mark != nil {
		r.Outcome, r.Distance = quick, 0
	}
	b.result.Rows = append(b.result.Rows, r)
	b.say("%s", strings.Join(strings.Fields(strings.Join(r.cells(), " ")), " "))
}

// filledNode is the node with the users' histories and the list; it is started once.
func (b *bench) filledNode(ctx context.Context) (*node, error) {
	if b.node != nil {
		return b.node, nil
	}
	n, err := startNode(ctx, b.binary, filepath.Join(b.dir, "node"), benchPolicy())
	if err != nil {
		return nil, err
	}
	b.node = n
	b.say("node: %d users of %d counters, a list of %d members", b.sizes.Users, userCounters, b.sizes.ListMembers)
	b.filled, err = n.fill(ctx, b.sizes.Users, b.sizes.ListMembers)
	return n, err
}

// residentNeedsMB is the memory that 5,000,000 users and what is around them take, with
// some room.
const residentNeedsMB = 5000

// measureGo runs the Go benchmarks. The node is ended first: it would be a neighbour.
func (b *bench) measureGo(ctx context.Context) error {
	if b.node != nil {
		b.node.stop(nodeGrace)
		b.node = nil
	}
	z := b.sizes
	if free := memoryMB("MemAvailable"); z.Large && free < residentNeedsMB {
		z.Large = false
		b.add(missingRow(sectionResident, "5,000,000 users", fmt.Sprintf("%d MB of memory are free, it takes %d", free, residentNeedsMB)))
	}
	for _, g := range z.goBenches() {
		if err := b.runGo(ctx, &g); err != nil {
			return err
		}
	}
	return nil
}

// missed are the names of the marks that were not met, and of what was not measured.
func (r *result) missed() []string {
	var names []string
	for i := range r.Rows {
		if o := r.Rows[i].Outcome; o == missed || o == none {
			names = append(names, r.Rows[i].Name)
		}
	}
	return names
}

// report prints the table and writes the files.
func report(r *result, s settings, stdout io.Writer) error {
	m := &r.Machine
	fmt.Fprintf(stdout, "%d x %s, %d MB, %s %s, %s, fasthttp %s, Redis %s, %s\n", m.CPUs, m.CPU, m.MemoryMB, m.OS, m.Kernel, m.Go, m.Fasthttp, orNone(m.Redis), m.Restraint)
	fmt.Fprintf(stdout, "GOGC %s, GOMEMLIMIT %s, nice %d; begun %s with a load of %v, ended %s with %v\n", m.GOGC, orNone(m.GOMEMLIMIT), m.Nice,
		r.Begun.At.Format("2006-01-02 15:04"), r.Begun.Load, r.Ended.At.Format("15:04"), r.Ended.Load)
	if r.Sizes.Quick {
		fmt.Fprintln(stdout, "A quick run: it shows that everything works; its figures say nothing.")
	}
	err := printTable(stdout, r.Rows)
	if r.Failed != "" {
		fmt.Fprintln(stdout, "\nNot everything was measured:", r.Failed)
	}
	if s.json != "" {
		err = errors.Join(err, r.write(s.json))
	}
	if s.markdown != "" {
		var text strings.Builder
		printMarkdown(&text, r.Rows)
		err = errors.Join(err, os.WriteFile(s.markdown, []byte(text.String()), 0o644))
	}
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// freePort is a port of the loopback that nobody listens on now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
