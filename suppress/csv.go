package suppress

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// csvReader gives the rows of a CSV file: RFC 4180 with any of the separators,
// quotes, embedded line ends, and rows of any length up to the limit. A quote
// that does not start a cell is an ordinary character.
type csvReader struct {
	in  *lines
	sep byte

	cells  [][]byte
	joined []byte // a row of several lines
	line   uint64 // first line of the row
	// spread is the row as it was read, when it is of several lines.
	spread []byte
}

// next gives the cells of the next row; they are good until the call after.
// why is set when the row cannot be taken apart.
func (c *csvReader) next() (cells [][]byte, why string, err error) {
	row, err := c.in.next()
	c.line = c.in.line
	if err != nil {
		return nil, "", err
	}
	c.spread = c.spread[:0]
	if bytes.IndexByte(row, '"') < 0 {
		return c.split(row), "", nil
	}
	c.cells = c.cells[:0]
	open := quoteOpen(row, c.sep, false)
	if open {
		c.joined = append(c.joined[:0], row...)
	}
	for open {
		c.joined = append(c.joined, '\n')
		more, err := c.in.next()
		if err == io.EOF {
			return nil, "", fmt.Errorf("line %d: %w: a quote is opened there and never closed", c.line, ErrTruncated)
		}
		if err != nil {
			return nil, "", err
		}
		if len(c.joined)+len(more) > c.in.row {
			return nil, "", c.in.tooLong(c.line)
		}
		open = quoteOpen(more, c.sep, true)
		c.joined = append(c.joined, more...)
		row = c.joined
		if !open {
			c.spread = append(c.spread, row...)
		}
	}
	return c.quoted(row)
}

// split takes a row apart in which quotes are ordinary characters.
func (c *csvReader) split(row []byte) [][]byte {
	c.cells = c.cells[:0]
	for {
		n := bytes.IndexByte(row, c.sep)
		if n < 0 {
			c.cells = append(c.cells, row)
			return c.cells
		}
		c.cells = append(c.cells, row[:n])
		row = row[n+1:]
	}
}

// quoteOpen says whether a line ends inside a quoted cell, given whether it
// begins in one.
func quoteOpen(row []byte, sep byte, open bool) bool {
	start := !open
	for n := 0; n < len(row); n++ {
		b := row[n]
		switch {
		case open && b == '"':
			if n+1 < len(row) && row[n+1] == '"' {
				n++
			} else {
				open = false
			}
		case open:
		case b == '"' && start:
			open = true
		}
		start = !open && b == sep
	}
	return open
}

// quoted takes a row apart whose quotes are closed, undoing doubled quotes in place.
func (c *csvReader) quoted(row []byte) ([][]byte, string, error) {
	for n := 0; ; {
		if n < len(row) && row[n] == '"' {
			n++
			from, to := n, n
			for row[n] != '"' || n+1 < len(row) && row[n+1] == '"' {
				if row[n] == '"' {
					n++
				}
				row[to] = row[n]
				to++
				n++
			}
			n++
			c.cells = append(c.cells, row[from:to])
			if n < len(row) && row[n] != c.sep {
				return nil, "something follows a closing quote", nil
			}
		} else {
			end := bytes.IndexByte(row[n:], c.sep)
			if end < 0 {
				end = len(row) - n
			}
			c.cells = append(c.cells, row[n:n+end])
			n += end
		}
		if n >= len(row) {
			return c.cells, "", nil
		}
		n++
	}
}

// csv reads a file with a header row.
func (i *importer) csv(in *lines) error {
	c := &csvReader{in: in}
	h, err := i.header(c)
	if err != nil {
		return err
	}
	loose := slices.ContainsFunc(h.ids, func(id boundColumn) bool { return !id.form.strict() })
	for {
		cells, why, err := c.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(c.spread) > 0 && (why != "" || i.openQuote(c, h)) {
			if err := i.swallowed(c, h, cells, why); err != nil {
				return err
			}
			continue
		}
		if why == "" && (h.isAgain(cells) || loose && i.rep.Skipped < maxNotes && isPlainNote(cells, h)) {
			i.rep.Skipped++
			continue
		}
		i.begin(c.line)
		if err := i.csvRow(cells, why, h); err != nil {
			return err
		}
		if i.good > 0 {
			i.blank = false
		} else if i.bad != "" && why == "" && i.rep.Skipped < maxNotes && i.isNote(cells, h) {
			i.skip()
			continue
		}
		if err := i.end(); err != nil {
			return err
		}
	}
}

func (i *importer) csvRow(cells [][]byte, why string, h *header) error {
	if why != "" {
		i.reject("", why)
		return nil
	}
	if len(cells) == 1 && len(trim(cells[0])) == 0 {
		i.rep.Empty++
		i.blank = true
		return nil
	}
	if len(cells) > h.columns {
		for _, extra := range cells[h.columns:] {
			if len(trim(extra)) > 0 {
				i.reject("", fmt.Sprintf("it has %d cells, the header has %d: a separator in a cell needs quotes", len(cells), h.columns))
				return nil
			}
		}
	}
	return i.identifiers(cells, h)
}

// identifiers takes those of a row.
func (i *importer) identifiers(cells [][]byte, h *header) error {
	var thing []byte
	if h.item >= 0 && h.item < len(cells) {
		thing = cells[h.item]
	}
	for n := range h.ids {
		id := &h.ids[n]
		if id.at >= len(cells) {
			i.reject(id.name, fmt.Sprintf("the row has only %d cells", len(cells)))
			continue
		}
		if err := i.cell(id, cells[id.at], thing); err != nil {
			return err
		}
	}
	return nil
}
