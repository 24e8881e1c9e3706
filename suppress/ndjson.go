package suppress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxNames bounds the names of NDJSON that are remembered (chosen).
const maxNames = 1024

// jsonReader knows the columns of an NDJSON file.
type jsonReader struct {
	cols  []boundColumn        // that the caller named
	seen  []bool               // which of them some row has
	known map[string]*jsonName // where the caller named none
	first []string             // the names of the first row
	some  bool                 // some row had an identifier column
}

// jsonName is what a column's name says: see importer.recognised.
type jsonName struct {
	exact bool
	cols  []boundColumn // one for each source
	told  bool          // the report has it
}

// ndjson reads one object a line; its keys are the columns, found as in CSV: by
// the exact name, else by one that differs in case only, else, where the name has
// dots, as a path into nested objects. A value is a string, a number, or an array
// of those, each of which is an identifier. A line need not have every column: an
// absent one is an empty cell. But a line with none of them is a rejected row, and
// a column that no line has is an error.
func (i *importer) ndjson(in *lines) error {
	j := &jsonReader{known: make(map[string]*jsonName)}
	for _, c := range i.im.Map {
		j.cols = append(j.cols, i.bound(0, c.Column, c.Source))
	}
	if i.im.Column != "" {
		j.cols = append(j.cols, i.bound(0, i.im.Column, i.im.ID))
	}
	j.seen = make([]bool, len(j.cols))
	var row []jsonField
	for {
		line, err := in.next()
		if err == io.EOF {
			return i.jsonEnd(j)
		}
		if err != nil {
			return err
		}
		i.begin(in.line)
		if len(trim(line)) == 0 {
			i.rep.Empty++
			continue
		}
		why := ""
		if row, why = jsonFields(row[:0], line); why != "" {
			i.reject("", why)
		} else if err := i.jsonRow(j, row); err != nil {
			return err
		}
		if err := i.end(); err != nil {
			return err
		}
	}
}

// jsonEnd looks for columns that no line had.
func (i *importer) jsonEnd(j *jsonReader) error {
	if j.first == nil {
		return nil
	}
	for n := range j.cols {
		if !j.seen[n] {
			return i.columnError(j.first, j.cols[n].name, 0)
		}
	}
	if len(j.cols) == 0 && !j.some {
		return i.columnError(j.first, "", 0)
	}
	if len(j.cols) > 0 {
		i.columnsRead(nil, j.cols, -1)
	}
	return nil
}

func (i *importer) jsonRow(j *jsonReader, row []jsonField) error {
	if j.first == nil {
		for _, f := range row[:min(len(row), maxNames)] {
			j.first = append(j.first, f.name)
		}
		slices.Sort(j.first)
		j.first = slices.Compact(j.first)
	}
	var item []byte
	if i.decl.Items {
		at := jsonColumn(row, i.im.ItemColumn)
		if len(at) > 1 {
			i.reject(i.im.ItemColumn, "it is there more than once")
			return nil
		}
		for _, f := range at {
			value, why := jsonText(f.value)
			if why != "" {
				i.reject(i.im.ItemColumn, why)
				return nil
			}
			item = value
		}
	}
	if len(j.cols) == 0 {
		return i.jsonRecognised(j, row, item)
	}
	some := false
	for n := range j.cols {
		col := &j.cols[n]
		at := jsonColumn(row, col.name)
		switch {
		case len(at) == 0:
			i.rep.Empty++
			continue
		case len(at) > 1:
			i.reject(col.name, "it is there more than once")
		}
		some, j.seen[n] = true, true
		for _, f := range at { // each of them, so that none is let through
			if err := i.jsonCell(col, f.value, item); err != nil {
				return err
			}
		}
	}
	if !some {
		i.reject("", "it has none of the columns with identifiers")
	}
	return nil
}

// jsonRecognised takes the columns of a row that are known by their names, as
// recognise does those of a header.
func (i *importer) jsonRecognised(j *jsonReader, row []jsonField, item []byte) error {
	var called []string // sources that a name of this row is
	for _, f := range row {
		if known := i.jsonKnown(j, f.name); known.exact {
			called = append(called, known.cols[0].form.source)
		}
	}
	some := false
	for n, f := range row {
		known := i.jsonKnown(j, f.name)
		cols := known.cols
		if !known.exact && (i.im.scheme() == None || len(cols) > 1) && len(called) > 0 {
			cols = slices.DeleteFunc(slices.Clone(cols), func(c boundColumn) bool { return slices.Contains(called, c.form.source) })
		}
		switch {
		case len(cols) == 0:
			continue
		case len(cols) > 1:
			return fmt.Errorf("line %d: %w: column %q may be of several sources of the list; %s", i.line, ErrColumn, f.name, mapLine(f.name, cols[0].form.source))
		}
		some, j.some = true, true
		if !known.told {
			known.told = true
			i.columnsRead(nil, cols, -1)
		}
		if i.bad == "" && slices.ContainsFunc(row[:n], func(g jsonField) bool { return strings.EqualFold(g.name, f.name) }) {
			i.reject(f.name, "it is there more than once")
		}
		if err := i.jsonCell(&cols[0], f.value, item); err != nil {
			return err
		}
	}
	if !some {
		i.reject("", "it has none of the columns with identifiers")
	}
	return nil
}

func (i *importer) jsonKnown(j *jsonReader, name string) *jsonName {
	known := j.known[name]
	if known == nil {
		known = new(jsonName)
		var sources []string
		known.exact, sources = i.recognised(name)
		for _, source := range sources {
			known.cols = append(known.cols, i.bound(0, name, source))
		}
		if len(j.known) < maxNames && len(name) <= maxShownName {
			j.known[name] = known
		}
	}
	return known
}

// jsonCell takes a value, or each value of an array.
func (i *importer) jsonCell(col *boundColumn, value []byte, item []byte) error {
	if value[0] != '[' {
		return i.jsonValue(col, value, item)
	}
	some := false
	for at := space(value, 1); value[at] != ']'; {
		end := valueEnd(value, at)
		if err := i.jsonValue(col, value[at:end], item); err != nil {
			return err
		}
		if at = space(value, end); value[at] == ',' {
			at = space(value, at+1)
		}
		some = true
	}
	if !some {
		i.rep.Empty++
	}
	return nil
}

func (i *importer) jsonValue(col *boundColumn, value []byte, item []byte) error {
	text, why := jsonText(value)
	if why != "" {
		i.reject(col.name, why)
		return nil
	}
	return i.cell(col, text, item)
}

// jsonText is a string, or a number as it is written; null and absent are empty.
func jsonText(raw json.RawMessage) (text []byte, why string) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, ""
	}
	switch c := raw[0]; {
	case c == '"':
		if bytes.IndexByte(raw, '\\') < 0 {
			return raw[1 : len(raw)-1], ""
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return nil, "it is not a string"
		}
		// What Go writes for half a surrogate pair; many of them would be one person.
		if strings.ContainsRune(s, utf8.RuneError) && bytes.Contains(raw, []byte(`\u`)) {
			return nil, "it has half a surrogate pair"
		}
		return []byte(s), ""
	case c == '-' || c >= '0' && c <= '9':
		return raw, ""
	case c == '[':
		return nil, "there is an array in the array"
	}
	return nil, "it is neither a string nor a number"
}
