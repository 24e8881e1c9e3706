package traffic

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Level is how long a bucket is, in UTC.
type Level uint8

// The levels. The numbers are part of the stored form.
const (
	Hour Level = iota
	Day
	Month
)

const (
	hourSeconds = 60 * 60
	daySeconds  = 24 * hourSeconds
)

// Row says of what something is counted. Each may be empty: not known.
type Row struct{ Campaign, Arm, Market string }

// Cell is one counter.
type Cell struct {
	// Start is the start of the process that counted.
	Start uint64
	// Begin is the first Unix second of the bucket, a whole hour.
	Begin uint32
	Level Level
	Row
	// Measure is what is counted.
	Measure string
	// N is how often; 0 is not kept.
	N uint64
}

// Book holds counters of one node. It is immutable once it is made, and its cells are in order; the zero Book is empty.
type Book struct {
	Node string
	// From is the Unix second before which nothing is kept, a whole hour.
	From  uint32
	Cells []Cell
}

// begin is the first second of the bucket of a level in which a second lies.
func (l Level) begin(second uint32) uint32 {
	switch l {
	case Hour:
		return second - second%hourSeconds
	case Day:
		return second - second%daySeconds
	}
	t := time.Unix(int64(second), 0).UTC()
	return uint32(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).Unix())
}

// end is the first second after the bucket that begins there; as a 64-bit number, since the last bucket ends after the last second.
func (l Level) end(begin uint32) int64 {
	switch l {
	case Hour:
		return int64(begin) + hourSeconds
	case Day:
		return int64(begin) + daySeconds
	}
	t := time.Unix(int64(begin), 0).UTC()
	return time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC).Unix()
}

// End is the first second after the cell's bucket.
func (c *Cell) End() int64 { return c.Level.end(c.Begin) }

// compare orders cells by bucket, the larger of two buckets that begin together first, and then by name.
func (c *Cell) compare(d *Cell) int {
	if o := c.compareBucket(d); o != 0 {
		return o
	}
	if o := c.Row.compare(&d.Row); o != 0 {
		return o
	}
	return cmp.Compare(c.Measure, d.Measure)
}

func (c *Cell) compareBucket(d *Cell) int {
	switch {
	case c.Start != d.Start:
		return cmp.Compare(c.Start, d.Start)
	case c.Begin != d.Begin:
		return cmp.Compare(c.Begin, d.Begin)
	}
	return cmp.Compare(d.Level, c.Level)
}

func (r *Row) compare(o *Row) int {
	return cmp.Or(cmp.Compare(r.Campaign, o.Campaign), cmp.Compare(r.Arm, o.Arm), cmp.Compare(r.Market, o.Market))
}

// NewBook makes a book of cells in any order, which it takes over; what is counted under the same name is added up. Begin of each is set
// to where the bucket in which it lies begins.
func NewBook(node string, from uint32, cells []Cell) *Book {
	b := &Book{Node: node, From: Hour.begin(from)}
	for i := range cells {
		cells[i].Begin = cells[i].Level.begin(cells[i].Begin)
	}
	slices.SortFunc(cells, func(c, d Cell) int { return c.compare(&d) })
	for i := range cells {
		c := &cells[i]
		if last := len(b.Cells) - 1; last >= 0 && b.Cells[last].compare(c) == 0 {
			b.Cells[last].N = add(b.Cells[last].N, c.N)
		} else if c.N > 0 {
			b.Cells = append(b.Cells, *c)
		}
	}
	b.tidy()
	return b
}

// add is the sum, or the largest number there is.
func add(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}

// Join is the join of two books of one node: commutative, associative, idempotent. It alters neither and may return either.
func Join(a, b *Book) *Book {
	out := &Book{Node: a.Node, From: max(a.From, b.From), Cells: make([]Cell, 0, max(len(a.Cells), len(b.Cells)))}
	i, k := 0, 0
	for i < len(a.Cells) || k < len(b.Cells) {
		order := -1
		switch {
		case i == len(a.Cells):
			order = 1
		case k < len(b.Cells):
			order = a.Cells[i].compare(&b.Cells[k])
		}
		switch {
		case order < 0:
			out.Cells = append(out.Cells, a.Cells[i])
			i++
		case order > 0:
			out.Cells = append(out.Cells, b.Cells[k])
			k++
		default:
			c := a.Cells[i]
			c.N = max(c.N, b.Cells[k].N)
			out.Cells = append(out.Cells, c)
			i, k = i+1, k+1
		}
	}
	out.tidy()
	return out
}

// tidy drops what ended before From, and what a larger bucket stands for; the cells are in order.
func (b *Book) tidy() {
	cover := Cell{} // the last bucket that stands for those within it; a hour stands for none
	b.Cells = slices.DeleteFunc(b.Cells, func(c Cell) bool {
		if c.End() <= int64(b.From) || c.Start == cover.Start && int64(c.Begin) < cover.End() && c.Level < cover.Level {
			return true
		}
		if c.Level > Hour {
			cover = c
		}
		return false
	})
}

// Split returns what ended at or before a second, and the rest, which begins there.
func (b *Book) Split(at uint32) (before, rest *Book) {
	at = Hour.begin(at)
	before, rest = &Book{Node: b.Node, From: b.From}, &Book{Node: b.Node, From: max(b.From, at)}
	for _, c := range b.Cells {
		if c.End() <= int64(at) {
			before.Cells = append(before.Cells, c)
		} else {
			rest.Cells = append(rest.Cells, c)
		}
	}
	return before, rest
}

// Fold puts into one day the hours of each day that ended at or before days, and into one month the days of each month that ended at or
// before months, which is no later; and drops what ended before from. All of it must be over: nothing of it counts any more.
func (b *Book) Fold(days, months, from uint32) *Book {
	cells := slices.Clone(b.Cells)
	for i := range cells {
		c := &cells[i]
		switch {
		case c.Level < Month && Month.end(Month.begin(c.Begin)) <= int64(min(days, months)):
			c.Level = Month
		case c.Level < Day && Day.end(Day.begin(c.Begin)) <= int64(days):
			c.Level = Day
		}
	}
	return NewBook(b.Node, max(b.From, from), cells)
}

// Newest is the end of the last bucket; 0 where there is none.
func (b *Book) Newest() (end int64) {
	for i := range b.Cells {
		end = max(end, b.Cells[i].End())
	}
	return end
}

// Last is the largest start that counted; 0 where there is none.
func (b *Book) Last() uint64 {
	if len(b.Cells) == 0 {
		return 0
	}
	return b.Cells[len(b.Cells)-1].Start
}

// Each calls f with each cell of a bucket of which any part is in the span from from up to, not including, to. f must not alter or keep it.
func (b *Book) Each(from, to uint32, f func(*Cell)) {
	for i := range b.Cells {
		if c := &b.Cells[i]; c.Begin < to && c.End() > int64(from) {
			f(c)
		}
	}
}
