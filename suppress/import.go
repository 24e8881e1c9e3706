package suppress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Forms of an upload.
const (
	CSV    = "csv"
	NDJSON = "ndjson"
	Plain  = "plain" // one identifier a line

	None = "none" // no compression, no normalisation
	Gzip = "gzip"
	Zstd = "zstd"
)

// Column says that the cells of a column are identifiers of a source. It stands
// for every column of that name; where as many Columns of one name are given as
// the file has, each stands for one, from the left.
type Column struct {
	Column string
	Source string
}

// Import says how to read an upload.
type Import struct {
	Format      string // CSV, NDJSON or Plain
	Compression string // None or "", Gzip, Zstd

	// Map names the identifier columns. One of Map and ID is given; with neither,
	// columns are recognised by their names: those called like a declared source,
	// and emails, phones and advertising identifiers as the usual tools export them,
	// where the list has one source for them. A plain file is of the list's only
	// source.
	Map []Column
	// ID is the source of a file with one identifier a row, in Column. Column is
	// empty for a plain file, and may be for a CSV with one column whose header is
	// a source of the list, is made of usual words (Email, user_id, Customer No),
	// or cannot be an identifier of the source. Any other header is refused with
	// ErrColumn: it may be a member, in a file without a header.
	ID     string
	Column string
	// ItemColumn is the item's column; required for a list of items.
	ItemColumn string
	// Normalize is the scheme by which raw emails and phones are normalised and
	// hashed: see Schemes. "" means None: identifiers are taken as given.
	Normalize string

	// DryRun reads and counts everything and changes nothing.
	DryRun bool
	// Force lets a replacement lose more than Options.MaxShrink of the members, and
	// be of a file that has lines and nobody in them.
	Force bool
	// Until is the Unix second at which these members leave by themselves; 0 means
	// never. Those that were added for longer, or are in the upload that is in use,
	// stay as long as that says. It is refused in the past, more than MaxUntil ahead,
	// and for Remove.
	Until uint32
	// Start is the change sequence at which the upload started; 0 means the
	// highest that the store has seen. Changes above it apply over the upload,
	// whenever they come; without Generation, those up to it must have been applied
	// before. ErrReplay refuses a Start below changes that are in a generation
	// already and are not held one by one any more.
	Start uint64
	// Generation is the number of the new generation where nodes have to agree
	// on it, as Publication says; 0 means the store's own next number.
	Generation uint64
}

// Rejected is one row that could not be used. Detail names column and reason,
// never the value.
type Rejected struct {
	Line   uint64 `json:"line"`
	Detail string `json:"detail"`
}

// maxSample is how many rejected rows a report shows.
const maxSample = 100

// Report is what an upload came to.
type Report struct {
	List           string     `json:"list"`
	Generation     uint64     `json:"generation"` // of a dry run: what it would have been
	Keys           uint64     `json:"keys"`       // different members in the upload
	Duplicates     uint64     `json:"duplicates"`
	Rows           uint64     `json:"rows"`            // read, rejected ones too
	Skipped        uint64     `json:"skipped"`         // lines that are no rows: comments, a header once more, totals
	Until          uint32     `json:"until,omitempty"` // Unix second at which they leave by themselves
	Empty          uint64     `json:"empty"`           // cells and lines without an identifier
	Rejected       uint64     `json:"rejected"`        // rows with an identifier that cannot be used
	RejectedSample []Rejected `json:"rejected_sample,omitempty"`
	// Columns are those that were read; Ignored are other columns, as far as their
	// names can be shown, at most 40.
	Columns           []ReadColumn `json:"columns,omitempty"`
	Ignored           []string     `json:"ignored,omitempty"`
	FalsePositiveRate float64      `json:"false_positive_rate"`
	Bytes             int64        `json:"bytes"` // memory of the filter and its index
	Seconds           float64      `json:"seconds"`
}

// importer turns the rows of one upload into keys.
type importer struct {
	list string
	decl Declaration
	im   Import
	o    *Options
	add  func(Key) error
	rep  *Report
	done *work
	// removes says that the identifiers leave the list: then none is guessed.
	removes bool

	scratch []byte
	line    uint64 // of the row at hand
	bad     string // what is wrong with it; the first of several
	good    int    // identifiers of it that are members
	blank   bool   // a blank line stands between it and the last row with one
}

// run reads the whole upload. Every error names the line it came to.
func (i *importer) run(r io.Reader) error {
	if err := i.check(); err != nil {
		return err
	}
	in, err := newLines(r, i.im.Compression, i.o)
	if err != nil {
		return err
	}
	defer in.close()
	switch i.im.Format {
	case CSV:
		err = i.csv(in)
	case NDJSON:
		err = i.ndjson(in)
	default:
		err = i.plain(in)
	}
	if err != nil {
		return err
	}
	if rows, bad := i.rep.Rows, i.rep.Rejected; float64(bad) > i.o.MaxRejected*float64(rows) {
		return i.tooMany(fmt.Sprintf("%d of %d rows", bad, rows))
	}
	return nil
}

func (i *importer) tooMany(rows string) error {
	first := i.rep.RejectedSample[0]
	return fmt.Errorf("%w: %s, more than the share of %g that is allowed; first line %d: %s", ErrRejected, rows, i.o.MaxRejected, first.Line, first.Detail)
}

// check refuses what cannot be done before a byte is read.
func (i *importer) check() error {
	im := &i.im
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrImport, fmt.Sprintf(format, args...))
	}
	switch {
	case im.Format != CSV && im.Format != NDJSON && im.Format != Plain:
		return fault("format %q is none of %q, %q, %q", im.Format, CSV, NDJSON, Plain)
	case !slices.Contains(Schemes(), im.scheme()):
		return fault("normalize %q is none of %q", im.Normalize, Schemes())
	case im.Column != "" && im.ID == "":
		return fault("column %q is given without the source of its identifiers; add id=SOURCE, or write map=%s:SOURCE", im.Column, im.Column)
	case len(im.Map) > 0 && im.ID != "":
		return fault("both map and id=%q are given; give one", im.ID)
	case im.Format == Plain && len(im.Map) > 0:
		return fault("map is for files with columns; for one identifier a line give id=SOURCE")
	case im.Format == Plain && im.Column != "":
		return fault("column %q: a plain file has no columns; say csv", im.Column)
	case i.decl.Items && im.Format == Plain:
		return fault("list %q is of items: it needs csv or ndjson with an item_column", i.list)
	case i.decl.Items && im.ItemColumn == "":
		return fault("list %q is of items: say which column with item_column", i.list)
	case !i.decl.Items && im.ItemColumn != "":
		return fault("item_column %q: list %q is not of items; declare it with items: true", im.ItemColumn, i.list)
	}
	if im.Format == Plain && im.ID == "" {
		if len(i.decl.Sources) != 1 {
			return fault("list %q has the sources %q; say which one the file is of with id=SOURCE", i.list, i.decl.Sources)
		}
		im.ID = i.decl.Sources[0]
	}
	if err := checkUntil(im.Until, i.o.Now(), i.removes); err != nil {
		return err
	}
	for _, c := range im.Map {
		if err := i.checkSource(c.Source); err != nil {
			return err
		}
	}
	if im.ID != "" {
		return i.checkSource(im.ID)
	}
	return nil
}

func (im *Import) scheme() string {
	if im.Normalize == "" {
		return None
	}
	return im.Normalize
}

func (i *importer) checkSource(source string) error {
	if slices.Contains(i.decl.Sources, source) {
		return nil
	}
	return fmt.Errorf("%w: list %q has %q, not %q; declare it under id: in the policy", ErrSource, i.list, i.decl.Sources, source)
}

// plain takes every line as an identifier, but for comments and, before hashes, a
// header.
func (i *importer) plain(in *lines) error {
	id := i.bound(0, "", i.im.ID)
	i.rep.Columns = []ReadColumn{{"", i.im.ID}}
	for {
		line, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("# ")) && i.rep.Skipped < maxNotes || in.line == 1 && string(trim(line)) == i.im.ID {
			i.rep.Skipped++
			continue
		}
		i.begin(in.line)
		if err := i.cell(&id, line, nil); err != nil {
			return err
		}
		if text := trim(line); i.bad != "" && id.form.strict() && i.rep.Skipped < maxNotes && (in.line == 1 && isHeaderName(string(text)) || text[0] == '#') {
			i.skip()
			continue
		}
		if err := i.end(); err != nil {
			return err
		}
	}
}

// begin and end stand round the cells of a row; skip stands in end's place for
// what turned out to be none.
func (i *importer) begin(line uint64) {
	i.line, i.bad, i.good = line, "", 0
	if i.rep.Rows++; i.rep.Rows%countEvery == 0 {
		i.done.rows.Store(i.rep.Rows)
	}
}

func (i *importer) skip() {
	i.rep.Rows--
	i.rep.Skipped++
}

// hopeless is how many rejected rows in a row, from the first, end an upload that
// cannot succeed any more (chosen).
const hopeless = 10_000

func (i *importer) end() error {
	if i.bad == "" {
		return nil
	}
	i.rep.Rejected++
	if len(i.rep.RejectedSample) < maxSample {
		i.rep.RejectedSample = append(i.rep.RejectedSample, Rejected{i.line, i.bad})
	}
	if i.rep.Rejected == hopeless && i.rep.Rows == hopeless && i.o.MaxRejected < 1 {
		return i.tooMany("every one of the first " + strconv.Itoa(hopeless) + " rows")
	}
	return nil
}

// reject marks the row; its good cells are members all the same, since a person
// with one identifier that cannot be read must still not be let through.
func (i *importer) reject(column, why string) {
	switch {
	case i.bad != "":
	case column == "":
		i.bad = why
	default:
		i.bad = fmt.Sprintf("column %q: %s", column, why)
	}
}

// cell takes one identifier, and the item beside it for a list of items.
func (i *importer) cell(col *boundColumn, id, item []byte) error {
	if id = trim(id); len(id) == 0 || col.form.strict() && isNothing(id) {
		i.rep.Empty++
		return nil
	}
	canonical, err := col.form.append(i.scratch[:0], id)
	i.scratch = canonical[:0]
	if err == errNoDevice {
		i.rep.Empty++ // how devices write that there is none
		return nil
	}
	if err != nil {
		i.reject(col.name, err.Error())
		return nil
	}
	key := i.o.Hash(col.form.source, canonical)
	if i.decl.Items {
		if item = trim(item); len(item) == 0 {
			i.reject(i.im.ItemColumn, "the item is empty")
			return nil
		}
		key = ItemKey(key, i.o.Item(i.list, item))
	}
	i.good++
	return i.add(key)
}

// trim takes the white space off both ends.
func trim(b []byte) []byte { return bytes.TrimSpace(b) }

var errNoHeader = errors.New("the file is empty; a header row with the column names comes first")
