package suppress

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// separators are tried in this order where a header allows several.
const separators = ",;\t|"

// maxPreamble is how many lines of text may stand before the header (chosen).
const maxPreamble = 20

// header is what the header row says of the rows.
type header struct {
	names   []string
	columns int
	ids     []boundColumn
	item    int // -1: none
}

// header reads the header row and finds the separator: the first one under
// which every wanted column is there. Before it, blank lines, lines that start
// with # and Excel's sep=; are skipped, and so are lines of text that cannot be
// rows: see isPreamble.
func (i *importer) header(c *csvReader) (*header, error) {
	var preamble []string
	var fault error // of the line that looks most like a header
	most := 0
	for {
		line, err := c.in.next()
		switch {
		case err == io.EOF && fault != nil:
			return nil, fault
		case err == io.EOF:
			return nil, fmt.Errorf("%w: %v", ErrColumn, errNoHeader)
		case err != nil:
			return nil, err
		}
		text := trim(line)
		switch {
		case len(text) == 0:
			continue
		case bytes.IndexByte(bytes.TrimRight(line, "\r"), '\r') >= 0:
			return nil, fmt.Errorf("line %d: %w: lines end with CR alone, and the whole file reads as one; save it as CSV UTF-8", c.in.line, ErrImport)
		case text[0] == '#' && (len(text) == 1 || strings.IndexByte(separators, text[1]) < 0), len(text) <= 7 && bytes.HasPrefix(bytes.ToLower(bytes.Trim(text, `"`)), []byte("sep=")):
			i.rep.Skipped++
			continue
		}
		h, cells, err := i.bindHeader(c, line)
		if err == nil {
			for _, before := range preamble {
				if !i.isPreamble(c, before, h) {
					return nil, fault
				}
			}
			i.rep.Skipped += uint64(len(preamble))
			i.columnsRead(h.names, h.ids, h.item)
			return h, nil
		}
		if text[0] == '#' { // but #,Email,Name has the rows' numbers in its first column
			i.rep.Skipped++
			continue
		}
		if cells > most {
			fault, most = err, cells
		}
		if preamble = append(preamble, string(text)); len(preamble) > maxPreamble {
			return nil, fault
		}
	}
}

// isSomebody says that a cell of a header is somebody's: the file has none, and a
// column of its first row is called as one is by chance.
func isSomebody(name string) bool {
	_, err := normalEmail(nil, SchemeMeta, []byte(name))
	return err == nil || seenAs([]byte(name)) != nil
}

// isPreamble says that a line before the header is text and no row: it has one
// cell, where rows have several, with words in it and nothing that can be an
// identifier. A file of people whose header comes later is refused.
func (i *importer) isPreamble(c *csvReader, line string, h *header) bool {
	keep := c.cells
	c.cells = nil
	cells := c.alone([]byte(line))
	c.cells = keep
	cell := trim(cells[0])
	if h.columns < 2 || len(cell) == 0 || !onlyCell(cells) || !bytes.ContainsAny(cell, " \t") || looksLikePeople([]string{line}) {
		return false
	}
	for n := range h.ids {
		if f := &h.ids[n].form; f.strict() {
			if _, err := f.append(nil, cell); err == nil {
				return false
			}
		}
	}
	return true
}

// bindHeader gives the header, or why the line is none and how many cells it has.
func (i *importer) bindHeader(c *csvReader, first []byte) (h *header, cells int, err error) {
	var most []string
	single := !bytes.ContainsAny(first, separators)
	for n := range len(separators) {
		c.sep = separators[n]
		if quoteOpen(first, c.sep, false) {
			continue // a name with a line end in it
		}
		c.cells = c.cells[:0]
		cells, why, _ := c.quoted(bytes.Clone(first))
		if why != "" {
			continue
		}
		var names []string
		for _, cell := range cells {
			names = append(names, string(trim(cell)))
		}
		if ids, item, err := i.bind(names, single); err == nil {
			if slices.ContainsFunc(names, isSomebody) {
				return nil, len(names), fmt.Errorf("line %d: %w: an address or a hash stands in the first row, which is no header then; put one before it", c.in.line, ErrColumn)
			}
			return &header{names, len(names), ids, item}, len(names), nil
		}
		if len(names) > len(most) {
			most = slices.Clone(names)
		}
	}
	if most == nil {
		return nil, 1, fmt.Errorf("line %d: %w: the header row has an open quote; separators are %q", c.in.line, ErrColumn, strings.Split(separators, ""))
	}
	_, _, err = i.bind(most, single)
	return nil, len(most), fmt.Errorf("line %d: %w", c.in.line, err)
}
