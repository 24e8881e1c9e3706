package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// pushCmd streams a CRM export into a suppression list.
type pushCmd struct {
	nodeFlags
	whyFlag
	List       string   `help:"Name of the list, as the policy declares it." required:"" placeholder:"NAME"`
	Map        []string `help:"A column and the source of its identifiers, such as EMAIL=email_sha256; may repeat. Without --map and --id the node finds the columns by their names: the list's sources, and emails, phones and advertising identifiers as CRM tools export them." placeholder:"COLUMN=SOURCE" sep:"none"`
	ID         string   `name:"id" help:"Source of a file of one identifier a line, or of the one column that --column names." placeholder:"SOURCE"`
	Column     string   `help:"The one column to read, with --id." placeholder:"COLUMN"`
	ItemColumn string   `help:"Column of the item, for a list of identifiers and items." placeholder:"COLUMN"`
	Normalize  string   `help:"Scheme by which raw emails and phones are made comparable and hashed: none, uid2, google, meta or liveramp." placeholder:"SCHEME"`
	Until      string   `help:"When these members leave by themselves: a date, a time (RFC 3339) or Unix seconds." placeholder:"TIME"`
	Add        bool     `help:"Add to the list instead of replacing it." xor:"how"`
	Remove     bool     `help:"Remove from the list instead of replacing it." xor:"how"`
	DryRun     bool     `help:"Let the node read and judge everything, and change nothing."`
	Force      bool     `help:"Replace even if the list loses more members than the node's lists.max_shrink allows, or nobody is found in the file; too many rejected rows refuse it all the same."`
	Allow      bool     `name:"allow-rejected" help:"Exit with 0 once the node has taken the file, although it rejected some of its rows. Without it the exit code is 1 then."`
	Format     string   `help:"csv, ndjson or text; not given: by the file's name." placeholder:"FORMAT"`
	File       string   `arg:"" help:"The export, plain or compressed (.gz, .zst); - for standard input."`
}

// pushed is the node's answer to an upload.
type pushed struct {
	List              string        `json:"list"`
	Generation        int64         `json:"generation"`
	Keys              int64         `json:"keys"`
	Duplicates        int64         `json:"duplicates"`
	Empty             int64         `json:"empty"`
	Rows              int64         `json:"rows"`
	Skipped           int64         `json:"skipped"`
	Rejected          int64         `json:"rejected"`
	RejectedSample    []rejectedRow `json:"rejected_sample"`
	Columns           []readColumn  `json:"columns"`
	Ignored           []string      `json:"ignored"`
	FalsePositiveRate float64       `json:"false_positive_rate"`
	Bytes             int64         `json:"bytes"`
	Seconds           float64       `json:"seconds"`
}

type rejectedRow struct {
	Line   int64  `json:"line"`
	Detail string `json:"detail"`
}

type readColumn struct {
	Column string `json:"column"`
	Source string `json:"source"`
}

// Run sends the file and prints what the node made of it. Rejected rows are an
// error, after the report, but for --allow-rejected.
func (c *pushCmd) Run(ctx context.Context, p *process) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	node, err := c.open(p)
	if err != nil {
		return err
	}
	in, err := c.openExport(p.stdin)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()

	bar := newProgress(p.stderr, p.terminal, p.now, in.size, in.encoding == "")
	r := request{
		method: http.MethodPut, path: "/v1/lists/" + url.PathEscape(c.List), query: query,
		body: bar.reader(in), bodyBytes: in.size, contentType: in.contentType, encoding: in.encoding, why: c.Why,
	}
	work := "upload"
	if c.Add || c.Remove {
		work = "change"
		r.method = http.MethodPost
		r.path += map[bool]string{true: "/add", false: "/remove"}[c.Add]
	}
	unfollow := node.follow(ctx, c.List, work, bar)
	body, err := node.stream(ctx, r)
	unfollow()
	bar.finish()
	if err != nil {
		if failed := in.failed.Load(); failed != nil {
			return fmt.Errorf("read %s: %w", c.File, *failed)
		}
		return err
	}
	var answer pushed
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if err := answer.print(p.stdout, c.DryRun); err != nil {
		return err
	}
	if answer.Rejected > 0 && !c.Allow {
		what := "the others were taken"
		if c.DryRun {
			what = "nothing was changed (--dry-run)"
		}
		return fmt.Errorf("the node rejected %s; %s; mend them in the CRM, or say --allow-rejected", plural(int(answer.Rejected), "row"), what)
	}
	return nil
}

// query checks the flags and gives what the node is told about the file.
func (c *pushCmd) query() (url.Values, error) {
	q := url.Values{}
	switch {
	case len(c.Map) > 0 && (c.ID != "" || c.Column != ""):
		return nil, wrongUse("--map and --id say the same in two ways: give --map COLUMN=SOURCE for each column, or --id SOURCE [--column COLUMN]")
	case c.Column != "" && c.ID == "":
		return nil, wrongUse("--column %q has identifiers of which source? Give --id SOURCE too", c.Column)
	case c.ID != "":
		q.Set("id", c.ID)
		if c.Column != "" {
			q.Set("column", c.Column)
		}
	}
	for _, m := range c.Map {
		// The last = divides: a header can hold one, a source does not.
		i := strings.LastIndexByte(m, '=')
		if i < 1 || i == len(m)-1 {
			return nil, wrongUse("--map %q: write COLUMN=SOURCE, such as --map EMAIL=email_sha256", m)
		}
		q.Add("map", m[:i]+":"+m[i+1:])
	}
	if c.ItemColumn != "" {
		q.Set("item_column", c.ItemColumn)
	}
	switch c.Normalize {
	case "":
	case "none", "uid2", "google", "meta", "liveramp":
		q.Set("normalize", c.Normalize)
	default:
		return nil, wrongUse("--normalize %q: write none, uid2, google, meta or liveramp", c.Normalize)
	}
	if c.Until != "" {
		at, err := parseTime(c.Until)
		if err != nil {
			return nil, wrongUse("--until %w", err)
		}
		q.Set("until", fmt.Sprint(at.Unix()))
	}
	if c.DryRun {
		q.Set("dry_run", "1")
	}
	if c.Force {
		q.Set("force", "1")
	}
	return q, nil
}

// String says which column is of which source.
func (c readColumn) String() string {
	if c.Column == "" {
		return "the only one, as " + c.Source
	}
	return c.Column + " as " + c.Source
}

// print writes the report of an upload.
func (a *pushed) print(w io.Writer, dryRun bool) error {
	t := newTable(w)
	t.row("list", a.List)
	if dryRun {
		t.row("generation", "unchanged (--dry-run)")
	} else {
		t.row("generation", fmt.Sprint(a.Generation))
	}
	t.row("rows", grouped(a.Rows))
	t.row("keys", grouped(a.Keys))
	t.row("duplicates", grouped(a.Duplicates))
	t.row("empty cells", grouped(a.Empty))
	t.row("skipped lines", grouped(a.Skipped))
	t.row("rejected rows", grouped(a.Rejected))
	for n, column := range a.Columns {
		t.row(map[bool]string{true: "columns read"}[n == 0], column.String())
	}
	if len(a.Ignored) > 0 {
		t.row("not read", strings.Join(a.Ignored, ", "))
	}
	t.row("false positives", roughRate(a.FalsePositiveRate))
	t.row("size", roughSize(a.Bytes))
	t.row("took", time.Duration(a.Seconds*float64(time.Second)).Round(time.Millisecond).String())
	if err := t.flush(); err != nil {
		return err
	}
	for _, line := range a.rejectedLines() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// rejectedLines names rejected rows by line and reason, at most maxShown, and
// how many more there are.
func (a *pushed) rejectedLines() []string {
	var out []string
	shown := a.RejectedSample[:min(len(a.RejectedSample), maxShown)]
	for _, r := range shown {
		out = append(out, fmt.Sprintf("  line %s: %s", grouped(r.Line), r.Detail))
	}
	if more := a.Rejected - int64(len(shown)); more > 0 {
		out = append(out, fmt.Sprintf("  and %s more rejected", grouped(more)))
	}
	return out
}

// parseTime reads Unix seconds, a date, or a time of RFC 3339.
func parseTime(s string) (time.Time, error) {
	var seconds uint32
	if n, err := fmt.Sscanf(s+"\n", "%d\n", &seconds); err == nil && n == 1 {
		return time.Unix(int64(seconds), 0), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write a date such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or Unix seconds", s)
}

// openFile opens a file argument; - is standard input. size is 0 where unknown.
func openFile(name string, stdin io.Reader) (f io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("read %s: it is a folder", name)
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, 0, err
	}
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return file, size, nil
}
