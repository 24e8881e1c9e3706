package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type policyPilotCmd struct {
	nodeFlags
	Promote bool `help:"End it: the policy that is tried out is for everybody." xor:"end"`
	Stop    bool `help:"End it: the policy before is for everybody." xor:"end"`
	Percent int  `help:"Try it out on so many percent of people instead; who is in it stays in it while it grows." placeholder:"PERCENT" xor:"end"`
	DryRun  bool `help:"Say what would change, and change nothing."`
}

// Run says how the pilot goes, or ends it, or changes its share.
func (c *policyPilotCmd) Run(ctx context.Context, p *process) error {
	if c.Percent < 0 || c.Percent > 100 {
		return wrongUse("--percent %d: write a percentage from 1 to 100", c.Percent)
	}
	query := url.Values{}
	switch {
	case c.Promote:
		query.Set("end", "promote")
	case c.Stop:
		query.Set("end", "stop")
	case c.Percent > 0:
		query.Set("percent", strconv.Itoa(c.Percent))
	case c.DryRun:
		return wrongUse("--dry-run says what --promote, --stop or --percent would change: give one of them")
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	if len(query) == 0 {
		running, err := node.pilot(ctx)
		if err != nil {
			return err
		}
		return running.print(p.stdout)
	}
	if c.DryRun {
		query.Set("dry_run", "1")
	}
	answer, err := node.do(ctx, request{method: http.MethodPost, path: "/v1/policy/pilot", query: query})
	if err != nil {
		return err
	}
	return printAnswer(p.stdout, answer)
}

// pilot is what a node says of the policy that is tried out.
type pilot struct {
	Running        bool      `json:"running"`
	Percent        int       `json:"percent"`
	Version        int       `json:"version"`
	Before         int       `json:"before"`
	Since          time.Time `json:"since"`
	Changed        time.Time `json:"changed"`
	Changes        []change  `json:"changes"`
	pilotHappening `json:"effect"`
}

type change struct{ Key, Text string }

// pilotHappening is what happened in each arm, and how they compare.
type pilotHappening struct {
	Arms []struct {
		Arm                                                                 string
		Decisions, Shown, Impressions, Clicks, Purchases, Hides, Complaints int64
	} `json:"arms"`
	Rates []pilotRate `json:"rates"`
}

// pilotRate is one rate in both arms.
type pilotRate struct {
	What, Of, Verdict         string
	Before, Pilot, Difference float64
	Low, High                 float64
	Independent               bool
}

var errNoPilot = errors.New("no policy is being tried out; restraint policy put --pilot 10 FILE tries one out on 10 % of people")

// pilot asks for the policy that is tried out; errNoPilot where none is.
func (c *client) pilot(ctx context.Context) (*pilot, error) {
	body, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/policy/pilot"})
	if err != nil {
		return nil, err
	}
	running := new(pilot)
	if err := json.Unmarshal(body, running); err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	if !running.Running {
		return nil, errNoPilot
	}
	return running, nil
}

func (r *pilot) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "version %d is tried out on %d %% of people since %s, beside version %d\n", r.Version, r.Percent, inUTC(r.Since), r.Before)
	if !r.Changed.Equal(r.Since) {
		fmt.Fprintf(&b, "on so many since %s\n", inUTC(r.Changed))
	}
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "  %s: %s\n", c.Key, c.Text)
	}
	if _, err := io.WriteString(w, b.String()+"\n"); err != nil {
		return err
	}
	return r.printEffect(w)
}

func inUTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// said is how a verdict is put into words.
var said = map[string]string{"too_few": "too few to tell", "alike": "may be chance", "more": "more", "less": "less"}

// printEffect prints what happened, and the rates with their intervals.
func (h *pilotHappening) printEffect(w io.Writer) error {
	t := newTable(w)
	t.row("ARM", "DECISIONS", "SHOWN", "IMPRESSIONS", "CLICKS", "PURCHASES", "HIDES", "COMPLAINTS")
	for _, a := range h.Arms {
		row := []string{a.Arm}
		for _, n := range []int64{a.Decisions, a.Shown, a.Impressions, a.Clicks, a.Purchases, a.Hides, a.Complaints} {
			row = append(row, grouped(n))
		}
		t.row(row...)
	}
	t.row()
	t.row("RATE", "BEFORE", "PILOT", "DIFFERENCE", "95 % INTERVAL", "SO IT IS")
	independent := false
	for _, r := range h.Rates {
		between, verdict := "", said[r.Verdict]
		if r.Verdict != "too_few" {
			between = fmt.Sprintf("%+.3g to %+.3g", 100*r.Low, 100*r.High)
		}
		if r.Independent {
			independent, verdict = true, verdict+" (*)"
		}
		t.row(r.What+" of "+r.Of, fmt.Sprintf("%.3g %%", 100*r.Before), fmt.Sprintf("%.3g %%", 100*r.Pilot), fmt.Sprintf("%+.3g", 100*r.Difference), between, verdict)
	}
	if err := t.flush(); err != nil {
		return err
	}
	notes := "\nDifferences are in percentage points. Of twenty rates that do not differ one is said to, by chance;\nof more if one looks again and again until one is: choose beforehand what to look at, and when.\n"
	if independent {
		notes += "(*) too little has happened to know how alike each person's decisions are: it is less sure than that.\n"
	}
	_, err := io.WriteString(w, notes)
	return err
}

// printPilotDiff prints the lines in which both policies of a pilot differ, and its effect.
func (c *client) printPilotDiff(ctx context.Context, w io.Writer) error {
	running, err := c.pilot(ctx)
	if err != nil {
		return err
	}
	before, err := c.policyText(ctx, running.Before)
	if err != nil {
		return err
	}
	tried, err := c.policyText(ctx, running.Version)
	if err != nil {
		return err
	}
	if err := printDiff(w, lines(before), lines(tried)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	return running.print(w)
}
