package suppress

import (
	"fmt"
	"slices"
	"strings"
)

// boundColumn is an identifier column of a file.
type boundColumn struct {
	at     int // its place in the row
	name   string
	source string
}

// bind finds the places of the wanted columns among the names of a file.
func (i *importer) bind(names []string) (ids []boundColumn, item int, err error) {
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
	case i.im.ID != "" && len(names) == 1:
		return []boundColumn{{0, names[0], i.im.ID}}, item, nil
	default:
		for _, source := range i.decl.Sources {
			if len(find(names, source)) > 0 && (i.im.ID == "" || i.im.ID == source) {
				wanted = append(wanted, Column{source, source})
			}
		}
		if len(wanted) == 0 {
			return nil, 0, i.columnError(names, "", 0)
		}
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
				ids = append(ids, boundColumn{n, names[n], w.Source})
			}
		case len(same) == len(at):
			n := at[slices.Index(same, w)]
			ids = append(ids, boundColumn{n, names[n], w.Source})
		default:
			return nil, 0, fmt.Errorf("%w: column %q is mapped to %d sources and the file has it %d times", ErrColumn, w.Column, len(same), len(at))
		}
	}
	slices.SortFunc(ids, func(a, b boundColumn) int { return a.at - b.at })
	return slices.Compact(ids), item, nil
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

// columnError says which columns there are and what to write. Names are shown
// cut short, since a file without a header has people in its first row: of such
// a file no name is shown at all.
func (i *importer) columnError(names []string, column string, times int) error {
	if looksLikePeople(names) {
		return fmt.Errorf("%w: the first row seems to hold identifiers, not column names; put a header row before it, or send text/plain with one identifier a line", ErrColumn)
	}
	what := fmt.Sprintf("the file has no column %q", column)
	if column == "" {
		what = "no column is called like a source of the list"
	} else if times > 1 {
		what = fmt.Sprintf("the file has %d columns %q", times, column)
	}
	return fmt.Errorf("%w: %s; it has %s; write for example map=%s:%s", ErrColumn, what, quoteNames(names), firstName(names), i.decl.Sources[0])
}

func quoteNames(names []string) string {
	shown := names[:min(len(names), 40)]
	out := make([]string, len(shown))
	for n, name := range shown {
		out[n] = fmt.Sprintf("%q", name[:min(len(name), 60)])
	}
	s := strings.Join(out, ", ")
	if len(names) > len(shown) {
		s += fmt.Sprintf(" and %d more", len(names)-len(shown))
	}
	return s
}

func firstName(names []string) string {
	for _, name := range names {
		if name != "" {
			return name[:min(len(name), 60)]
		}
	}
	return "COLUMN"
}

// looksLikePeople says that a header row holds an address, a hash or a number.
func looksLikePeople(names []string) bool {
	for _, name := range names {
		digits := 0
		for n := range len(name) {
			if name[n] >= '0' && name[n] <= '9' {
				digits++
			}
		}
		if strings.Contains(name, "@") || digits >= 5 {
			return true
		}
	}
	return false
}
