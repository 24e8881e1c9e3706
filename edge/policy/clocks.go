package policy

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"
	"time"
)

// The years in which most looks at a zone's changes of the clock: 28, after which
// dates and weekdays meet again, from one on in which today's rules hold.
const (
	clocksFrom = 2025
	clocksTo   = clocksFrom + 28
)

// clocks are the changes of a zone's clock and its calendar around them. A nil
// *clocks is that of a zone without changes.
type clocks struct {
	periods *periods
	changes []int64 // in order
	// A campaign runs in [from, to): starts before from and changes outside are
	// left out.
	from, to int64
}

// newClocks looks at a zone for spans of up to most seconds; nil if its clock does
// not change in the years looked at.
func newClocks(zone *time.Location, most int64) *clocks {
	from, to := civil(clocksFrom, 1, 1)*day, civil(clocksTo, 1, 1)*day
	c := &clocks{from: math.MinInt64, to: math.MaxInt64}
	was, at := steady(zone, from)
	for at < to {
		is, until := steady(zone, at)
		if is != was {
			c.changes = append(c.changes, at)
		}
		was, at = is, until
	}
	if len(c.changes) == 0 {
		return nil
	}
	c.periods = newPeriods(zone, from-most-aroundBefore, to+most+aroundAfter)
	return c
}

// within leaves out what lies outside a campaign that runs in [from, to).
func (c *clocks) within(from, to int64) *clocks {
	if c == nil {
		return nil
	}
	first, _ := slices.BinarySearch(c.changes, from+1)
	last, _ := slices.BinarySearch(c.changes, to)
	if first >= last {
		return nil
	}
	return &clocks{c.periods, c.changes[first:last], from, to}
}

// How far beside a span the calendar of a change is looked at: the day of a change
// can begin before it and last over it, and a month that begins in the span ends
// after it.
const (
	aroundBefore = 2 * day
	aroundAfter  = 35 * day
)

// sweep returns the most showings over all starts from which a span meets a change
// of the clock. Changes around which the calendar is the same are tried once.
func (c *clocks) sweep(rules []rule, span int64, budget *int) (best int, ok bool) {
	if c == nil {
		return 0, true
	}
	seen := map[string]bool{}
	for _, change := range c.changes {
		from := max(change-span, c.from)
		if from == change-span {
			shape := c.periods.shape(rules, change, from-aroundBefore, change+span+aroundAfter)
			if seen[shape] {
				continue
			}
			seen[shape] = true
		}
		n, ok := sweep(rules, c.periods, from, change+aroundBefore, span, budget)
		if !ok {
			return 0, false
		}
		best = max(best, n)
	}
	return best, true
}

// calm reports whether there is a stretch without changes that is long enough for
// every start in a repetition of the calendar of days and weeks. With months there
// is none.
func (c *clocks) calm(rules []rule, span int64) bool {
	if c == nil {
		return true
	}
	for _, r := range rules {
		if r.kind == Month {
			return false
		}
	}
	for i := 1; i < len(c.changes); i++ {
		if c.changes[i]-c.changes[i-1] >= span+9*day {
			return true
		}
	}
	return false
}

// periods are the instants at which calendar periods begin, in order, by their
// kind. A nil *periods is the calendar without changes of the clock.
type periods [Month + 1][]int64

// newPeriods returns the calendar of a zone over [from, to] and at least one period
// to each side of it: see Moment.
func newPeriods(zone *time.Location, from, to int64) *periods {
	p := &periods{}
	begin := func(kind WindowKind, at int64) {
		if n := len(p[kind]); n == 0 || p[kind][n-1] < at { // a date that is left out is no day
			p[kind] = append(p[kind], at)
		}
	}
	offset, until := int64(0), int64(math.MinInt64) // of the zone, up to until
	for date := from/day - 33; date <= to/day+33; date++ {
		at := date*day - offset
		if at >= until {
			at = firstInstant(zone, date)
			offset, until = steady(zone, at)
		}
		begin(Day, at)
		if (date+3)%7 == 0 {
			begin(Week, at)
		}
		if time.Unix(date*day, 0).UTC().Day() == 1 {
			begin(Month, at)
		}
	}
	return p
}

// next is the start of the period after the one that at lies in.
func (p *periods) next(kind WindowKind, at int64) int64 {
	if p == nil {
		return nextPeriod(kind, at)
	}
	starts := p[kind]
	return starts[sort.Search(len(starts), func(i int) bool { return starts[i] > at })]
}

// touched is how many periods of a kind a span of at least two seconds can lie in.
func (p *periods) touched(kind WindowKind, span int64) (most int) {
	starts, first := p[kind], 0
	for last := range starts {
		// From the last second of the period before starts[first].
		for starts[last]-starts[first] > span-2 {
			first++
		}
		most = max(most, last-first+2)
	}
	return most
}

// shape is the same for two changes around which the periods that the rules count
// by begin at the same distances.
func (p *periods) shape(rules []rule, change, from, to int64) string {
	var shape []byte
	for kind := Day; kind <= Month; kind++ {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.kind == kind }) {
			continue
		}
		starts := p[kind]
		for i := sort.Search(len(starts), func(i int) bool { return starts[i] >= from }); starts[i] < to; i++ {
			shape = binary.AppendVarint(shape, starts[i]-change)
		}
		shape = append(shape, 0)
	}
	return string(shape)
}

// nextPeriod is the start of the calendar period after the one that at lies in,
// in a calendar without changes of the clock.
func nextPeriod(kind WindowKind, at int64) int64 {
	date := at / day
	switch kind {
	case Day:
		return (date + 1) * day
	case Week:
		return (date - (date+3)%7 + 7) * day
	}
	y, m, _ := time.Unix(at, 0).UTC().Date()
	return civil(y, m+1, 1) * day
}
