package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// decideCmd asks for one decision. Candidates differ by campaign only; what is
// said of the item is said of each.
type decideCmd struct {
	nodeFlags
	User       string   `help:"The person's identifier." required:"" placeholder:"ID"`
	Source     string   `help:"Source of the identifier: user.id, buyeruid, ifa, or a name for user.eids." default:"user.id" placeholder:"SOURCE"`
	Campaign   []string `help:"A campaign, in order of preference; may repeat." required:"" placeholder:"CAMPAIGN" sep:"none"`
	Creative   string   `help:"Creative of the candidates." placeholder:"NAME"`
	Item       string   `help:"Item of the candidates." placeholder:"NAME"`
	Category   string   `help:"Category of the item." placeholder:"NAME"`
	InterestAt string   `help:"When the person showed interest in the item: a time (RFC 3339), a date or Unix seconds." placeholder:"TIME"`
	Country    string   `help:"Country, alpha-3 or alpha-2." placeholder:"DEU"`
	Consent    string   `help:"TCF consent string." placeholder:"STRING"`
	Channel    string   `help:"web, app, ctv, dooh, audio, email or another." placeholder:"CHANNEL"`
	Want       int      `help:"Stop after so many that may be shown; they are taken to be shown together." placeholder:"N"`
	Hold       bool     `help:"Keep their places until the impression; needs --want."`
	JSON       bool     `name:"json" help:"Print the node's answer as it is."`
}

// decision is one decision of an explained answer.
type decision struct {
	Campaign   string           `json:"campaign"`
	Show       bool             `json:"show"`
	Reason     string           `json:"reason"`
	RetryAfter int64            `json:"retry_after"`
	Because    string           `json:"because"`
	Checks     []map[string]any `json:"checks"`
}

// Run asks and prints; a skip is an answer like any other, not an error.
func (c *decideCmd) Run(ctx context.Context, p *process) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	answer, err := node.do(ctx, request{
		method: http.MethodPost, path: "/v1/decide", query: url.Values{"explain": {"1"}},
		body: bytes.NewReader(body), bodyBytes: int64(len(body)), contentType: "application/json",
	})
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := p.stdout.Write(answer)
		return err
	}
	var verdicts struct {
		Policy    int64      `json:"policy"`
		Token     string     `json:"token"`
		Decisions []decision `json:"decisions"`
	}
	if err := json.Unmarshal(answer, &verdicts); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if _, err := fmt.Fprintf(p.stdout, "policy version %d\n", verdicts.Policy); err != nil {
		return err
	}
	for i := range verdicts.Decisions {
		if err := verdicts.Decisions[i].print(p.stdout); err != nil {
			return err
		}
	}
	if verdicts.Token != "" {
		_, err = fmt.Fprintf(p.stdout, "\ntoken %s\n", verdicts.Token)
	}
	return err
}

// body is the request in OpenRTB's own objects.
func (c *decideCmd) body() ([]byte, error) {
	if c.Hold && c.Want == 0 {
		return nil, wrongUse("--hold keeps the places of what will be shown: say how many with --want, such as --want 1")
	}
	if c.Want < 0 || c.Want > 32 {
		return nil, wrongUse("--want %d: write a number from 1 to 32", c.Want)
	}
	candidate := map[string]any{}
	for field, v := range map[string]string{"creative": c.Creative, "item": c.Item, "category": c.Category} {
		if v != "" {
			candidate[field] = v
		}
	}
	if c.InterestAt != "" {
		at, err := parseTime(c.InterestAt)
		if err != nil {
			return nil, wrongUse("--interest-at %w", err)
		}
		candidate["interest_at"] = at.Unix()
		candidate["interest_count"] = 1
	}
	candidates := make([]map[string]any, 0, len(c.Campaign))
	for _, campaign := range c.Campaign {
		one := map[string]any{"campaign": campaign}
		for k, v := range candidate {
			one[k] = v
		}
		candidates = append(candidates, one)
	}
	user, device := c.person()
	request := map[string]any{"user": user, "candidates": candidates}
	if len(device) > 0 {
		request["device"] = device
	}
	if c.Channel != "" {
		request["channel"] = c.Channel
	}
	if c.Want > 0 {
		request["want"] = c.Want
	}
	if c.Hold {
		request["hold"] = true
	}
	body, err := json.Marshal(request)
	if err != nil {
		panic("BUG: a request that JSON cannot hold: " + err.Error())
	}
	return body, nil
}

// person is who is asked about: the request's user and device.
func (c *decideCmd) person() (user, device map[string]any) {
	user, device = personOf(c.Source, c.User)
	if c.Consent != "" {
		user["consent"] = c.Consent
	}
	if c.Country != "" {
		device["geo"] = map[string]any{"country": c.Country}
	}
	return user, device
}

// print writes the verdict, the sentence, and every rule that was looked at.
func (d *decision) print(w io.Writer) error {
	verdict := "show"
	if !d.Show {
		verdict = "skip: " + d.Reason
		if d.RetryAfter > 0 {
			verdict += ", again in " + roughTime(time.Duration(d.RetryAfter)*time.Second)
		}
	}
	if _, err := fmt.Fprintf(w, "\n%s  %s\n", d.Campaign, verdict); err != nil {
		return err
	}
	if d.Because != "" {
		if _, err := fmt.Fprintf(w, "  %s\n", d.Because); err != nil {
			return err
		}
	}
	t := newTable(w)
	for _, check := range d.Checks {
		t.row(checkRow(check)...)
	}
	return t.flush()
}

// checkRow is one check: pass or fail, the rule, and its numbers. Fields that
// this program does not know are printed at the end.
func checkRow(check map[string]any) []string {
	pass := "pass"
	if check["pass"] != true {
		pass = "fail"
	}
	said := func(field string) string {
		v, ok := check[field]
		if !ok {
			return ""
		}
		delete(check, field)
		return fmt.Sprint(v)
	}
	said("pass")
	rule := said("rule")
	var parts []string
	for _, field := range []string{"per", "channel", "list", "campaign"} {
		if v := said(field); v != "" {
			parts = append(parts, field+" "+v)
		}
	}
	if count, limit := said("count"), said("limit"); count != "" {
		parts = append(parts, count+" of "+limit)
	} else if limit != "" {
		parts = append(parts, "limit "+limit)
	}
	if within := said("within"); within != "" {
		parts = append(parts, "within "+within)
	}
	for _, field := range []string{"from", "to", "at"} {
		if seconds, ok := check[field].(float64); ok {
			delete(check, field)
			parts = append(parts, field+" "+time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339))
		}
	}
	var rest []string
	for field, v := range check {
		rest = append(rest, fmt.Sprintf("%s %v", field, v))
	}
	slices.Sort(rest)
	return []string{"  " + pass, rule, strings.Join(append(parts, rest...), ", ")}
}
