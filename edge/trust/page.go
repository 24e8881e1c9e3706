package trust

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// A Page is the reports about one campaign of one day. Encoded, numbers are little-endian:
//
//	 0   1  version, 1
//	 1   1  bit 0: saturated, there were more reports than are kept; bit 1: the folded numbers are estimates
//	 2   2  zero
//	 4   4  day
//	 8   8  tag of the campaign, not 0
//	16  28  folded numbers, 4 each: hides, complaints, helpful, intrusive, opt-outs, weighing, people
//	44   4  n, at most MaxReports
//	48      n reports, by ascending identity, none twice: 8 identity, 8 person, 3 second of the day, 1 kind (bit 7: it weighs)
//
// Equal pages are equal bytes.
const (
	pageVersion = 1
	pageHead    = 48
	reportBytes = 20

	flagSaturated = 1
	flagEstimated = 2
	flagWeighs    = 0x80

	// MaxReports is how many reports a page keeps. Chosen: an error of 1.6 % beyond, 80 KiB.
	MaxReports = 4096
	// MaxPageBytes is the size of the largest page.
	MaxPageBytes = pageHead + MaxReports*reportBytes
)

// ErrMalformed says that bytes are no page, no standing, or a damaged one.
var ErrMalformed = errors.New("malformed record of reports")

// Page is a set of reports with what was folded of it. It is not safe for concurrent use.
type Page struct {
	Campaign uint64
	Day      uint32
	// Saturated: it had more than MaxReports.
	Saturated bool
	// Folded are the numbers of reports that are kept no more.
	Folded Tally

	reports []Report // by ID
}

// Len is how many reports are kept.
func (p *Page) Len() int { return len(p.reports) }

func (p *Page) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(p.reports, id, func(r Report, id uint64) int { return cmp.Compare(r.ID, id) })
}

// has reports whether a report of that identity is kept.
func (p *Page) has(id uint64) bool {
	_, found := p.find(id)
	return found
}

// add joins one report of the page's day, and returns whether anything changed.
func (p *Page) add(r Report) bool {
	i, found := p.find(r.ID)
	switch {
	case found:
		joined := p.reports[i].join(r)
		changed := joined != p.reports[i]
		p.reports[i] = joined
		return changed
	case len(p.reports) < MaxReports && !p.Saturated:
	case i == len(p.reports): // beyond the largest that is kept
		changed := !p.Saturated
		p.Saturated = true
		return changed
	}
	p.reports = slices.Insert(p.reports, i, r)
	if len(p.reports) > MaxReports {
		p.reports, p.Saturated = p.reports[:MaxReports], true
	}
	return true
}

// remove takes out the report of an identity.
func (p *Page) remove(id uint64) {
	if i, found := p.find(id); found {
		p.reports = slices.Delete(p.reports, i, i+1)
	}
}

// Join joins another page of the same campaign and day: the union, as far as it is kept, and the larger of the folded numbers.
func (p *Page) Join(o *Page) {
	// Of two saturated pages nothing is known between the largest identity of the one and that of the other: the smaller bounds both.
	bound := uint64(math.MaxUint64)
	for _, x := range []*Page{p, o} {
		if n := len(x.reports); x.Saturated && n > 0 {
			bound = min(bound, x.reports[n-1].ID)
		}
	}
	saturated := p.Saturated || o.Saturated
	p.Saturated = false
	for i := range o.reports {
		p.add(o.reports[i])
	}
	p.Saturated = p.Saturated || saturated
	if i, found := p.find(bound); bound != math.MaxUint64 {
		if found {
			i++
		}
		p.reports = p.reports[:i]
	}
	p.Folded.most(&o.Folded)
}

// Tally counts what was reported after from and up to to, in Unix seconds. Folded numbers are part of it where all of the day is.
func (p *Page) Tally(from, to uint32) (t Tally) {
	reports, scale := p.reports, 1.0
	if n := len(reports); p.Saturated && n > 1 {
		// The largest is not part of the sample: it says how much of all identities the others are out of.
		scale = math.Exp2(64) / float64(reports[n-1].ID)
		reports = reports[:n-1]
	}
	t = tally(reports, from, to, scale)
	begins := uint64(p.Day) * secondsPerDay
	if uint64(from) < begins && uint64(to) >= begins+secondsPerDay-1 {
		t.most(&p.Folded)
	}
	return t
}

// Fold leaves the numbers of the page and lets go of its reports.
func (p *Page) Fold() {
	all := p.Tally(0, math.MaxUint32)
	p.Folded.most(&all)
	p.reports, p.Saturated = nil, false
}

// Append appends the encoded page.
func (p *Page) Append(dst []byte) []byte {
	le := binary.LittleEndian
	var flags byte
	if p.Saturated {
		flags |= flagSaturated
	}
	if p.Folded.Estimated {
		flags |= flagEstimated
	}
	dst = append(dst, pageVersion, flags, 0, 0)
	dst = le.AppendUint32(dst, p.Day)
	dst = le.AppendUint64(dst, p.Campaign)
	for _, n := range append(p.Folded.By[Hide:], p.Folded.Weighing, p.Folded.People) {
		dst = le.AppendUint32(dst, uint32(min(n, math.MaxUint32)))
	}
	dst = le.AppendUint32(dst, uint32(len(p.reports)))
	for i := range p.reports {
		r := &p.reports[i]
		dst = le.AppendUint64(dst, r.ID)
		dst = le.AppendUint64(dst, r.Person)
		second := r.At % secondsPerDay
		said := byte(r.Kind)
		if r.Weighs {
			said |= flagWeighs
		}
		dst = append(dst, byte(second), byte(second>>8), byte(second>>16), said)
	}
	return dst
}

// ParsePage reads a whole encoded page, of which it keeps nothing. It accepts exactly what Append writes; the error wraps ErrMalformed.
func ParsePage(b []byte) (*Page, error) {
	le := binary.LittleEndian
	if len(b) < pageHead || b[0] != pageVersion || b[1] > flagSaturated|flagEstimated || b[2] != 0 || b[3] != 0 {
		return nil, fmt.Errorf("%w: no page of version %d in %d bytes", ErrMalformed, pageVersion, len(b))
	}
	p := &Page{Day: le.Uint32(b[4:]), Campaign: le.Uint64(b[8:]), Saturated: b[1]&flagSaturated != 0}
	n := le.Uint32(b[44:])
	if p.Campaign == 0 || p.Day > math.MaxUint32/secondsPerDay || n > MaxReports || len(b) != pageHead+int(n)*reportBytes {
		return nil, fmt.Errorf("%w: a page of %d reports in %d bytes, day %d", ErrMalformed, n, len(b), p.Day)
	}
	for k := range len(Kinds) {
		p.Folded.By[int(Hide)+k] = uint64(le.Uint32(b[16+4*k:]))
	}
	p.Folded.Weighing, p.Folded.People = uint64(le.Uint32(b[36:])), uint64(le.Uint32(b[40:]))
	p.Folded.Estimated = b[1]&flagEstimated != 0
	p.reports = make([]Report, n)
	for i := range p.reports {
		f := b[pageHead+i*reportBytes:]
		second := uint64(f[16]) | uint64(f[17])<<8 | uint64(f[18])<<16
		at := uint64(p.Day)*secondsPerDay + second
		r := Report{ID: le.Uint64(f), Person: le.Uint64(f[8:]), At: uint32(at), Kind: Kind(f[19] &^ flagWeighs), Weighs: f[19]&flagWeighs != 0}
		if second >= secondsPerDay || at > math.MaxUint32 || !r.Kind.Known() || i > 0 && r.ID <= p.reports[i-1].ID {
			return nil, fmt.Errorf("%w: report %d of %d", ErrMalformed, i, n)
		}
		p.reports[i] = r
	}
	return p, nil
}
