package policy

import (
	"math"
	"strconv"
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
// may always be another creative. Limits are scaled for the market. Where what is
// shown is kept for less than a window, that is forgotten before the window is over.
func (c *Campaign) bounding(m *Market) []rule {
	var rules []rule
	if c.Spacing > 0 {
		gap := int64(c.Spacing)
		if m.Retention != 0 {
			gap = min(gap, int64(m.Retention)+1)
		}
		rules = append(rules, rule{1, Rolling, gap})
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
		if m.Retention != 0 && limit.Window.whole() > m.Retention {
			if r.kind != Rolling {
				r.n *= 2 // no more in each of the two calendar windows that so long a time touches
			}
			r.kind, r.gap = Rolling, int64(m.Retention)+1
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
// the count cannot differ.
//
// Where clocks change (c is not nil) the starts around each change are tried in the
// zone's own calendar besides: on the day that clocks go forward, 24 hours touch
// three days. Both together cover every start, so the greater of the two is never
// too low; it is a bound where it may come from the calendar without changes and
// no stretch of the zone is like that.
//
// It spends steps from the budget and falls back to the least of what each rule
// alone allows when there are none left.
func most(rules []rule, span int64, c *clocks, budget *int) Most {
	if len(rules) == 0 {
		return Most{Unlimited: true}
	}
	from, to := repetition(rules)
	plain, ok := sweep(rules, nil, from, to, span, budget)
	changed := 0
	if ok && to > 1 {
		changed, ok = c.sweep(rules, span, budget)
	}
	switch {
	case !ok:
		least := math.MaxInt
		for _, r := range rules {
			least = min(least, r.alone(span, c))
		}
		return Most{Showings: least, Bound: true}
	case changed >= plain:
		return Most{Showings: changed}
	}
	return Most{Showings: plain, Bound: to > 1 && !c.calm(rules, span)}
}

// mostFrom computes the most showings of a campaign that runs from at for span
// seconds and no longer; p has the calendar of that time.
func mostFrom(rules []rule, p *periods, at, span int64, c *clocks, budget *int) Most {
	if len(rules) == 0 {
		return Most{Unlimited: true}
	}
	if n, ok := sweep(rules, p, at, at+1, span, budget); ok {
		return Most{Showings: n}
	}
	return most(rules, span, c, budget)
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
func (r rule) alone(span int64, c *clocks) int {
	if r.kind == Rolling {
		return r.n * int((span+r.gap-1)/r.gap)
	}
	if span < 2 {
		return r.n
	}
	if c != nil {
		return r.n * c.periods.touched(r.kind, span)
	}
	length := map[WindowKind]int64{Day: day, Week: 7 * day, Month: 28 * day}[r.kind]
	return r.n * int((span-2)/length+2)
}
