package loadtest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// ReplayOptions says what to replay, and through which node.
type ReplayOptions struct {
	// Addr is the node's admin listener, which serves the bid paths too:
	// host:port, https://host:port or unix:/path. The node must run with --clock=request.
	Addr string
	// TLS is as in LoadOptions.
	TLS *tls.Config
	// Key is a bearer key of the node, for where it has keys.
	Key string

	// Path is the log: CSV with a header line, plain or in gzip. The preset
	// completejourney needs a path, for the tables beside it.
	Path string
	// Log is read where Path is empty.
	Log io.Reader

	// Preset names a known log (Presets); "" for none.
	Preset string
	// Columns map the log. With a preset, fields that are set replace its own.
	Columns Columns

	// Name is the log's name, part of the events' identities; default: the
	// preset's name, else "replay".
	Name string
	// Advertiser of the purchases; default: the preset's, else Name.
	Advertiser string
	// Source of the users' identifiers: a name for user.eids, or "user.id".
	// Default: restraint.replay.
	Source string
	// Country (alpha-3) sent with every request, which chooses the market;
	// default: none.
	Country string
	// Run stands before users and event identities, so that a second replay on
	// one node meets none of the first; at most 64 bytes.
	Run string

	// Workers ask at the same time; default 4.
	Workers int
	// Window is how many rows of one second the workers share out at most
	// before they wait for one another; default 1024.
	Window int
	// MaxRows refuses a longer log; default DefaultMaxRows.
	MaxRows int
	// First replays only so many events, the earliest; 0: all.
	First int
	// Timeout of one request; default 10 s.
	Timeout time.Duration

	// Check has the verdicts recounted against these caps (Oracle).
	Check []ExpectedCap

	// Summary is written the text summary at the end, partial or not.
	Summary io.Writer
	// Progress is called from the caller's goroutine after each window.
	Progress func(done, total int)
}

const (
	defaultWorkers = 4
	defaultWindow  = 1024
	defaultSource  = "restraint.replay"
	maxRunBytes    = 64
)

// complete sets the defaults and returns the preset, which is empty where none
// is named.
func (o *ReplayOptions) complete() (Preset, error) {
	p := Preset{Stands: "The columns named on the command line say what a row stands for."}
	if o.Preset != "" {
		var ok bool
		if p, ok = presets()[o.Preset]; !ok {
			var known []string
			for _, q := range Presets() {
				known = append(known, q.Name)
			}
			return p, fmt.Errorf("replay: %w: preset %q is not known; known are %s, or map the columns", ErrOptions, o.Preset, strings.Join(known, ", "))
		}
	}
	p.Columns = o.Columns.over(p.Columns)
	o.Name = cmp.Or(o.Name, p.Name, "replay")
	o.Advertiser = cmp.Or(o.Advertiser, p.Advertiser, o.Name)
	o.Source = cmp.Or(o.Source, defaultSource)
	o.Workers = cmp.Or(o.Workers, defaultWorkers)
	o.Window = cmp.Or(o.Window, defaultWindow)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	var faults []error
	if err := p.Columns.validate(); err != nil {
		faults = append(faults, err)
	}
	if o.Path == "" && o.Log == nil {
		faults = append(faults, errors.New("no log: give a path"))
	}
	if o.Path == "" && o.Preset == presetJourney {
		faults = append(faults, fmt.Errorf("preset %s reads tables beside the log: give a path", presetJourney))
	}
	faults = append(faults, o.bounds()...)
	if err := errors.Join(faults...); err != nil {
		return p, fmt.Errorf("replay: %w: %w", ErrOptions, err)
	}
	return p, nil
}

// bounds names every option, with its defaults set, that is out of bounds.
func (o *ReplayOptions) bounds() (faults []error) {
	for _, b := range []struct {
		name               string
		value, least, most int
	}{
		{"workers", o.Workers, 1, 256},
		{"window", o.Window, 1, math.MaxInt32},
		{"first", o.First, 0, math.MaxInt32},
		{"max-rows", o.MaxRows, 0, math.MaxInt32},
	} {
		if b.value < b.least || b.value > b.most {
			faults = append(faults, fmt.Errorf("--%s=%d: want a number from %d to %d", b.name, b.value, b.least, b.most))
		}
	}
	if o.Timeout < 0 {
		faults = append(faults, fmt.Errorf("timeout %s: want one above 0", o.Timeout))
	}
	for _, b := range []struct {
		name, value string
		most        int
	}{
		{"run", o.Run, maxRunBytes}, {"name", o.Name, maxNameBytes}, {"advertiser", o.Advertiser, maxNameBytes}, {"source", o.Source, maxNameBytes},
	} {
		if len(b.value) > b.most {
			faults = append(faults, fmt.Errorf("--%s=%q: want at most %d bytes", b.name, b.value, b.most))
		}
	}
	return faults
}

// Validate names every fault that can be seen without the node and without the
// log, by the names of Columns' flags and of those of restraint replay; the error
// is ErrOptions. Replay does the same first.
func (o ReplayOptions) Validate() error {
	_, err := o.complete()
	return err
}

// load reads the whole log and sorts it.
func (o *ReplayOptions) load(c Columns) (*eventLog, error) {
	l := newEventLog(o.MaxRows)
	var err error
	switch {
	case o.Preset == presetJourney:
		err = loadJourney(l, o.Path, c)
	case o.Path != "":
		err = l.readFile(o.Path, c)
	default:
		err = l.readFrom(o.Log, o.Name, c)
	}
	if err != nil {
		return nil, err
	}
	l.sort()
	if o.First > 0 && o.First < len(l.rows) {
		l.rows = slices.Clip(l.rows[:o.First])
	}
	return l, nil
}

// Replay feeds the log through the node. Where it ends early, by ctx or by an
// error of the node, the Summary says Partial and covers what was done; the
// error is the cause. Without a usable log or node the Summary is empty.
func Replay(ctx context.Context, o ReplayOptions) (Summary, error) {
	preset, err := o.complete()
	if err != nil {
		return Summary{}, err
	}
	n, err := newNode(o.Addr, o.Key, o.secure(), o.Timeout, o.Workers+1)
	if err != nil {
		return Summary{}, err
	}
	defer n.close()
	if err := n.check(ctx); err != nil {
		return Summary{}, err
	}
	l, err := o.load(preset.Columns)
	if err != nil {
		return Summary{}, err
	}
	return o.run(ctx, n, preset, l)
}

// secure is how to speak TLS to the node; nil: not at all.
func (o *ReplayOptions) secure() *tls.Config {
	address, ok := strings.CutPrefix(o.Addr, secureScheme)
	if !ok {
		return nil
	}
	host, _, err := net.SplitHostPort(strings.TrimSuffix(address, "/"))
	if err != nil {
		return nil // which newNode says
	}
	return securedFor(host, o.TLS)
}

// run replays a log that is loaded, through a node that was checked.
func (o *ReplayOptions) run(ctx context.Context, n *node, preset Preset, l *eventLog) (Summary, error) {
	b := &bodies{log: l, source: o.Source, run: o.Run, name: o.Name, advertiser: o.Advertiser, country: o.Country}
	workers := make([]*worker, o.Workers)
	for i := range workers {
		workers[i] = newWorker(n, b, o.Check)
		defer workers[i].call.release()
	}
	start := time.Now()
	err := runWindows(ctx, l.rows, workers, o)
	s := summarize(o, preset, l, workers, time.Since(start))
	if err != nil {
		s.Partial = err.Error()
	}
	if o.Summary != nil {
		if werr := s.Print(o.Summary); werr != nil {
			err = errors.Join(err, fmt.Errorf("write summary: %w", werr))
		}
	}
	return s, err
}

// windowEnd is the end of the window that begins at from: at most so many rows, all
// of one second. A node goes by the latest second it was ever told, so workers that
// stood in different seconds would meet each other's, and two replays could differ.
func windowEnd(rows []row, from, most int) (to int) {
	second := rows[from].at / int64(time.Second)
	for to = from + 1; to < len(rows) && to-from < most && rows[to].at/int64(time.Second) == second; {
		to++
	}
	return to
}

// runWindows shares each window's rows out by user and waits for all workers.
func runWindows(ctx context.Context, rows []row, workers []*worker, o *ReplayOptions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make([][]*row, len(workers))
	for from, to := 0, 0; from < len(rows); from = to {
		to = windowEnd(rows, from, o.Window)
		for i := range parts {
			parts[i] = parts[i][:0]
		}
		for i := from; i < to; i++ {
			w := int(rows[i].user) % len(workers)
			parts[w] = append(parts[w], &rows[i])
		}
		var wait sync.WaitGroup
		for i, w := range workers {
			if len(parts[i]) == 0 {
				continue
			}
			wait.Go(func() {
				if err := w.play(ctx, parts[i]); err != nil {
					cancel(err)
				}
			})
		}
		wait.Wait()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if o.Progress != nil {
			o.Progress(to, len(rows))
		}
	}
	return nil
}
