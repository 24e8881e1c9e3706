package suppress

import (
	"fmt"
	"slices"
	"strings"
)

// boundColumn is an identifier column of a file.
type boundColumn struct {
	at   int    // its place in the row
	name string // "" where it may be a member
	form form
}

func (i *importer) bound(at int, name, source string) boundColumn {
	return boundColumn{at, name, formOf(i.im.scheme(), source)}
}

// bind finds the places of the wanted columns among the names of a file. single
// says that the header has no separator of any kind in it.
func (i *importer) bind(names []string, single bool) (ids []boundColumn, item int, err error) {
	item = -1
	if i.decl.Items {
		at := find(names, i.im.ItemColumn)
		if len(at) != 1 {
			return nil, 0, i.columnError(names, i.im.ItemColumn, len(at))
		}
		item = at[0]
	}
	wanted := i.im.Map
	switch {
	case len(wanted) > 0:
	case i.im.ID != "" && i.im.Column != "":
		wanted = []Column{{i.im.Column, i.im.ID}}
	case i.im.ID != "" && single:
		if err := i.checkOnlyColumn(names[0], i.im.ID); err != nil {
			return nil, 0, err
		}
		name := ""
		if i.isKnownName(names[0]) {
			name = names[0]
		}
		return []boundColumn{i.bound(0, name, i.im.ID)}, item, nil
	default:
		if ids, err = i.recognise(names); err == nil && len(ids) == 0 {
			err = i.columnError(names, "", 0)
			if i.im.ID != "" {
				err = fmt.Errorf("%w; or say which column has the identifiers of %q with column=NAME", err, i.im.ID)
			}
		}
		return ids, item, err
	}
	for _, w := range wanted {
		at := find(names, w.Column)
		var same []Column
		for _, c := range wanted {
			if strings.EqualFold(c.Column, w.Column) && !slices.Contains(same, c) {
				same = append(same, c)
			}
		}
		switch {
		case len(at) == 0:
			return nil, 0, i.columnError(names, w.Column, 0)
		case len(same) == 1:
			for _, n := range at {
				ids = append(ids, i.bound(n, names[n], w.Source))
			}
		case len(same) == len(at):
			n := at[slices.Index(same, w)]
			ids = append(ids, i.bound(n, names[n], w.Source))
		default:
			return nil, 0, fmt.Errorf("%w: column %q is mapped to %d sources and the file has it %d times", ErrColumn, w.Column, len(same), len(at))
		}
	}
	slices.SortFunc(ids, func(a, b boundColumn) int { return a.at - b.at })
	same := func(a, b boundColumn) bool { return a.at == b.at && a.form.same(&b.form) }
	return slices.CompactFunc(ids, same), item, nil
}

// find gives the places of a column: those called exactly so, else those that
// differ in case only.
func find(names []string, column string) (at []int) {
	for n, name := range names {
		if name == column {
			at = append(at, n)
		}
	}
	if at != nil {
		return at
	}
	for n, name := range names {
		if strings.EqualFold(name, column) {
			at = append(at, n)
		}
	}
	return at
}

// ReadColumn says of which source the cells of a column were read.
type ReadColumn struct {
	Column string `json:"column"` // "" where it has no name, or one that may be a member
	Source string `json:"source"`
}

// String is the column and its source.
func (c ReadColumn) String() string { return fmt.Sprintf("%q of %s", c.Column, c.Source) }

// columnsRead tells in the report what was read, and what was not: an address
// that stands in another column is let through.
func (i *importer) columnsRead(names []string, ids []boundColumn, item int) {
	var rest []string
	for n, name := range names {
		if n != item && !slices.ContainsFunc(ids, func(id boundColumn) bool { return id.at == n }) {
			rest = append(rest, name)
		}
	}
	for _, id := range ids {
		read := ReadColumn{id.name, id.form.source}
		if !slices.Contains(i.rep.Columns, read) {
			i.rep.Columns = append(i.rep.Columns, read)
		}
	}
	i.rep.Ignored = i.readable(rest)
}
