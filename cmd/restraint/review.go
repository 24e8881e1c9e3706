package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// policyReviewCmd shows how a campaign stands with the people it is shown to, and ends a
// dial-back.
type policyReviewCmd struct {
	nodeFlags
	whyFlag
	Release  bool   `help:"You have looked into it: release the campaign from its dial-back, on all nodes. Only what is reported from now on counts."`
	JSON     bool   `name:"json" help:"Print the node's own answer."`
	Campaign string `arg:"" optional:"" help:"The campaign. Not given: list those that are dialled back."`
}

// campaignReview is a review as the node answers it.
type campaignReview struct {
	Campaign    string       `json:"campaign"`
	InPolicy    bool         `json:"in_policy"`
	Level       string       `json:"level"`
	InForce     bool         `json:"in_force"`
	DialledBack *dialledBack `json:"dialled_back"`
	Released    *struct {
		At   int64  `json:"at"`
		From string `json:"from"`
		Why  string `json:"why"`
		By   string `json:"by"`
		Node string `json:"node"`
	} `json:"released"`
	Window struct {
		From      int64            `json:"from"`
		To        int64            `json:"to"`
		Reports   map[string]int64 `json:"reports"`
		Weighing  int64            `json:"weighing"`
		People    int64            `json:"people"`
		Shown     int64            `json:"shown"`
		Per10K    float64          `json:"per_10k"`
		Estimated bool             `json:"estimated"`
	} `json:"window"`
	Rule *struct {
		WindowSeconds int64   `json:"window_seconds"`
		MinShown      int64   `json:"min_shown"`
		MinPeople     int64   `json:"min_people"`
		HidesPer10K   int64   `json:"hides_per_10k"`
		PauseAt       int64   `json:"pause_at"`
		Factor        float64 `json:"factor"`
	} `json:"rule"`
}

// dialledBack are the numbers by which a campaign was dialled back.
type dialledBack struct {
	Since    int64  `json:"since"`
	Policy   int    `json:"policy"`
	Window   int64  `json:"window"`
	Shown    int64  `json:"shown"`
	Weighing int64  `json:"weighing"`
	People   int64  `json:"people"`
	Per10K   int64  `json:"per_10k"`
	Node     string `json:"node"`
}

// Run asks the node and prints.
func (c *policyReviewCmd) Run(ctx context.Context, p *process) error {
	switch {
	case c.Release && c.Campaign == "":
		return wrongUse("--release: name the campaign to release; restraint policy review lists those that are dialled back")
	case c.Why != "" && !c.Release:
		return wrongUse("--why %q: it is kept with a release; give --release too", c.Why)
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	if c.Campaign == "" {
		return c.list(ctx, p, node)
	}
	path := "/v1/campaigns/" + url.PathEscape(c.Campaign)
	asked := request{method: http.MethodGet, path: path + "/review"}
	if c.Release {
		asked = request{method: http.MethodPost, path: path + "/release", why: c.Why}
	}
	answer, err := node.do(ctx, asked)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := p.stdout.Write(answer)
		return err
	}
	var r campaignReview
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return r.print(p.stdout)
}

// list prints the campaigns that are dialled back.
func (c *policyReviewCmd) list(ctx context.Context, p *process, node *client) error {
	answer, err := node.do(ctx, request{method: http.MethodGet, path: "/v1/dial-back"})
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := p.stdout.Write(answer)
		return err
	}
	var all struct {
		Campaigns []campaignReview `json:"campaigns"`
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if len(all.Campaigns) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no campaign is dialled back")
		return err
	}
	t := newTable(p.stdout)
	t.row("CAMPAIGN", "LEVEL", "SINCE", "BY", "IN FORCE")
	for i := range all.Campaigns {
		r := &all.Campaigns[i]
		inForce := "yes"
		if !r.InForce {
			inForce = "no, " + r.notInForce()
		}
		since, by := "-", "-"
		if d := r.DialledBack; d != nil {
			since, by = moment(d.Since), d.numbers()
		}
		t.row(r.Campaign, r.Level, since, by, inForce)
	}
	return t.flush()
}

// numbers says what people reported when it was dialled back.
func (d *dialledBack) numbers() string {
	return fmt.Sprintf("%s by %s in %s showings within %s; %s in 10,000 are enough", plural(int(d.Weighing), "report"), people(d.People), grouped(d.Shown), windowText(d.Window),
		grouped(d.Per10K))
}

// windowText is a window as policies write it.
func windowText(seconds int64) string {
	for _, unit := range []struct {
		seconds int64
		name    string
	}{{24 * 3600, "d"}, {3600, "h"}, {60, "m"}} {
		if seconds%unit.seconds == 0 && seconds > unit.seconds {
			return fmt.Sprintf("%d%s", seconds/unit.seconds, unit.name)
		}
	}
	return fmt.Sprintf("%ds", seconds)
}

func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return grouped(n) + " people"
}

func (r *campaignReview) notInForce() string {
	if !r.InPolicy {
		return "the policy does not have it"
	}
	return "dial_back is off"
}

// print says how the campaign stands.
func (r *campaignReview) print(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	switch r.Level {
	case "none":
		line("%s is not dialled back", r.Campaign)
	case "paused":
		line("%s is paused: it is shown to nobody until it is released", r.Campaign)
	default:
		line("%s is %s: its caps are scaled down until it is released", r.Campaign, r.Level)
	}
	if d := r.DialledBack; d != nil {
		line("  since     %s, under policy version %d, found by %s", moment(d.Since), d.Policy, d.Node)
		line("  by        %s", d.numbers())
		if !r.InForce {
			line("  not in force: %s", r.notInForce())
		}
	} else if !r.InPolicy {
		line("  the policy in force does not have it")
	}
	if x := r.Released; x != nil {
		by, why := x.By, x.Why
		if by == "" {
			by = "somebody without a key"
		}
		if why == "" {
			why = "no reason given"
		}
		line("  released  %s by %s on %s, from %s: %s", moment(x.At), by, x.Node, x.From, why)
	}
	n, about := &r.Window, ""
	if n.Estimated {
		about = "about "
	}
	line("now, of the time after %s:", moment(n.From))
	line("  shown     %s", grouped(n.Shown))
	line("  weighing  %s%s by %s, which is %.1f in 10,000", about, plural(int(n.Weighing), "report"), people(n.People), n.Per10K)
	for _, kind := range []string{"hide", "complaint", "helpful", "intrusive", "opt_out"} {
		line("  %-9s %s%s", kind, about, grouped(n.Reports[kind]))
	}
	if rule := r.Rule; rule != nil {
		line("rule: from %s shown and %s on, lowered to %.0f %% at %s in 10,000, paused at %s, within %s",
			grouped(rule.MinShown), people(rule.MinPeople), rule.Factor*100, grouped(rule.HidesPer10K), grouped(rule.PauseAt), windowText(rule.WindowSeconds))
	} else {
		line("rule: dial_back is off")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
