package loadtest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what a node accepts (sections 2 and 3 of its contract): a row that
// breaks one is rejected here, by line and reason.
const (
	maxNameBytes = 128 // campaign, creative, item, category
	maxUserBytes = 950 // an identifier: 1024, less room for ReplayOptions.Run
)

// kind is what a row stands for.
type kind uint8

const (
	kindImpression kind = iota
	kindClick
	kindPurchase
	kindReturn
	kindOther
	kinds // how many there are
)

func (k kind) String() string {
	return [...]string{"impression", "click", "purchase", "return", "other"}[k]
}

// event is one row as read; its bytes alias the line and the mapper's buffers.
type event struct {
	at      int64 // nanoseconds since 1970
	kind    kind
	clicked bool
	line    int // in its file, from 1

	user, campaign, creative, item, category []byte
}

// rowFault is why a row cannot be used. reason is one of a small set that is
// counted; detail goes into the sample and never holds a user.
type rowFault struct{ reason, detail string }

// mapper turns lines into events by a log's columns. Not for concurrent use.
type mapper struct {
	separator byte
	times     *timeParser
	name      string // campaign of each row, or what stands before the column's value

	time, campaign, creative, category, kind, quantity, undo, clicked int // index, -1: none
	user, item                                                        []int

	kindOf     map[string]kind
	every      kind
	undoPrefix []byte
	width      int // fields in the header

	fields                        [][]byte
	userJoin, itemJoin, fullNames []byte
}

// newMapper finds the columns in the header line.
func newMapper(header []byte, c Columns) (*mapper, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	times, err := newTimeParser(c.TimeFormat, c.TimeZone)
	if err != nil {
		return nil, err
	}
	m := &mapper{times: times, name: c.CampaignName, separator: detectSeparator(header)}
	switch {
	case c.Separator == "tab":
		m.separator = '\t'
	case c.Separator != "":
		m.separator = c.Separator[0]
	}
	h, err := readHeader(header, m.separator)
	if err != nil {
		return nil, err
	}
	m.width = len(h.names)
	undo, prefix, _ := strings.Cut(c.Undo, "=")
	m.undoPrefix = []byte(prefix)
	m.time = h.find("time-column", c.Time)
	m.campaign = h.find("campaign-column", c.Campaign)
	m.creative = h.find("creative-column", c.Creative)
	m.category = h.find("category-column", c.Category)
	m.kind = h.find("kind-column", c.Kind)
	m.quantity = h.find("quantity-column", c.Quantity)
	m.undo = h.find("undo", undo)
	m.clicked = h.find("clicked-column", c.Clicked)
	for _, name := range c.User {
		m.user = append(m.user, h.find("user-column", name))
	}
	for _, name := range c.Item {
		m.item = append(m.item, h.find("item-column", name))
	}
	m.kindOf = map[string]kind{}
	for k, values := range map[kind][]string{kindImpression: c.Impressions, kindClick: c.Clicks, kindPurchase: c.Purchases, kindReturn: c.Returns} {
		for _, v := range values {
			m.kindOf[v] = k
		}
	}
	if c.Every == "purchase" {
		m.every = kindPurchase
	}
	return m, h.err()
}

// header finds columns and collects every one that is missing.
type header struct {
	names  []string
	faults []string
}

func readHeader(line []byte, separator byte) (*header, error) {
	if bytes.IndexByte(line, 0) >= 0 || !utf8.Valid(line) {
		return nil, fmt.Errorf("read header: %w: the first line is not text (want CSV, or CSV in gzip)", ErrColumn)
	}
	fields, err := appendFields(nil, bytes.Clone(line), separator)
	if err != nil {
		return nil, fmt.Errorf("read header: %w: %w", ErrColumn, err)
	}
	h := &header{}
	for _, f := range fields {
		h.names = append(h.names, strings.TrimSpace(string(f)))
	}
	return h, nil
}

func (h *header) find(flag, name string) int {
	if name == "" {
		return -1
	}
	i := slices.Index(h.names, name)
	switch {
	case i < 0:
		h.faults = append(h.faults, fmt.Sprintf("no column %q (name the right one with --%s)", name, flag))
	case slices.Contains(h.names[i+1:], name):
		h.faults = append(h.faults, fmt.Sprintf("column %q is there twice (--%s)", name, flag))
	}
	return i
}

func (h *header) err() error {
	if len(h.faults) == 0 {
		return nil
	}
	seen := strings.Join(h.names, ", ")
	if len(seen) > 1000 {
		seen = strings.ToValidUTF8(seen[:1000], "") + ", ..."
	}
	return fmt.Errorf("read header: %w: %s; the log's columns are: %s", ErrColumn, strings.Join(h.faults, "; "), seen)
}

// mapRow reads one line into e. It changes the line in place.
func (m *mapper) mapRow(line []byte, e *event) *rowFault {
	if bytes.IndexByte(line, 0) >= 0 {
		return &rowFault{"NUL byte", "the line holds a NUL byte"}
	}
	if !utf8.Valid(line) {
		return &rowFault{"not UTF-8", "the line is not UTF-8"}
	}
	var err error
	m.fields, err = appendFields(m.fields[:0], line, m.separator)
	if err != nil {
		return &rowFault{"quoting", err.Error()}
	}
	if len(m.fields) != m.width {
		return &rowFault{"number of fields", fmt.Sprintf("%d fields, the header has %d", len(m.fields), m.width)}
	}
	var ok bool
	if e.at, ok = m.times.parse(string(bytes.TrimSpace(m.fields[m.time]))); !ok {
		return &rowFault{"time", fmt.Sprintf("time %q cannot be read, or lies outside 1970..2106", clip(m.fields[m.time]))}
	}
	if e.kind, ok = m.rowKind(); !ok {
		return &rowFault{"quantity", fmt.Sprintf("quantity %q is no number", clip(m.fields[m.quantity]))}
	}
	e.clicked = false
	if m.clicked >= 0 {
		v := m.fields[m.clicked]
		e.clicked = string(v) == "1" || strings.EqualFold(string(v), "true")
	}
	m.names(e)
	return e.fault()
}

// rowKind is false where the quantity is no number.
func (m *mapper) rowKind() (kind, bool) {
	k := m.every
	if m.kind >= 0 {
		var known bool
		if k, known = m.kindOf[string(m.fields[m.kind])]; !known {
			k = kindOther
		}
	}
	undone := m.undo >= 0 && bytes.HasPrefix(m.fields[m.undo], m.undoPrefix)
	if m.quantity >= 0 {
		n, err := strconv.ParseFloat(string(m.fields[m.quantity]), 64)
		if err != nil || n != n {
			return 0, false
		}
		undone = undone || n < 0
		if n == 0 {
			return kindOther, true
		}
	}
	switch {
	case undone && k == kindPurchase:
		k = kindReturn
	case undone && k == kindImpression:
		k = kindOther
	}
	return k, true
}

// names fills the event's names from the fields.
func (m *mapper) names(e *event) {
	at := func(i int) []byte {
		if i < 0 {
			return nil
		}
		return m.fields[i]
	}
	e.user = m.join(&m.userJoin, m.user)
	e.item = m.join(&m.itemJoin, m.item)
	e.creative, e.category = at(m.creative), at(m.category)
	m.fullNames = append(m.fullNames[:0], m.name...)
	if m.campaign >= 0 {
		if v := m.fields[m.campaign]; len(v) == 0 {
			m.fullNames = m.fullNames[:0]
		} else {
			if m.name != "" {
				m.fullNames = append(m.fullNames, '-')
			}
			m.fullNames = append(m.fullNames, v...)
		}
	}
	e.campaign = m.fullNames
}

// join is empty where every field is.
func (m *mapper) join(buf *[]byte, columns []int) []byte {
	if len(columns) == 1 {
		return m.fields[columns[0]]
	}
	*buf = (*buf)[:0]
	filled := false
	for i, c := range columns {
		if i > 0 {
			*buf = append(*buf, '-')
		}
		*buf = append(*buf, m.fields[c]...)
		filled = filled || len(m.fields[c]) > 0
	}
	if !filled {
		return nil
	}
	return *buf
}

// fault checks the event against what a node accepts.
func (e *event) fault() *rowFault {
	switch {
	case e.kind == kindOther || e.kind == kindClick:
		return nil // not sent
	case len(e.user) == 0:
		return &rowFault{"no user", "the user is empty"}
	case len(e.user) > maxUserBytes:
		return &rowFault{"user too long", fmt.Sprintf("the user has %d bytes, at most %d", len(e.user), maxUserBytes)}
	case len(e.campaign) == 0 && e.kind == kindImpression:
		return &rowFault{"no campaign", "the campaign is empty"}
	}
	for _, f := range [...]struct {
		what string
		text []byte
	}{{"campaign", e.campaign}, {"creative", e.creative}, {"item", e.item}, {"category", e.category}} {
		if len(f.text) > maxNameBytes {
			return &rowFault{f.what + " too long", fmt.Sprintf("%s %q has %d bytes, at most %d", f.what, clip(f.text), len(f.text), maxNameBytes)}
		}
	}
	return nil
}

// clip shortens a value for a message.
func clip(b []byte) string {
	if len(b) <= 40 {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:40]), "") + "..."
}
