package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"restraint/loadtest"
)

// replayCmd feeds a real event log through a node.
type replayCmd struct {
	nodeFlags
	Preset     string `help:"How a known public log is read; see --presets. Default: the one that the file is named after, if any." placeholder:"NAME"`
	Presets    bool   `help:"List the presets and what a row of each log stands for, and end."`
	Name       string `help:"Name of the log; part of its events' identities. Default: the preset's, else replay." placeholder:"NAME"`
	Advertiser string `help:"Advertiser of the purchases. Default: the preset's, else the log's name." placeholder:"NAME"`
	Source     string `help:"Source of the users' identifiers. Default: restraint.replay." placeholder:"SOURCE"`
	Country    string `help:"Country sent with every request, alpha-3. Default: none." placeholder:"DEU"`
	RunName    string `name:"run" help:"Name that keeps this replay apart from others on the same node." placeholder:"NAME"`
	Workers    int    `help:"Users asked about at the same time. One keeps exact time order over all users. Default: 4." placeholder:"N"`
	Window     int    `help:"Rows shared out before the workers wait for one another. Default: 1024." placeholder:"N"`
	First      int    `help:"Replay only so many events, the earliest." placeholder:"N"`
	MaxRows    int    `help:"Refuse a longer log." placeholder:"N"`

	Policy    string `help:"Replay through a node of its own, made for this and gone afterwards, under this policy: a file, or a folder that has PRESET.yaml." placeholder:"FILE|DIR"`
	Synthetic bool   `help:"First write a made-up log to FILE, the same for the same --seed."`
	Seed      uint64 `help:"Seed of the made-up log." default:"1"`
	JSON      string `name:"json" help:"Write the summary as JSON to this file, too." placeholder:"FILE"`

	Report string `help:"Draw what the policy spared as one HTML page in this file, too; nothing is fetched by it, and no user's identifier is in it." placeholder:"F.html"`

	Expect []string `help:"Recount the verdicts against a cap of the policy, such as 3/24h or item:5/30d; may repeat." placeholder:"[PER:]LIMIT/WITHIN" sep:"none"`

	loadtest.Columns `embed:""`

	File string `arg:"" optional:"" help:"The log: CSV with a header line, plain or .gz; - for standard input."`
}

// Run replays the log and prints what the policy would have spared. Interrupted,
// it prints the summary as far as it came. All flags are checked before anything is
// written or started.
func (c *replayCmd) Run(ctx context.Context, p *process) error {
	if c.Presets {
		t := newTable(p.stdout)
		for _, preset := range loadtest.Presets() {
			t.row(preset.Name, preset.Stands)
		}
		return t.flush()
	}
	o, err := c.options(p)
	if err != nil {
		return err
	}
	for _, file := range []string{c.Report, c.JSON} {
		if err := writable(file); err != nil {
			return err
		}
	}
	var text []byte
	var name string
	if c.Policy != "" {
		if text, name, err = replayPolicy(c.Policy, c.Preset); err != nil {
			return err
		}
	}
	if c.Synthetic {
		if err := c.writeSynthetic(p); err != nil {
			return err
		}
	}
	if c.Policy != "" {
		own, err := startReplayNode(text, name)
		if err != nil {
			return err
		}
		defer own.close()
		o.Addr = own.addr
	}
	summary, err := loadtest.Replay(ctx, o)
	if errors.Is(err, loadtest.ErrOptions) || errors.Is(err, loadtest.ErrColumn) {
		return usageError{err}
	}
	if c.Report != "" && summary.Replayed > 0 { // a part of a log is drawn, too, and says so
		page := loadtest.ReplayPage{PolicyName: name, Policy: string(text), Command: commandLine(p.args), Version: programVersion()}
		if c.Policy == "" {
			page.Addr = c.Addr
		}
		err = errors.Join(err, writeTo(c.Report, func(w io.Writer) error { return summary.WriteHTML(w, page) }))
	}
	if err != nil || c.JSON == "" {
		return err
	}
	return writeJSON(c.JSON, &summary)
}

// options are what the flags ask for, without fault as far as that can be seen
// before the log is read.
func (c *replayCmd) options(p *process) (o loadtest.ReplayOptions, err error) {
	switch {
	case c.File == "":
		return o, wrongUse("which log? Give its file, or - for standard input")
	case c.Synthetic && c.File == "-":
		return o, wrongUse("--synthetic writes a log: name a file, not -")
	case c.Synthetic && c.Preset == "":
		c.Preset = "synthetic"
	case c.Preset == "":
		c.Preset = presetOf(c.File)
	}
	if c.Preset != "" && !slices.ContainsFunc(loadtest.Presets(), func(known loadtest.Preset) bool { return known.Name == c.Preset }) {
		return o, wrongUse("--preset %q: there is no such preset; restraint replay --presets lists them, or map the columns", c.Preset)
	}
	node, err := c.open(p) // for its checks of --addr, and the key
	if err != nil {
		return o, err
	}
	secure, err := c.tls()
	if err != nil {
		return o, err
	}
	o = loadtest.ReplayOptions{
		Addr: strings.TrimSuffix(strings.TrimPrefix(c.secured(c.Addr), "http://"), "/"), TLS: secure, Key: node.key,
		Path: c.File, Preset: c.Preset, Columns: c.Columns, Name: c.Name, Advertiser: c.Advertiser,
		Source: c.Source, Country: c.Country, Run: c.RunName, Workers: c.Workers, Window: c.Window,
		MaxRows: c.MaxRows, First: c.First, Summary: p.stdout, Progress: replayProgress(p),
	}
	if c.File == "-" {
		o.Path, o.Log = "", p.stdin
	}
	for _, text := range c.Expect {
		expected, err := loadtest.ParseExpectedCap(text)
		if err != nil {
			return o, usageError{err}
		}
		o.Check = append(o.Check, expected)
	}
	if err := o.Validate(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// replayProgress draws how many rows have been replayed, as often as a bar.
func replayProgress(p *process) func(done, total int) {
	start := p.now()
	drawn := start
	return func(done, total int) {
		now := p.now()
		every, before, after := lineEvery, "", "\n"
		if p.terminal {
			every, before, after = barEvery, "\r", ""
		}
		if done == total && p.terminal {
			after = "\n"
		} else if now.Sub(drawn) < every {
			return
		}
		drawn = now
		rate, left := 0.0, time.Duration(0)
		if elapsed := now.Sub(start); elapsed > 0 && done > 0 {
			rate = float64(done) / elapsed.Seconds()
			left = time.Duration(float64(elapsed) / float64(done) * float64(total-done))
		}
		_, _ = fmt.Fprintf(p.stderr, "%s%3d %%  %s of %s rows  %s rows/s  ETA %-10s%s", before, done*100/max(total, 1),
			grouped(int64(done)), grouped(int64(total)), grouped(int64(rate)), roughTime(left), after)
	}
}
