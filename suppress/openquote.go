package suppress

import (
	"bytes"
	"fmt"
)

// openQuote says that the row at hand, of several lines, is several rows, joined
// by a quote that opens a cell and was meant as a character. Of a cell with line
// ends in it the lines are pieces; of such rows at least three in four read as a
// row of their own (chosen: one ragged line must not hide hundreds).
func (i *importer) openQuote(c *csvReader, h *header) bool {
	lines, rows := 0, 0
	for line := range bytes.SplitSeq(c.spread, []byte("\n")) {
		if len(trim(line)) == 0 {
			continue
		}
		lines++
		if i.readsAsRow(c, line, h) {
			rows++
		}
	}
	return lines > 1 && 4*rows >= 3*lines
}

// readsAsRow says that a line has the header's number of cells, none of which
// begins with a space as text does after a comma, and an identifier at least.
func (i *importer) readsAsRow(c *csvReader, line []byte, h *header) bool {
	keep := c.cells // of the row at hand
	c.cells = nil
	defer func() { c.cells = keep }()
	cells := c.alone(line)
	if len(cells) != h.columns {
		return false
	}
	for _, cell := range cells[1:] {
		if len(cell) > 0 && cell[0] == ' ' {
			return false
		}
	}
	for _, id := range h.ids {
		cell := trim(cells[id.at])
		canonical, err := id.form.append(i.scratch[:0], cell)
		i.scratch = canonical[:0]
		if err == nil && !bytes.ContainsAny(cell, " \t") {
			return true
		}
	}
	return false
}

// alone takes one line apart, whatever its quotes.
func (c *csvReader) alone(line []byte) [][]byte {
	if !quoteOpen(line, c.sep, false) {
		c.cells = c.cells[:0]
		if cells, why, _ := c.quoted(bytes.Clone(line)); why == "" {
			return cells
		}
	}
	cells := c.split(line)
	for n := range cells {
		cells[n] = bytes.Trim(cells[n], `"`)
	}
	return cells
}

// swallowed rejects every line of a row that a quote holds together, so that
// the share of rejected rows tells how much of the file it hides. What reads as
// an identifier in any of the lines becomes a member all the same, and so does
// what the row as a whole says: too many members rather than one too few. Where
// identifiers are removed nothing is guessed.
func (i *importer) swallowed(c *csvReader, h *header, cells [][]byte, why string) error {
	lines := bytes.Split(c.spread, []byte("\n"))
	because := fmt.Sprintf("a quote opened in line %d is not closed in that line, and the rows up to line %d read as one", c.line, c.line+uint64(len(lines))-1)
	empty := i.rep.Empty // cells of a guess are not counted
	for n, line := range lines {
		i.begin(c.line + uint64(n))
		i.reject("", because)
		if !i.removes {
			if n == 0 && why == "" {
				if err := i.identifiers(cells, h); err != nil {
					return err
				}
			}
			if err := i.identifiers(c.alone(line), h); err != nil {
				return err
			}
		}
		if err := i.end(); err != nil {
			return err
		}
	}
	i.rep.Empty = empty
	return nil
}
