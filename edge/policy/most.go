package policy

import (
	"math"
	"strconv"
	"time"
)

// Most is the most showings that a person can get within some time.
type Most struct {
	Showings  int
	Unlimited bool // nothing bounds it
	// Bound: not computed exactly, but never more than Showings.
	Bound bool
}

// String is the number in words: 3, "at most 3" where it is a bound, unlimited.
func (m Most) String() string {
	switch {
	case m.Unlimited:
		return "unlimited"
	case m.Bound:
		return "at most " + strconv.Itoa(m.Showings)
	}
	return strconv.Itoa(m.Showings)
}

// rule bounds showings: each must lie a gap, or a calendar period, after the one
// n showings before it.
type rule struct {
	n    int
	kind WindowKind // Rolling, or a calendar period
	gap  int64      // seconds, of Rolling
}

// bounding returns the rules that bind every showing of the campaign: its
// spacing and its caps per campaign, advertiser, group and all, in all channels.
// A cap per creative, item or category, or in one channel, bounds nothing: there
// may always be another creative. Limits are scaled for the market.
func (c *Campaign) bounding(m *Market) []rule {
	var rules []rule
	if c.Spacing > 0 {
		rules = append(rules, rule{1, Rolling, int64(c.Spacing)})
	}
	for i := range c.Caps {
		limit := &c.Caps[i]
		scope := &c.Scopes[limit.Scope]
		if scope.Channel != "" || scope.Per.Of() != 0 {
			continue
		}
		r := rule{int(m.Limit(limit.Limit)), limit.Window.Kind, 0}
		if r.kind == Lifetime || r.kind == Rolling {
			// Free again when more than the window has passed.
			r.kind, r.gap = Rolling, int64(limit.Window.Seconds)+1
		}
		rules = append(rules, r)
	}
	return rules
}

// most computes the most showings within any span seconds, from rules alone.
//
// Given when the first showing is, showing as soon as the rules allow is best:
// each rule puts a showing no earlier than a monotone function of an earlier one
// does, so by induction no schedule has its k-th showing sooner. Without calendar
// periods every start is as good. With them all starts within a repetition of the
// calendar are tried, but not second by second: sweep jumps over starts for which
// the count cannot differ. The calendar has days of 24 hours: on the day that
// clocks go forward, 24 hours can touch three days and a person can see more.
//
// It spends steps from the budget and falls back to the least of what each rule
// alone allows when there are none left.
func most(rules []rule, span int64, budget *int) Most {
	if len(rules) == 0 {
		return Most{Unlimited: true}
	}
	from, to := repetition(rules)
	if n, ok := sweep(rules, from, to, span, budget); ok {
		return Most{Showings: n}
	}
	least := math.MaxInt
	for _, r := range rules {
		least = min(least, r.alone(span))
	}
	return Most{Showings: least, Bound: true}
}

// mostFrom computes the most showings of a campaign that runs from at for span
// seconds and no longer.
func mostFrom(rules []rule, at, span int64, budget *int) Most {
	if len(rules) == 0 {
		return Most{Unlimited: true}
	}
	if n, ok := sweep(rules, at, at+1, span, budget); ok {
		return Most{Showings: n}
	}
	return most(rules, span, budget)
}

// repetition returns starts after which the calendar of the rules repeats: a day,
// a week, a year without a leap day (short months are the ones that matter), or
// 28 years where weeks and months are mixed.
func repetition(rules []rule) (from, to int64) {
	var has [Lifetime + 1]bool
	for _, r := range rules {
		has[r.kind] = true
	}
	switch {
	case has[Week] && has[Month]:
		return civil(2001, 1, 1) * day, civil(2029, 1, 1) * day
	case has[Month]:
		return civil(2025, 1, 1) * day, civil(2026, 1, 1) * day
	case has[Week]:
		return civil(2025, 1, 6) * day, civil(2025, 1, 13) * day
	case has[Day]:
		return 0, day
	}
	return 0, 1
}

// alone is what one rule allows within a span; for months never less than that.
func (r rule) alone(span int64) int {
	period := map[WindowKind]int64{Day: day, Week: 7 * day, Month: 28 * day}[r.kind]
	if period == 0 {
		return r.n * int((span+r.gap-1)/r.gap)
	}
	if span < 2 {
		return r.n
	}
	return r.n * int((span-2)/period+2)
}

// sweep returns the most showings in [start, start+span) over all starts in
// [from, to), showing greedily.
func sweep(rules []rule, from, to, span int64, budget *int) (best int, ok bool) {
	for start := from; start < to; {
		g := greedy{rules: rules, start: start, span: span, slack: math.MaxInt64 - start - 1}
		for g.next() {
			if *budget -= len(rules); *budget < 0 {
				return 0, false
			}
		}
		best = max(best, len(g.at)-1)
		start += g.slack + 1
	}
	return best, true
}

// greedy is the schedule that shows as soon as the rules allow, and how much
// later it could start with the same rules deciding each showing.
type greedy struct {
	rules       []rule
	start, span int64
	at          []int64 // showings; the last lies outside the span once next is false
	moves       []bool  // whether the showing moves when the start does
	// slack is how much later the schedule can start so that every showing stays in
	// its calendar periods, is decided by the same rule, and is in the span or out
	// of it as before: up to there the count is the same.
	slack int64
}

// next adds a showing and reports whether it is in the span.
func (g *greedy) next() bool {
	k := len(g.at)
	at, moves := g.start, true
	if k > 0 {
		at, moves = g.at[k-1], g.moves[k-1]
	}
	moving := int64(math.MinInt64) // the latest bound that moves with the start
	if moves {
		moving = at
	}
	for _, r := range g.rules {
		if k < r.n {
			continue
		}
		bound, with := g.at[k-r.n]+r.gap, g.moves[k-r.n]
		if r.kind != Rolling {
			bound, with = nextPeriod(r.kind, g.at[k-r.n]), false
		}
		if with {
			moving = max(moving, bound)
		}
		at = max(at, bound)
	}
	moves = moving == at
	if !moves && moving != math.MinInt64 {
		g.slack = min(g.slack, at-moving)
	}
	g.at, g.moves = append(g.at, at), append(g.moves, moves)
	inside := at < g.start+g.span
	switch {
	case !inside && !moves:
		g.slack = min(g.slack, at-g.start-g.span)
	case inside && moves:
		for _, r := range g.rules {
			if r.kind != Rolling {
				g.slack = min(g.slack, nextPeriod(r.kind, at)-1-at)
			}
		}
	}
	return inside
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
