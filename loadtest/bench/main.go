// Command bench measures Restraint beside what a team would use instead, on the machine
// it runs on, and prints a table of ratios with the marks they are to reach.
//
// What is measured runs in processes of its own: `restraint serve` with its defaults,
// filled over HTTP; a bare fasthttp handler, which is this program under another
// argument; redis-server, where there is one; and the Go benchmarks of the packages.
// Contestants take turns, and the ratio is taken within a turn, since the times alone
// say more about the machine and its neighbours than about the code. The client's work
// is part of what is measured, on the same processors, as it is for all of them.
//
// It needs Linux, for the processor time of the processes it measures. The package
// imports nothing of this module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == bareArgument {
		if err := serveBare(); err != nil {
			fmt.Fprintln(os.Stderr, "bare handler:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are the flags.
type settings struct {
	sizes    sizes
	only     *regexp.Regexp
	json     string
	markdown string
	most     time.Duration
	strict   bool
}

// run measures and prints. It returns 0, also when a mark is missed, unless strict is
// set: then 99. 1: something could not be measured, 2: wrong use.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.most, fmt.Errorf("it took longer than %v; give it more with -most", s.most))
	defer cancel()
	r, err := measure(ctx, s, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		r.Failed = err.Error()
	}
	if err := report(r, s, stdout); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return exitCode(r, s.strict, stderr)
}

func exitCode(r *result, strict bool, stderr io.Writer) int {
	switch missed := r.missed(); {
	case r.Failed != "":
		return 1
	case strict && len(missed) > 0:
		fmt.Fprintf(stderr, "bench: %d marks missed: %s\n", len(missed), strings.Join(missed, "; "))
		return 99
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	quick := f.Bool("quick", false, "small numbers and short slices: shows that everything works; the figures say nothing")
	large := f.Bool("large", false, "5,000,000 users resident and lists of 10,000,000 members too, where memory allows")
	only := f.String("only", "", "measure the parts that match the expression only; they are "+strings.Join(partNames(), ", "))
	f.StringVar(&s.json, "json", "bench.json", "file of everything that was measured; empty: none")
	f.StringVar(&s.markdown, "markdown", "", "file of the table as markdown")
	f.DurationVar(&s.most, "most", 45*time.Minute, "time after which it gives up")
	f.BoolVar(&s.strict, "strict", false, "exit with 99 when a mark is missed or could not be measured")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q: there are flags only", f.Arg(0))
	case *quick && *large:
		return s, errors.New("-quick and -large: choose one")
	case s.most <= 0:
		return s, fmt.Errorf("-most %v: want a time above 0", s.most)
	}
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("-only %q: %w", *only, err)
	}
	if len(s.parts()) == 0 {
		return s, fmt.Errorf("-only %q: no part matches; they are %s", *only, strings.Join(partNames(), ", "))
	}
	s.sizes = fullSizes()
	if *quick {
		s.sizes = quickSizes()
	}
	s.sizes.Large = *large
	return s, nil
}

// part is one thing that can be measured by itself.
type part struct {
	name    string
	measure func(*bench, context.Context) error
}

// allParts are in the order of the table. The node is filled once for those of HTTP.
func allParts() []part {
	return []part{
		{"http", (*bench).measureHTTP},
		{"redis", (*bench).measureRedis},
		{"events", (*bench).measureEvents},
		{"go", (*bench).measureGo},
	}
}

func partNames() []string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.name)
	}
	return names
}

func (s *settings) parts() []part {
	var parts []part
	for _, p := range allParts() {
		if s.only.MatchString(p.name) {
			parts = append(parts, p)
		}
	}
	return parts
}
