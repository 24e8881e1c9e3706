package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// policyCmd shows and changes the policy in force.
type policyCmd struct {
	Show     policyShowCmd     `cmd:"" help:"Print the text of the policy in force, or of an older version."`
	Put      policyPutCmd      `cmd:"" help:"Put a policy in force; every fault is named, and with one nothing changes."`
	History  policyHistoryCmd  `cmd:"" help:"List the versions."`
	Rollback policyRollbackCmd `cmd:"" help:"Put an older version in force again."`
	Diff     policyDiffCmd     `cmd:"" help:"Compare a file with the policy in force, line by line; or both policies of a pilot, with what each does."`
	Pilot    policyPilotCmd    `cmd:"" help:"Say how the policy that is tried out does; promote it, stop it, or change on how many."`
	Review   policyReviewCmd   `cmd:"" help:"Show how a campaign stands with people, and release it where they had it dialled back."`
}

type policyShowCmd struct {
	nodeFlags
	Number int  `name:"number" help:"Version to show; not given: the one in force." placeholder:"N" xor:"which"`
	Pilot  bool `help:"Show the policy that is tried out." xor:"which"`
}

// Run prints the text as it was put.
func (c *policyShowCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	if c.Pilot {
		running, err := node.pilot(ctx)
		if err != nil {
			return err
		}
		c.Number = running.Version
	}
	text, err := node.policyText(ctx, c.Number)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}

// policyText is the text of a version; 0 is the one in force.
func (c *client) policyText(ctx context.Context, version int) ([]byte, error) {
	query := url.Values{}
	if version != 0 {
		query.Set("version", strconv.Itoa(version))
	}
	return c.do(ctx, request{method: http.MethodGet, path: "/v1/policy", query: query})
}

type policyPutCmd struct {
	nodeFlags
	DryRun bool   `help:"Have the node check the policy and say what would change, and change nothing."`
	Pilot  int    `help:"Apply to so many percent of users; the rest keep the version before." placeholder:"PERCENT"`
	File   string `arg:"" help:"The policy, YAML or JSON; - for standard input."`
}

// Run sends the policy and prints what changes, or every fault.
func (c *policyPutCmd) Run(ctx context.Context, p *process) error {
	if c.Pilot < 0 || c.Pilot > 100 {
		return wrongUse("--pilot %d: write a percentage from 1 to 100", c.Pilot)
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	text, err := readPolicy(c.File, p.stdin)
	if err != nil {
		return err
	}
	query := url.Values{}
	if c.DryRun {
		query.Set("dry_run", "1")
	}
	if c.Pilot > 0 {
		query.Set("pilot", strconv.Itoa(c.Pilot))
	}
	answer, err := node.do(ctx, request{
		method: http.MethodPut, path: "/v1/policy", query: query,
		body: bytes.NewReader(text), bodyBytes: int64(len(text)), contentType: policyType(c.File),
	})
	var refused *problem
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && len(refused.Errors) > 0 {
		return usageError{err} // the policy has faults, as check would say
	}
	if err != nil {
		return err
	}
	return printAnswer(p.stdout, answer)
}

type policyHistoryCmd struct{ nodeFlags }

// Run prints a table of the versions, newest first.
func (c *policyHistoryCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	body, err := node.do(ctx, request{method: http.MethodGet, path: "/v1/policy/history"})
	if err != nil {
		return err
	}
	var answer struct {
		Versions []struct {
			Version int       `json:"version"`
			At      time.Time `json:"at"`
			From    string    `json:"from"`
			SHA256  string    `json:"sha256"`
			Pilot   *struct {
				Percent int `json:"percent"`
			} `json:"pilot"`
		} `json:"versions"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	t := newTable(p.stdout)
	t.row("VERSION", "SINCE", "FOR", "FROM", "SHA-256")
	for _, v := range answer.Versions {
		whom := "everybody"
		if v.Pilot != nil {
			whom = fmt.Sprintf("%d %% of people", v.Pilot.Percent)
		}
		t.row(strconv.Itoa(v.Version), inUTC(v.At), whom, v.From, v.SHA256[:min(16, len(v.SHA256))])
	}
	return t.flush()
}

type policyRollbackCmd struct {
	nodeFlags
	DryRun bool `help:"Say what would change, and change nothing."`
	Number int  `name:"number" help:"Version to put in force again; not given: the one before." placeholder:"N"`
}

// Run goes back and prints what changes.
func (c *policyRollbackCmd) Run(ctx context.Context, p *process) error {
	if c.Number < 0 {
		return wrongUse("--number %d: write the number of a version; restraint policy history lists them", c.Number)
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	query := url.Values{}
	if c.Number > 0 {
		query.Set("version", strconv.Itoa(c.Number))
	}
	if c.DryRun {
		query.Set("dry_run", "1")
	}
	answer, err := node.do(ctx, request{method: http.MethodPost, path: "/v1/policy/rollback", query: query})
	if err != nil {
		return err
	}
	return printAnswer(p.stdout, answer)
}

type policyDiffCmd struct {
	nodeFlags
	Number int    `name:"number" help:"Version to compare with; not given: the one in force." placeholder:"N"`
	Effect bool   `help:"Compare the policy that is tried out with the one before, and what each does. Without a file."`
	File   string `arg:"" optional:"" help:"The policy, YAML or JSON; - for standard input."`
}

// Run prints the lines that differ: - in force, + in the file or in what is tried out.
func (c *policyDiffCmd) Run(ctx context.Context, p *process) error {
	switch {
	case c.Effect && (c.File != "" || c.Number != 0):
		return wrongUse("--effect compares the policy that is tried out with the one before: leave file and --number out")
	case !c.Effect && c.File == "":
		return wrongUse("give the path of a policy to compare with the one in force, or --effect for what is tried out")
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	if c.Effect {
		return node.printPilotDiff(ctx, p.stdout)
	}
	text, err := readPolicy(c.File, p.stdin)
	if err != nil {
		return err
	}
	inForce, err := node.policyText(ctx, c.Number)
	if err != nil {
		return err
	}
	if bytes.Equal(text, inForce) {
		_, err = fmt.Fprintln(p.stdout, "no difference")
		return err
	}
	return printDiff(p.stdout, lines(inForce), lines(text))
}

func lines(text []byte) []string {
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// maxPolicy is the longest policy that is read, in bytes; the node's own bound.
const maxPolicy = 16 << 20

// readPolicy reads a policy from a file, or from stdin where name is -. That there
// is none is a wrong use.
func readPolicy(name string, stdin io.Reader) ([]byte, error) {
	f, _, err := openFile(name, stdin)
	if err != nil {
		return nil, wrongUse("read policy: %w: give the path of a policy", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read policy %s: %w", name, err)
	case len(text) > maxPolicy:
		return nil, wrongUse("read policy %s: over %s are too many for a policy", name, Bytes(maxPolicy))
	case len(bytes.TrimSpace(text)) == 0:
		return nil, wrongUse("read policy %s: the file is empty", name)
	}
	return text, nil
}

func policyType(name string) string {
	if strings.HasSuffix(strings.ToLower(name), ".json") {
		return "application/json"
	}
	return "application/yaml"
}

// fileExists says whether name can be looked at as a file.
func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
