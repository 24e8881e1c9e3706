package loadtest

import (
	"slices"
	"time"
)

// Periods are a replay in stretches of the log's own time.
type Periods struct {
	// Seconds is the length of each: a minute, five, a quarter of an hour, 1, 3, 6, 12
	// hours, a day, or 1, 4, 13, 52, 260 weeks, so that they are not too many.
	Seconds int64 `json:"seconds"`
	// Steps follow one another without a gap. They begin on whole periods of UTC; those
	// of weeks on a Monday.
	Steps []Period `json:"steps"`
}

// Period is one stretch.
type Period struct {
	From  time.Time `json:"from"`
	Shown int       `json:"shown"`
	// Spared are the showings that were skipped, by reason, most frequent first.
	Spared []Count `json:"spared"`
}

// SparedFor is how many showings were skipped for one reason.
func (p *Period) SparedFor(reason string) int {
	i := slices.IndexFunc(p.Spared, func(c Count) bool { return c.Name == reason })
	if i < 0 {
		return 0
	}
	return p.Spared[i].N
}

// mostPeriods is up to how many periods there are, unless there are over 260 years.
const mostPeriods = 60

// firstMonday is the first Monday of Unix time, 1970-01-05: what periods count from.
const firstMonday = 4 * 86400

var periodLengths = []int64{60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400, 28 * 86400, 91 * 86400, 364 * 86400, 1820 * 86400}

// span is the time that a log covers, in periods of one length.
type span struct {
	from, length int64 // seconds
	periods      int
}

// spanOf is the span from the first to the last second of a log.
func spanOf(first, last int64) span {
	var s span
	for _, s.length = range periodLengths {
		into := (first - firstMonday) % s.length
		if into < 0 {
			into += s.length
		}
		s.from = first - into
		if s.periods = int((last-s.from)/s.length) + 1; s.periods <= mostPeriods {
			break
		}
	}
	return s
}

// stretch is what one worker counts of a period.
type stretch struct {
	shown  int
	spared map[string]int // by reason
}

// stretches count showings by period.
type stretches struct {
	span
	counts []stretch
}

func newStretches(s span) stretches { return stretches{s, make([]stretch, s.periods)} }

func (s *stretches) add(second int64, v verdict) {
	c := &s.counts[(second-s.from)/s.length]
	if v.Show {
		c.shown++
		return
	}
	if c.spared == nil {
		c.spared = map[string]int{}
	}
	c.spared[v.Reason]++
}

// merge adds what was counted over the same span.
func (s *stretches) merge(other *stretches) {
	for i, c := range other.counts {
		mine := &s.counts[i]
		mine.shown += c.shown
		for reason, n := range c.spared {
			if mine.spared == nil {
				mine.spared = map[string]int{}
			}
			mine.spared[reason] += n
		}
	}
}

func (s *stretches) report() Periods {
	p := Periods{Seconds: s.length}
	for i, c := range s.counts {
		p.Steps = append(p.Steps, Period{From: time.Unix(s.from+int64(i)*s.length, 0).UTC(), Shown: c.shown, Spared: counts(c.spared)})
	}
	return p
}
