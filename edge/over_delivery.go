package edge

import (
	"io"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"restraint/caps"
	"restraint/edge/policy"
)

// limitsOf are the caps by which the store counts what was delivered over them: as they
// are written, so neither what a market, fading interest or a dial-back takes off them, nor
// caps per creative, item and category, whose scopes are of names that no policy has.
// Where two versions are in force, each for some of the people, the larger limit of both.
func limitsOf(versions []*policy.Policy) caps.Limits {
	limits := caps.Limits{}
	for i := range versions[0].Campaigns {
		c := &versions[0].Campaigns[i]
		for k := range c.Caps {
			limit := &c.Caps[k]
			tag, most, found := c.Scopes[limit.Scope].Tag, limit.Limit, true
			for _, other := range versions[1:] {
				more, has := largest(other.Campaign([]byte(c.ID)), tag, limit.Window)
				most, found = max(most, more), found && has
			}
			if tag != 0 && found {
				limits[c.Tag] = append(limits[c.Tag], capLimit(tag, most, limit.Window, versions[0].Zone))
			}
		}
	}
	return limits
}

// largest is a campaign's limit under a scope within a window; false where it has none.
func largest(c *policy.Campaign, tag uint64, within policy.Window) (most uint8, found bool) {
	if c == nil {
		return 0, false
	}
	for i := range c.Caps {
		if limit := &c.Caps[i]; c.Scopes[limit.Scope].Tag == tag && limit.Window == within {
			return limit.Limit, true
		}
	}
	return 0, false
}

func capLimit(tag uint64, most uint8, within policy.Window, zone *time.Location) caps.Limit {
	l := caps.Limit{Scope: tag, Most: int(most), Span: within.Seconds}
	if kind := within.Kind; kind != policy.Rolling && kind != policy.Lifetime {
		calendar := &calendar{zone: zone}
		l.Period = func(at caps.Second) (from, next caps.Second) { return calendar.period(kind, at) }
	}
	return l
}

// calendar remembers the last day that it was asked for: mostly the same.
type calendar struct {
	zone *time.Location
	last atomic.Pointer[policy.Moment]
}

// period is the day, week or month that a second lies in.
func (c *calendar) period(kind policy.WindowKind, at caps.Second) (from, next caps.Second) {
	m := c.last.Load()
	if m == nil || uint32(at) < m.Day || uint32(at) >= m.NextDay {
		of := policy.MomentIn(c.zone, uint32(at))
		m = &of
		c.last.Store(m)
	}
	switch kind {
	case policy.Day:
		return caps.Second(m.Day), caps.Second(m.NextDay)
	case policy.Week:
		return caps.Second(m.Week), caps.Second(m.NextWeek)
	case policy.Month:
		return caps.Second(m.Month), caps.Second(m.NextMonth)
	}
	panic("BUG: a window without a period: " + kind.String())
}

// writeDelivered writes how many exposures came to be known, and how many of them were
// too many.
func writeDelivered(w io.Writer, s *caps.Stats) {
	vm.WriteCounterUint64(w, "restraint_exposures_total", s.Exposed)
	vm.WriteCounterUint64(w, "restraint_exposures_over_limit_total", s.OverLimit)
}
