package suppress

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// headerWords are what column names are made of, in lower case (chosen from the
// exports of shops and of CRM and advertising tools). A cell made of nothing else
// is taken for a column's name and not for somebody's identifier.
var headerWords = wordSet(`
		id ids uid uuid guid no nr num number key code hash hashed sha sha256 md5 sha1 value identifier external internal
		email emails e mail mails address user users username customer customers client clients member members subscriber
		contact person people account profile visitor shopper buyer buyeruid buyerid login crm loyalty cookie device
		primary secondary personal business work other default billing shipping telephone
		advertising advertiser ifa idfa gaid aaid maid uid2 euid rampid ppid ext eid eids
		phone phones telephone tel mobile cell name first last full middle country city state region zip postal postcode
		street birth birthday date dob gender age language created updated signup note notes comment
		sku item items product products order orders category quantity price amount total currency time timestamp`)

func wordSet(text string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

// isHeaderName says that a cell is made of header words alone: customer_id,
// E-Mail, userId, EMAILADDRESS.
func isHeaderName(cell string) bool {
	if cell == "" || len(cell) > maxShownName {
		return false
	}
	some := false
	for _, word := range strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" _-.()/#:", r) }) {
		if !isHeaderWords(strings.ToLower(word)) {
			return false
		}
		some = true
	}
	return some
}

// isHeaderWords says that a word is one header word or several joined.
func isHeaderWords(word string) bool {
	ends := make([]bool, len(word)+1) // ends[n]: the first n bytes are whole words
	ends[0] = true
	for n := range len(word) {
		for to := n + 1; ends[n] && to <= len(word); to++ {
			// One letter is a word only by itself: the e of e-mail.
			if headerWords[word[n:to]] && (to-n > 1 || len(word) == 1) {
				ends[to] = true
			}
		}
	}
	return ends[len(word)]
}

// maxShownName is the length, in bytes, of a column name that an error may show.
const maxShownName = 40

// isKnownName says that the cell is a column's name for certain: a source of the
// list, a column that the caller named, or made of header words.
func (i *importer) isKnownName(cell string) bool {
	same := func(name string) bool { return name != "" && strings.EqualFold(name, cell) }
	return slices.ContainsFunc(i.decl.Sources, same) || same(i.im.Column) || same(i.im.ItemColumn) ||
		slices.ContainsFunc(i.im.Map, func(c Column) bool { return same(c.Column) }) || isHeaderName(cell)
}

// checkOnlyColumn refuses the header of a file with one column that the caller
// did not name, unless it cannot be a member: the first member of a file without
// a header would be let through. A name of header words is taken for a header,
// and so is, of a source that has a form (hashes; emails and phones under a
// scheme), what has not that form and does not look like a person.
func (i *importer) checkOnlyColumn(name, source string) error {
	if i.isKnownName(name) {
		return nil
	}
	_, err := normalize(nil, i.im.scheme(), source, []byte(name))
	if err != nil && isPlainName(name) {
		return nil
	}
	return fmt.Errorf("%w: the first line is not known to be a column's name and may be a member; for a file without a header send text/plain, for one with a header name its column with column=NAME", ErrColumn)
}

// isPlainName says that a name holds nothing but letters, spaces, hyphens,
// underscores and single digits.
func isPlainName(name string) bool {
	digit := false
	for _, r := range name {
		isDigit := unicode.IsDigit(r)
		if !unicode.IsLetter(r) && r != ' ' && r != '-' && r != '_' && !isDigit || isDigit && digit {
			return false
		}
		digit = isDigit
	}
	return name != "" && len(name) <= maxShownName
}

// columnError says which columns there are and what to write. A file without a
// header has people in its first row, so names are shown only when one of them
// is a column's name for certain, and then only those that read like names.
func (i *importer) columnError(names []string, column string, times int) error {
	what := fmt.Sprintf("the file has no column %q", column)
	if column == "" {
		what = fmt.Sprintf("no column is known to hold identifiers of %q", i.decl.Sources)
	} else if times > 1 {
		what = fmt.Sprintf("the file has %d columns %q", times, column)
	}
	if i.im.Format == CSV && (looksLikePeople(names) || !slices.ContainsFunc(names, i.isKnownName)) {
		return fmt.Errorf("%w: %s; its first row has %d cells and seems to hold no header; put one before it, or, for one identifier a line, send text/plain",
			ErrColumn, what, len(names))
	}
	shown := i.readable(names)
	list := make([]string, len(shown))
	for n, name := range shown {
		list[n] = strconv.Quote(name)
	}
	columns := strings.Join(list, ", ")
	if more := len(names) - len(shown); more > 0 {
		columns += fmt.Sprintf(" and %d more", more)
	}
	like, source := i.likely(shown)
	if like == "" {
		return fmt.Errorf("%w: %s; it has %s, and none looks like one; if one is, %s", ErrColumn, what, columns, mapLine("COLUMN", source))
	}
	return fmt.Errorf("%w: %s; it has %s; if that is the one, %s", ErrColumn, what, columns, mapLine(like, source))
}

// readable gives the names that may be shown, at most 40.
func (i *importer) readable(names []string) (shown []string) {
	for _, name := range names {
		known := i.isKnownName(name)
		if len(shown) < 40 && name != "" && (known || isPlainName(name) && !strings.Contains(name, "-")) {
			shown = append(shown, name)
		}
	}
	return shown
}

// likely gives the column that is most likely to hold identifiers of the list,
// and of which source; "" where none looks like it.
func (i *importer) likely(names []string) (column, source string) {
	source = i.decl.Sources[0]
	if i.im.ID != "" {
		source = i.im.ID
	}
	for _, about := range []struct{ word, prefix string }{{"mail", emailPrefix}, {"phone", phonePrefix}, {"mobile", phonePrefix}, {"", ""}} {
		for _, of := range i.decl.Sources {
			if !i.asked(of) || !strings.HasPrefix(of, about.prefix) {
				continue
			}
			for _, name := range names {
				lower := strings.ToLower(name)
				if about.word != "" && strings.Contains(lower, about.word) ||
					about.word == "" && digestOf(of) == nil && (strings.HasSuffix(lower, "id") || strings.Contains(lower, "user") || strings.Contains(lower, "customer")) {
					return name, of
				}
			}
		}
	}
	return "", source
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
