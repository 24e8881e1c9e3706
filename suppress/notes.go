package suppress

import (
	"bytes"
	"strings"
)

// noteWords begin the lines that tools put below and between rows (chosen from
// the exports of Salesforce, Google Ads, Excel and shops).
var noteWords = wordSet(`total totals subtotal grand sum count records rows report generated exported printed copyright confidential note notes page
	example required optional format string text`)

// maxNotes is how many lines are skipped at most, but for headers that come again:
// beyond that they are rows like others, so that a column full of #REF! or of
// words is not taken for notes (chosen).
const maxNotes = 100

// isNoteText says that a cell explains something: a comment, a column's name, a
// total, a footer. It is asked of cells that are no identifiers.
func isNoteText(cell []byte, name string) bool {
	switch {
	case len(cell) == 0 || bytes.IndexByte(cell, '@') >= 0:
		return false
	case cell[0] == '#' && bytes.IndexByte([]byte("!?"), cell[len(cell)-1]) >= 0:
		return false // #REF!, #NAME?: a spreadsheet has lost somebody
	case cell[0] == '#' || strings.EqualFold(string(cell), name):
		return true
	case len(cell) > 200: // a sentence is shorter (chosen)
		return false
	}
	text := string(cell)
	first := text
	if n := strings.IndexFunc(text, func(r rune) bool { return strings.ContainsRune(" :=(,.-\t", r) }); n > 0 {
		first = text[:n]
	}
	return noteWords[strings.ToLower(strings.Trim(first, "()[]"))] || isHeaderName(text)
}

// isNote says that a row without one usable identifier is no person's: it begins
// as a note and is shorter than a row, it is a line of text after a blank one, as
// the footers of reports are, or all that stands where an identifier should is a
// note.
func (i *importer) isNote(cells [][]byte, h *header) bool {
	for _, cell := range cells {
		if bytes.IndexByte(cell, '@') >= 0 {
			return false
		}
	}
	if first := trim(cells[0]); len(cells) < h.columns && (isNoteText(first, "") || i.blank && len(cells) == 1) && seenAs(first) == nil {
		return true
	}
	some := false
	for _, id := range h.ids {
		if id.at >= len(cells) || len(trim(cells[id.at])) == 0 {
			continue
		}
		if !isNoteText(trim(cells[id.at]), h.names[id.at]) {
			return false
		}
		some = true
	}
	return some
}

// isAgain says that a row is the header once more.
func (h *header) isAgain(cells [][]byte) bool {
	id := h.ids[0].at
	if id >= len(cells) || len(cells[id]) != len(h.names[id]) || len(cells) != len(h.names) || string(cells[id]) != h.names[id] {
		return false
	}
	for n, cell := range cells {
		if string(trim(cell)) != h.names[n] {
			return false
		}
	}
	return true
}

// isPlainNote says of a row that could be a person's, since a source takes any
// text, that it is none: a comment that is the row's only cell; a total with a colon or a space, beside numbers. Else it is a member: too many
// rather than one too few.
func isPlainNote(cells [][]byte, h *header) bool {
	id := h.ids[0].at
	if id >= len(cells) || len(cells[id]) == 0 {
		return false
	}
	cell := cells[id]
	switch c := cell[0] | 0x20; {
	case cell[0] == '#' && id == 0:
		return onlyCell(cells) && (len(cells) < h.columns || bytes.HasPrefix(cell, []byte("# ")))
	case c == 't' || c == 'g' || c == 's':
		word, rest, found := bytes.Cut(bytes.ToLower(trim(cell)), []byte(" "))
		if n := len(word); n > 0 && word[n-1] == ':' {
			word, found = word[:n-1], true
		}
		if string(word) == "grand" || string(word) == "sub" {
			word, _, _ = bytes.Cut(rest, []byte(" "))
			word = bytes.TrimRight(word, ":")
		}
		switch string(word) {
		case "total", "totals", "subtotal":
			return found && numbersBeside(cells, id)
		}
	}
	return false
}

// onlyCell says that the first cell is the only one with something in it.
func onlyCell(cells [][]byte) bool {
	for _, cell := range cells[1:] {
		if len(trim(cell)) > 0 {
			return false
		}
	}
	return true
}

// numbersBeside says that every other cell is empty or a number.
func numbersBeside(cells [][]byte, at int) bool {
	for n, cell := range cells {
		if n != at && len(bytes.Trim(cell, " \t0123456789.,%+-$")) > 0 {
			return false
		}
	}
	return true
}

// isNothing says that a cell is how a table writes that there is nothing. Of a
// source that takes any text it may be an identifier.
func isNothing(id []byte) bool {
	switch string(id) {
	case "-", "--", `\N`, "NULL", "null", "Null", "None", "none", "N/A", "n/a", "NA", "#N/A", "NaN", "nan", "undefined":
		return true
	}
	return false
}
