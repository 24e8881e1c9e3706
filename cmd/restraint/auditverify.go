package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"restraint/edge"
	"restraint/edge/atrest"
	"restraint/edge/audit"
)

// auditVerifyCmd checks a record offline, with what others keep of it where that is given.
type auditVerifyCmd struct {
	auditFlags
	AuditKey string   `help:"File with what restraint audit key printed, in the place of the identifier secret." placeholder:"FILE"`
	Node     string   `help:"Name of the node whose record it should be. Default: node of the configuration where that says one, else the name in the record." placeholder:"NAME"`
	Head     []string `help:"Head that was kept elsewhere: what restraint audit head printed, or a file audit.* under joined of another node's data; may repeat." placeholder:"FILE"`
	Peer     []string `help:"Admin listener of a node, rather another one than this record's, that is asked for the heads it keeps; may repeat." placeholder:"ADDR"`
	tlsFlags
	Key   string `help:"Access key for --peer, with the role ops or privacy; better in RESTRAINT_KEY." placeholder:"KEY"`
	First uint64 `help:"Number of the entry that the record begins with, where older files were taken away on purpose." default:"1" placeholder:"N"`
}

// Run prints what was found; that the record is not whole is an error.
func (c *auditVerifyCmd) Run(ctx context.Context, p *process) error {
	cfg, err := c.config(p)
	if err != nil {
		return err
	}
	dir, err := auditDir(cfg.Data)
	if err != nil {
		return err
	}
	key, err := c.chainKey(&cfg)
	if err != nil {
		return err
	}
	node := c.Node
	if node == "" && cfg.Given("node") {
		node = cfg.Node
	}
	if c.First == 0 {
		return wrongUse("--first 0: entries are numbered from 1")
	}
	disk, err := lookAtRest(&cfg)
	if err != nil {
		return err
	}
	// Before the files: a running node adds to them.
	own, err := keptHeads(disk, filepath.Join(cfg.Data, "joined"))
	if err != nil {
		return err
	}
	given, err := c.givenHeads(ctx, p)
	if err != nil {
		return err
	}
	heads := own
	for i := range given {
		heads = append(heads, given[i].heads...)
	}
	report, err := audit.Verify(edge.AuditFiles(disk), dir, key, node, c.First, heads)
	if err != nil {
		return err
	}
	if node == "" {
		node = report.Node
	}
	witnessed := false
	for i := range given {
		of := slices.ContainsFunc(given[i].heads, func(w audit.Witness) bool { return w.Node == node })
		if !of && given[i].file != "" && report.FaultsTotal == 0 {
			return wrongUse("--head %s: it has no head of node %q, whose record this is", given[i].file, node)
		}
		witnessed = witnessed || of && given[i].by != node
	}
	return c.print(p.stdout, dir, node, report, witnessed)
}

func (c *auditVerifyCmd) chainKey(cfg *Config) (key [32]byte, err error) {
	if c.AuditKey != "" {
		return readAuditKey(c.AuditKey)
	}
	secret, err := readSecret(cfg)
	if err != nil {
		return key, err
	}
	return secret.AuditKey(), nil
}

// keptHeads are the heads that a node keeps on its disk, of whichever nodes.
func keptHeads(disk *atrest.Disk, dir string) (heads []audit.Witness, err error) {
	names, err := filepath.Glob(filepath.Join(dir, edge.HeadsFiles))
	if err != nil {
		return nil, fmt.Errorf("list heads: %w", err)
	}
	for _, name := range names {
		found, err := readHeads(disk, name)
		if err != nil {
			return nil, err
		}
		heads = append(heads, found...)
	}
	return heads, nil
}

// readHeads reads a head, an answer of /v1/audit/head, or a file that a node keeps. What
// is wrong with a head itself is for Verify to say.
func readHeads(disk *atrest.Disk, name string) ([]audit.Witness, error) {
	text, err := disk.ReadWhole(name)
	if err != nil {
		return nil, wrongUse("read head: %w", err)
	}
	heads, err := parseHeads(text, name)
	if err != nil {
		return nil, wrongUse("read head %q: %w", name, err)
	}
	return heads, nil
}

func parseHeads(text []byte, from string) (heads []audit.Witness, err error) {
	var d struct {
		audit.Head
		One   *audit.Head  `json:"head"`
		Kept  []audit.Head `json:"kept"`
		Heads []audit.Head `json:"heads"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", audit.ErrHead, err)
	}
	all := append(d.Kept, d.Heads...)
	if d.One != nil {
		all = append(all, *d.One)
	}
	if d.Head.Sig != "" {
		all = append(all, d.Head)
	}
	if len(all) == 0 {
		return nil, audit.ErrHead
	}
	for _, h := range all {
		heads = append(heads, audit.Witness{From: from, Head: h})
	}
	return heads, nil
}

// witnesses are heads that somebody else keeps: a file, or the node by of that name.
type witnesses struct {
	file, by string
	heads    []audit.Witness
}

// givenHeads are those of --head and those that nodes answer.
func (c *auditVerifyCmd) givenHeads(ctx context.Context, p *process) (given []witnesses, err error) {
	for _, name := range c.Head {
		found, err := readHeads(nil, name)
		if err != nil {
			return nil, err
		}
		given = append(given, witnesses{file: name, heads: found})
	}
	for _, addr := range c.Peer {
		flags := nodeFlags{Addr: addr, tlsFlags: c.tlsFlags, Key: c.Key}
		node, err := flags.open(p)
		if err != nil {
			return nil, err
		}
		text, err := node.do(ctx, request{method: http.MethodGet, path: "/v1/audit/head"})
		if err != nil {
			return nil, err
		}
		var answer struct{ Node string }
		found, err := parseHeads(text, "the node at "+addr)
		if err == nil {
			err = json.Unmarshal(text, &answer)
		}
		if err != nil {
			return nil, fmt.Errorf("read the heads of the node at %s: %w", addr, err)
		}
		given = append(given, witnesses{by: answer.Node, heads: found})
	}
	return given, nil
}

// notWhole is what verify found.
type notWhole struct{ report *audit.Report }

// Error names the first entry that is wrong.
func (e notWhole) Error() string {
	said := "the record is not whole: " + e.report.Faults[0].String()
	if more := e.report.FaultsTotal - 1; more > 0 {
		said += fmt.Sprintf(" (and %s more)", plural(more, "fault"))
	}
	return said
}

// print prints the report; witnesses: heads of this node that others keep were given.
func (c *auditVerifyCmd) print(w io.Writer, dir, node string, r *audit.Report, witnesses bool) error {
	t := newTable(w)
	number := func(n uint64) string { return grouped(int64(n)) }
	t.row("record", "of node "+node+", in "+dir)
	t.row("entries", fmt.Sprintf("%s, numbers %s to %s, in %s", grouped(int64(r.Entries)), number(r.First), number(r.Last), plural(r.Files, "file")))
	if r.Entries > 0 {
		t.row("from, to", r.Begun.Format(time.RFC3339)+", "+r.Ended.Format(time.RFC3339))
	}
	for _, f := range r.Faults {
		t.row("WRONG", f.String())
	}
	if more := r.FaultsTotal - len(r.Faults); more > 0 {
		t.row("WRONG", plural(more, "more fault"))
	}
	for i := range r.Notes {
		t.row("noted", r.Notes[i].Line())
	}
	for i := range r.Unfinished {
		t.row("no outcome", r.Unfinished[i].Line())
	}
	if more := r.UnfinishedTotal - len(r.Unfinished); more > 0 {
		t.row("no outcome", plural(more, "more entry"))
	}
	switch {
	case r.Witnessed > 0:
		t.row("signed", fmt.Sprintf("up to entry %s, by a head of %s (heads that fit: %d)", number(r.Witnessed), r.WitnessedBy, r.Fitting))
	default:
		t.row("signed", "no head of this record fits, or none was found")
	}
	if r.Witnessed < r.Last {
		t.row("not checked", "whether anything after entry "+number(r.Last)+" was cut off, and against holders of the secret entries after "+number(r.Witnessed))
	}
	if !witnesses {
		t.row("not checked", "what others keep of it: whoever can write to this machine can put files and heads back to older ones; give --peer ADDR of another node, or --head FILE")
	}
	if c.First > 1 {
		t.row("not checked", "entries before "+strconv.FormatUint(c.First, 10)+", which were taken away on purpose")
	}
	if err := t.flush(); err != nil {
		return err
	}
	if r.FaultsTotal > 0 {
		return notWhole{r}
	}
	_, err := fmt.Fprintln(w, "the record is whole")
	return err
}
