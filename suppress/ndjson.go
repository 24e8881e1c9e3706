package suppress

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// ndjson reads one object a line; its keys are the columns. Lines need not have
// them all: an absent one is an empty cell, but a column that no line has is an
// error, as in CSV.
func (i *importer) ndjson(in *lines) error {
	cols, err := i.jsonColumns()
	if err != nil {
		return err
	}
	seen := make([]bool, len(cols))
	var first []string
	row := make(map[string]json.RawMessage)
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
		clear(row)
		if json.Unmarshal(line, &row) != nil {
			i.reject("", "it is not a JSON object")
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

func namesOf(row map[string]json.RawMessage) []string {
	names := make([]string, 0, len(row))
	for name := range row {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (i *importer) jsonRow(row map[string]json.RawMessage, cols []Column, seen []bool) error {
	var item []byte
	if i.decl.Items {
		value, why := jsonText(row[i.im.ItemColumn])
		if why != "" {
			i.reject(i.im.ItemColumn, why)
			return nil
		}
		item = value
	}
	for n, c := range cols {
		raw, ok := row[c.Column]
		seen[n] = seen[n] || ok
		value, why := jsonText(raw)
		if why != "" {
			i.reject(c.Column, why)
			continue
		}
		if err := i.cell(c.Column, c.Source, value, item); err != nil {
			return err
		}
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
		return []byte(s), ""
	case c == '-' || c >= '0' && c <= '9':
		return raw, ""
	}
	return nil, "it is neither a string nor a number"
}
