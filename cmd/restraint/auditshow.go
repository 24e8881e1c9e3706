package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"restraint/edge"
	"restraint/edge/audit"
	"restraint/edge/identity"
	"restraint/suppress"
)

// auditShowCmd prints entries, from the files or from a node.
type auditShowCmd struct {
	auditFlags
	Addr string `help:"Admin listener of a node that is asked, in the place of files." placeholder:"ADDR"`
	tlsFlags
	Key    string `help:"Access key for --addr, with the role ops or privacy; better in RESTRAINT_KEY." placeholder:"KEY"`
	Since  string `help:"Begin with the entry of this number, or of this time on: 2027-01-31T00:00:00Z." placeholder:"WHEN"`
	Source string `help:"Source of --id." default:"user.id" placeholder:"SOURCE"`
	ID     string `name:"id" help:"Only what is about this person; needs the identifier secret." placeholder:"ID"`
	JSON   bool   `name:"json" help:"Print entries as they stand in the record, one JSON object a line."`
}

// auditPart is how many entries are read at once, and so many bytes at most.
const (
	auditPart      = 1000
	auditPartBytes = 4 << 20
)

// Run prints them, oldest first.
func (c *auditShowCmd) Run(ctx context.Context, p *process) error {
	from, err := c.from()
	if err != nil {
		return err
	}
	digest, err := c.digest(p)
	if err != nil {
		return err
	}
	read, err := c.reader(ctx, p)
	if err != nil {
		return err
	}
	t := newTable(p.stdout)
	if !c.JSON {
		t.row("NUMBER", "AT", "WHAT", "BY", "ABOUT", "CHANGED")
	}
	for {
		text, err := read(from)
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return t.flush()
		}
		for line := range bytes.Lines(text) {
			e, err := audit.ReadEntry(line)
			switch {
			case err != nil:
				from.Seq++
				t.row("?", "", "a line that is no entry", "", "", "")
				continue
			case digest != "" && !slices.Contains(e.People, digest):
			case c.JSON:
				if _, err := p.stdout.Write(line); err != nil {
					return err
				}
			default:
				t.row(e.Cells()...)
			}
			from = audit.From{Seq: max(from.Seq, e.Seq) + 1}
		}
	}
}

// from is where to begin.
func (c *auditShowCmd) from() (from audit.From, err error) {
	if c.Since == "" {
		return from, nil
	}
	if from.Seq, err = strconv.ParseUint(c.Since, 10, 64); err == nil {
		return from, nil
	}
	if from.At, err = time.Parse(time.RFC3339, c.Since); err != nil {
		return from, wrongUse("--since %q: write the number of an entry, or a time as 2027-01-31T00:00:00Z", c.Since)
	}
	return from, nil
}

// digest stands for --id in the record; "" without it.
func (c *auditShowCmd) digest(p *process) (string, error) {
	if c.ID == "" {
		return "", nil
	}
	cfg, err := c.config(p)
	if err != nil {
		return "", err
	}
	secret, err := readSecret(&cfg)
	if err != nil {
		return "", err
	}
	id, err := suppress.Canonical(nil, c.Source, []byte(c.ID))
	if err != nil {
		return "", wrongUse("--id is no identifier of the source %q: %w", c.Source, err)
	}
	return identity.NewDigests(secret).Digest(identity.NewHasher(secret).Key(c.Source, id)), nil
}

// reader reads the next part, from files or from a node; nothing at the end.
func (c *auditShowCmd) reader(ctx context.Context, p *process) (func(audit.From) ([]byte, error), error) {
	if c.Addr == "" {
		cfg, err := c.config(p)
		if err != nil {
			return nil, err
		}
		dir, err := auditDir(cfg.Data)
		if err != nil {
			return nil, err
		}
		disk, err := lookAtRest(&cfg)
		if err != nil {
			return nil, err
		}
		open := edge.AuditFiles(disk)
		return func(from audit.From) ([]byte, error) {
			lines, err := audit.ReadDir(open, dir, from, auditPart, auditPartBytes)
			return lines.Text, err
		}, nil
	}
	flags := nodeFlags{Addr: c.Addr, tlsFlags: c.tlsFlags, Key: c.Key}
	node, err := flags.open(p)
	if err != nil {
		return nil, err
	}
	return func(from audit.From) ([]byte, error) {
		since := strconv.FormatUint(from.Seq, 10)
		if !from.At.IsZero() {
			since = from.At.Format(time.RFC3339)
		}
		query := url.Values{"since": {since}, "limit": {strconv.Itoa(auditPart)}}
		return node.do(ctx, request{method: http.MethodGet, path: "/v1/audit", query: query})
	}, nil
}

// auditHeadCmd prints a node's head.
type auditHeadCmd struct{ nodeFlags }

// Run prints the answer of /v1/audit/head as it is.
func (c *auditHeadCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	text, err := node.do(ctx, request{method: http.MethodGet, path: "/v1/audit/head"})
	if err != nil {
		return err
	}
	if _, err := parseHeads(text, c.Addr); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	_, err = p.stdout.Write(text)
	return err
}
