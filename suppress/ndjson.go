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

// ndjson reads one object a line; its keys are the columns, found as in CSV: by
// the exact name, else by one that differs in case only. A line need not have
// them all: an absent one is an empty cell. But a line with none of them is a
// rejected row, and a column that no line has is an error.
func (i *importer) ndjson(in *lines) error {
	cols, err := i.jsonColumns()
	if err != nil {
		return err
	}
	seen := make([]bool, len(cols))
	var first []string
	var row []jsonField
	for {
		line, err := in.next()
		if err == io.EOF {
			break
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
			i.end()
			continue
		}
		if first == nil {
			first = namesOf(row)
		}
		if err := i.jsonRow(row, cols, seen); err != nil {
			return err
		}
		i.end()
	}
	named := len(i.im.Map) > 0 || i.im.Column != ""
	for n, c := range cols {
		if !seen[n] && named && first != nil {
			return i.columnError(first, c.Column, 0)
		}
	}
	if !named && first != nil && !slices.Contains(seen, true) {
		return i.columnError(first, "", 0)
	}
	return nil
}

func (i *importer) jsonColumns() ([]Column, error) {
	switch {
	case len(i.im.Map) > 0:
		return i.im.Map, nil
	case i.im.Column != "":
		if i.im.ID == "" {
			return nil, fmt.Errorf("%w: column %q is given without its source; say id=SOURCE", ErrImport, i.im.Column)
		}
		return []Column{{i.im.Column, i.im.ID}}, nil
	}
	var cols []Column
	for _, source := range i.decl.Sources {
		if i.im.ID == "" || i.im.ID == source {
			cols = append(cols, Column{source, source})
		}
	}
	return cols, nil
}

func namesOf(row []jsonField) []string {
	names := make([]string, 0, len(row))
	for _, f := range row {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

func (i *importer) jsonRow(row []jsonField, cols []Column, seen []bool) error {
	var item []byte
	if i.decl.Items {
		at := fieldsOf(row, i.im.ItemColumn)
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
	some := false
	for n, c := range cols {
		at := fieldsOf(row, c.Column)
		switch {
		case len(at) == 0:
			i.rep.Empty++
			continue
		case len(at) > 1:
			i.reject(c.Column, "it is there more than once")
		}
		some, seen[n] = true, true
		for _, f := range at { // each of them, so that none is let through
			value, why := jsonText(f.value)
			if why != "" {
				i.reject(c.Column, why)
				continue
			}
			if err := i.cell(c.Column, c.Source, value, item); err != nil {
				return err
			}
		}
	}
	if !some {
		i.reject("", "it has none of the columns with identifiers")
	}
	return nil
}

// jsonText is a string, or a number as it is written; null and absent are empty.
func jsonText(raw json.RawMessage) (text []byte, why string) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, ""
	}
	switch c := raw[0]; {
	case c == '"':
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
	}
	return nil, "it is neither a string nor a number"
}
