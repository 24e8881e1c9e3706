package traffic

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode/utf8"
)

// The form of a book. Integers are unsigned varints (encoding/binary) but for the first and the last.
//
//	4 bytes  "RTFC"
//	1 byte   version, 1
//	node     its length, its bytes
//	From     in hours
//	names    their number, and of each its length and its bytes: all that occur, in order
//	buckets  their number, and of each, in order:
//	         start, begin in hours, 1 byte level,
//	         rows: their number, and of each, in order: campaign, arm, market (by number in names),
//	               measures: their number, and of each, in order: its number in names, and how often, not 0
//	4 bytes  CRC-32C of all before, little endian
//
// A book has one form: what is written in another is refused.
const (
	formMagic   = "RTFC"
	formVersion = 1
)

// Bounds of a form. A name has as many bytes as one of a policy. Chosen.
const (
	MaxBytes = 512 << 10
	maxName  = 255
	maxCells = 1 << 17
)

// What a form is refused by.
var (
	// ErrMalformed: it is broken, too long, or not in the one form.
	ErrMalformed = errors.New("malformed counts")
	// ErrVersion: it is of a version that this program does not know.
	ErrVersion = errors.New("counts of an unknown version")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the form of a book to dst.
func Append(dst []byte, b *Book) []byte {
	from := len(dst)
	dst = append(dst, formMagic...)
	dst = append(dst, formVersion)
	dst = appendName(dst, b.Node)
	dst = binary.AppendUvarint(dst, uint64(b.From/hourSeconds))
	names, number := b.names()
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendName(dst, name)
	}
	dst = binary.AppendUvarint(dst, uint64(countRuns(b.Cells, (*Cell).compareBucket)))
	for cells := b.Cells; len(cells) > 0; {
		bucket := run(cells, (*Cell).compareBucket)
		dst = binary.AppendUvarint(dst, bucket[0].Start)
		dst = binary.AppendUvarint(dst, uint64(bucket[0].Begin/hourSeconds))
		dst = append(dst, byte(bucket[0].Level))
		dst = binary.AppendUvarint(dst, uint64(countRuns(bucket, compareRows)))
		cells = cells[len(bucket):]
		for len(bucket) > 0 {
			row := run(bucket, compareRows)
			bucket = bucket[len(row):]
			for _, name := range [...]string{row[0].Campaign, row[0].Arm, row[0].Market} {
				dst = binary.AppendUvarint(dst, number[name])
			}
			dst = binary.AppendUvarint(dst, uint64(len(row)))
			for i := range row {
				dst = binary.AppendUvarint(dst, number[row[i].Measure])
				dst = binary.AppendUvarint(dst, row[i].N)
			}
		}
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// names are all that occur, in order, and their numbers.
func (b *Book) names() (names []string, number map[string]uint64) {
	number = make(map[string]uint64)
	for i := range b.Cells {
		c := &b.Cells[i]
		for _, name := range [...]string{c.Campaign, c.Arm, c.Market, c.Measure} {
			if _, ok := number[name]; !ok {
				number[name] = 0
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for i, name := range names {
		number[name] = uint64(i)
	}
	return names, number
}

func appendName(dst []byte, name string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	return append(dst, name...)
}

func compareRows(c, d *Cell) int { return cmp.Or(c.compareBucket(d), c.Row.compare(&d.Row)) }

// run is the first cells that are alike.
func run(cells []Cell, compare func(c, d *Cell) int) []Cell {
	n := 1
	for n < len(cells) && compare(&cells[0], &cells[n]) == 0 {
		n++
	}
	return cells[:n]
}

func countRuns(cells []Cell, compare func(c, d *Cell) int) (n int) {
	for ; len(cells) > 0; n++ {
		cells = cells[len(run(cells, compare)):]
	}
	return n
}

// Parse reads what Append wrote, and aliases nothing of form. Errors: ErrMalformed, ErrVersion.
func Parse(form []byte) (*Book, error) {
	if len(form) < len(formMagic)+1+4 || len(form) > MaxBytes || string(form[:len(formMagic)]) != formMagic {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(form))
	}
	body := form[:len(form)-4]
	if binary.LittleEndian.Uint32(form[len(body):]) != crc32.Checksum(body, castagnoli) {
		return nil, fmt.Errorf("%w: damaged", ErrMalformed)
	}
	if v := form[len(formMagic)]; v != formVersion {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	p := parser{rest: body[len(formMagic)+1:]}
	b := p.book()
	if p.bad || len(p.rest) > 0 {
		return nil, fmt.Errorf("%w: cut short or too long", ErrMalformed)
	}
	// The one form: in order, each name once and used, no bucket for which another stands.
	b.tidy()
	if !bytes.Equal(Append(nil, b), form) {
		return nil, fmt.Errorf("%w: not in the one form", ErrMalformed)
	}
	return b, nil
}

// JoinForms is the join of two forms of books of one node, as Join; a is nil for none. It keeps and alters neither and may return either.
// Errors: as Parse.
func JoinForms(a, b []byte) ([]byte, error) {
	second, err := Parse(b)
	if err != nil || a == nil {
		return b, err
	}
	first, err := Parse(a)
	if err != nil {
		return nil, err
	}
	if first.Node != second.Node {
		return nil, fmt.Errorf("%w: of node %.40q, not %.40q", ErrMalformed, second.Node, first.Node)
	}
	return Append(nil, Join(first, second)), nil
}

// parser reads a form. Once something is wrong all is zero.
type parser struct {
	rest  []byte
	names []string
	bad   bool
}

func (p *parser) book() *Book {
	b := &Book{Node: p.text()}
	b.From = p.hours()
	p.names = make([]string, 0, p.count(1))
	for range cap(p.names) {
		p.names = append(p.names, p.text())
	}
	for range p.count(6) {
		bucket := Cell{Start: p.uvarint(), Begin: p.hours(), Level: p.level()}
		if !p.bad && bucket.Begin != bucket.Level.begin(bucket.Begin) {
			p.fail()
		}
		for range p.count(6) {
			bucket.Row = Row{p.name(), p.name(), p.name()}
			for range p.count(2) {
				c := bucket
				c.Measure, c.N = p.name(), p.uvarint()
				if last := len(b.Cells) - 1; c.N == 0 || last+1 >= maxCells || last >= 0 && b.Cells[last].compare(&c) >= 0 {
					p.fail()
				}
				if p.bad {
					return b
				}
				b.Cells = append(b.Cells, c)
			}
		}
	}
	return b
}

func (p *parser) fail() { p.bad, p.rest = true, nil }

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

// count is a number of things that take at least so many bytes each.
func (p *parser) count(least int) int {
	n := p.uvarint()
	if n > uint64(len(p.rest)/least) {
		p.fail()
		return 0
	}
	return int(n)
}

// hours are hours as seconds.
func (p *parser) hours() uint32 {
	n := p.uvarint()
	if n > (1<<32-1)/hourSeconds {
		p.fail()
		return 0
	}
	return uint32(n) * hourSeconds
}

func (p *parser) level() Level {
	if len(p.rest) == 0 || p.rest[0] > byte(Month) {
		p.fail()
		return 0
	}
	l := Level(p.rest[0])
	p.rest = p.rest[1:]
	return l
}

func (p *parser) text() string {
	n := p.uvarint()
	if n > maxName || n > uint64(len(p.rest)) || !utf8.Valid(p.rest[:n]) {
		p.fail()
		return ""
	}
	s := string(p.rest[:n])
	p.rest = p.rest[n:]
	return s
}

func (p *parser) name() string {
	n := p.uvarint()
	if n >= uint64(len(p.names)) {
		p.fail()
		return ""
	}
	return p.names[n]
}
