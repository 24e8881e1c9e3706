package policy

import "math"

// sweep returns the most showings in [start, start+span) over all starts in
// [from, to), showing greedily, in the calendar p.
func sweep(rules []rule, p *periods, from, to, span int64, budget *int) (best int, ok bool) {
	for start := from; start < to; {
		g := greedy{rules: rules, periods: p, start: start, span: span, slack: math.MaxInt64 - start - 1}
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
	periods     *periods
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
			bound, with = g.periods.next(r.kind, g.at[k-r.n]), false
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
				g.slack = min(g.slack, g.periods.next(r.kind, at)-1-at)
			}
		}
	}
	return inside
}
