package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"restraint/loadtest"
)

// loadCmd drives a node with load.
type loadCmd struct {
	Addr  string `help:"Where requests go, the bid listener: host:port, https://host:port or unix:/path (default ${default})." default:"127.0.0.1:8080" placeholder:"ADDR"`
	Admin string `help:"Admin listener, for the policy's campaigns and the node's own metrics; none: do without (default ${default})." default:"127.0.0.1:8081" placeholder:"ADDR|none"`
	Key   string `help:"Access key; better in RESTRAINT_KEY, where other users of this machine cannot see it." placeholder:"KEY"`
	tlsFlags
	YesRemote bool `help:"Load a target that is not on this machine."`

	Rate        float64       `help:"Requests a second (default ${default}); with --find-knee the first to try." default:"1000" placeholder:"N" group:"Load"`
	Duration    time.Duration `help:"How long is measured; with --find-knee each rate." default:"30s" group:"Load"`
	WarmUp      time.Duration `help:"How long before that is not." default:"1s" group:"Load"`
	Schedule    string        `help:"constant, step (five, up to the rate), ramp, spike (the middle tenth) or soak (a slow start). Default: ${default}." default:"constant" placeholder:"SHAPE" group:"Load"`
	Arrivals    string        `help:"even (the default), or poisson as of many people." default:"even" placeholder:"KIND" group:"Load"`
	FromRate    float64       `help:"Where a ramp or steps begin. Default: a tenth of the rate." placeholder:"N" group:"Load"`
	SpikeRate   float64       `help:"Rate of a spike. Default: three times the rate." placeholder:"N" group:"Load"`
	Closed      bool          `help:"Closed loop: each connection sends when it has its answer." group:"Load"`
	Connections int           `help:"Most requests at one time. Default: 256; in a closed loop 32." placeholder:"N" group:"Load"`
	Timeout     time.Duration `help:"Of one request." default:"2s" group:"Load"`
	Seed        uint64        `help:"Of all that is drawn." default:"1" group:"Load"`

	Users       int      `help:"Users, of the source restraint.load (default ${default})." default:"1000000" placeholder:"N" group:"Requests"`
	Zipf        float64  `help:"Exponent by which some users come more often; 0: all alike (default ${default})." default:"0.8" placeholder:"S" group:"Requests"`
	Identifiers int      `help:"Most identifiers of a user; 40 % have more than one (default ${default})." default:"2" placeholder:"N" group:"Requests"`
	IFA         float64  `name:"ifa" help:"Percent of users with a device identifier, too; these are not of the source restraint.load." placeholder:"PERCENT" group:"Requests"`
	RunName     string   `name:"run" help:"Name that makes other people of the same users." placeholder:"NAME" group:"Requests"`
	Candidates  int      `help:"Candidates of a request (default ${default})." default:"20" placeholder:"N" group:"Requests"`
	Campaign    []string `help:"Campaign of candidates; may repeat. Default: those of the node's policy." placeholder:"NAME" sep:"none" group:"Requests"`
	Creatives   float64  `help:"Percent of candidates with a creative (default ${default})." default:"100" placeholder:"PERCENT" group:"Requests"`
	Items       float64  `help:"With an item (default ${default})." default:"50" placeholder:"PERCENT" group:"Requests"`
	Categories  float64  `help:"With a category (default ${default})." default:"50" placeholder:"PERCENT" group:"Requests"`
	Want        int      `help:"Ask for so many that may be shown together; 0: judge each by itself." placeholder:"N" group:"Requests"`
	Hold        bool     `help:"Hold their places until the impression." group:"Requests"`
	Token       bool     `help:"Ask for tokens, and report impressions by them." group:"Requests"`
	Brief       bool     `help:"Ask for brief answers." group:"Requests"`
	Consent     float64  `help:"Percent of requests with a consent string, TCF or GPP, that permits everything." placeholder:"PERCENT" group:"Requests"`
	Strings     int      `name:"consent-strings" help:"Distinct consent strings (default ${default})." default:"1000" placeholder:"N" group:"Requests"`
	Countries   string   `help:"Countries and their weights, such as DEU=60,USA=40. Default: none is sent." placeholder:"C=W,..." group:"Requests"`
	Mix         string   `help:"Kinds of requests and their weights: decide, impression, click, purchase, hide (default ${default})." default:"decide=95,impression=5" placeholder:"K=W,..." group:"Requests"`
	Source      string   `help:"Log of bid requests, one a line, plain or .gz, to take in place of made-up ones; candidates and other users are put in." placeholder:"FILE" group:"Requests"`

	SLO      []string `name:"slo" help:"Objective of corrected latency or errors, such as p99<1ms, max<20ms or errors<0.1%; may repeat. Exit code 99 where one is missed." placeholder:"METRIC<LIMIT" sep:"none" group:"Judging"`
	FindKnee bool     `help:"Raise the rate until an objective breaks, then find where. Default objectives: p99<1ms and errors<0.1%." group:"Judging"`
	Oracle   bool     `help:"Count showings beside the node and hold its verdicts to the caps of its policy." group:"Judging"`

	Out        string `help:"Draw the report as one HTML page in this file; nothing is fetched by it." placeholder:"F.html" group:"Output"`
	JSON       string `name:"json" help:"Write the report as JSON to this file." placeholder:"FILE" group:"Output"`
	JSONSchema bool   `name:"json-schema" help:"Print the JSON Schema of that, and end." group:"Output"`
	HGRM       string `name:"hgrm" help:"Write the corrected latencies for HdrHistogram's plotters to this file." placeholder:"FILE" group:"Output"`
}

// Help is what --help says below the flags' summary.
func (*loadCmd) Help() string {
	return `Sends requests at the times of a schedule, whatever the node's answers take, and measures each from the time it
was to be sent (open loop, no coordinated omission). Exit code 0: every objective met; 99: one missed; 3: the run is not valid, because the
generator was the bottleneck or because nearly all verdicts were one short cut. Interrupted, it reports what was run.

The identifiers are of the source restraint.load; a run leaves their exposures in the node. Load a node that nobody uses.`
}

// Run runs the load test and prints the report.
func (c *loadCmd) Run(ctx context.Context, p *process) error {
	if c.JSONSchema {
		_, err := p.stdout.Write(loadtest.ReportJSONSchema)
		return err
	}
	o, err := c.options(p)
	if err != nil {
		return err
	}
	for _, file := range []string{c.Out, c.JSON, c.HGRM} {
		if err := writable(file); err != nil {
			return err
		}
	}
	r, err := loadtest.Load(ctx, o)
	switch {
	case errors.Is(err, loadtest.ErrOptions), errors.Is(err, loadtest.ErrRemote):
		return usageError{err}
	case err != nil:
		return err
	}
	if err := r.Print(p.stdout); err != nil {
		return err
	}
	if c.Out != "" {
		if err := writeTo(c.Out, func(w io.Writer) error { return r.WriteHTML(w, commandLine(p.args)) }); err != nil {
			return err
		}
	}
	if c.JSON != "" {
		if err := writeJSON(c.JSON, r); err != nil {
			return err
		}
	}
	if c.HGRM != "" {
		if err := writeTo(c.HGRM, r.WriteHGRM); err != nil {
			return err
		}
	}
	return loadOutcome(r)
}

// options are what the flags ask for.
func (c *loadCmd) options(p *process) (o loadtest.LoadOptions, err error) {
	o = loadtest.LoadOptions{
		Config: loadtest.LoadConfig{
			Addr: c.secured(c.Addr), Closed: c.Closed, Schedule: c.Schedule, Arrivals: c.Arrivals, Rate: c.Rate,
			DurationSeconds: c.Duration.Seconds(), WarmUpSeconds: c.WarmUp.Seconds(), TimeoutSeconds: c.Timeout.Seconds(),
			Connections: c.Connections, Seed: c.Seed, Users: c.Users, Zipf: c.Zipf, Identifiers: c.Identifiers, IFAPercent: c.IFA, Run: c.RunName,
			Candidates: c.Candidates, CreativePercent: c.Creatives, ItemPercent: c.Items, CategoryPercent: c.Categories,
			Want: c.Want, Hold: c.Hold, Token: c.Token || c.Hold, Brief: c.Brief, ConsentPercent: c.Consent, ConsentStrings: c.Strings,
		},
		FromRate: c.FromRate, SpikeRate: c.SpikeRate, Admin: c.secured(c.Admin), Key: c.Key, YesRemote: c.YesRemote,
		CampaignNames: c.Campaign, SourcePath: c.Source, FindKnee: c.FindKnee, Oracle: c.Oracle,
		Progress: func(text string) { _, _ = fmt.Fprintln(p.stderr, text) },
	}
	if o.Key == "" {
		o.Key, _ = p.lookup("RESTRAINT_KEY")
	}
	if c.Admin == "none" {
		o.Admin = ""
	}
	if o.TLS, err = c.tls(); err != nil {
		return o, err
	}
	switch {
	case c.Connections == 0 && c.Closed:
		o.Config.Connections = 32
	case c.Connections == 0:
		o.Config.Connections = 256
	}
	if c.Closed {
		o.Config.Schedule, o.Config.Arrivals, o.Config.Rate = "", "", 0
	}
	if o.Config.Mix, err = loadtest.ParseMix(c.Mix); err != nil {
		return o, usageError{err}
	}
	if c.Countries != "" {
		if o.Config.Countries, err = loadtest.ParseCountries(c.Countries); err != nil {
			return o, usageError{err}
		}
	}
	texts := c.SLO
	if len(texts) == 0 && c.FindKnee {
		texts = []string{"p99<1ms", "errors<0.1%"}
	}
	for _, text := range texts {
		slo, err := loadtest.ParseSLO(text)
		if err != nil {
			return o, usageError{err}
		}
		o.SLOs = append(o.SLOs, slo)
	}
	if err := o.Validate(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// loadFailed is the outcome of a load test that is not a pass, with its exit code.
type loadFailed struct {
	error
	code int
}

// Exit codes of a load test, from the contract.
const (
	exitInvalid = 3
	exitMissed  = 99
)

// loadOutcome is nil for a pass of a whole run.
func loadOutcome(r *loadtest.Report) error {
	switch {
	case r.CutShort != "":
		return fmt.Errorf("%s; the report is of what was run", r.CutShort)
	case r.Outcome == loadtest.OutcomeInvalid:
		return loadFailed{errors.New("the run is not valid: see the report"), exitInvalid}
	case r.Outcome == loadtest.OutcomeMissed:
		return loadFailed{errors.New("an objective was missed: see the report"), exitMissed}
	}
	return nil
}

// writable finds out before a long run whether its result can be written.
func writable(file string) error {
	if file == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return wrongUse("write %q: there is no folder %q", file, filepath.Dir(file))
	}
	return nil
}

// writeTo writes a file whole.
func writeTo(file string, write func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err = write(f); err == nil {
		err = f.Close()
	} else {
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("write report %q: %w", file, err)
	}
	return nil
}
