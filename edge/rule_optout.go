package edge

import (
	"fmt"

	"restraint/edge/policy"
)

// optOutLists is what the policy's lists of opt-outs say of the person of a request,
// the same for every candidate.
type optOutLists struct {
	inside bool // one of them has the person
	stale  bool // of one of them it is not known, or it is older than the policy allows
}

// askOptOuts asks the policy's lists of opt-outs, each once, under all identifiers of
// the request. It goes before the person's records are locked: a list that is settled
// in its key file may wait for the disk.
func (j *judge) askOptOuts() {
	if !j.known {
		return
	}
	for _, list := range j.rules.optOuts {
		j.outs.inside = j.contains(list) == inside || j.outs.inside
		j.outs.stale = j.isStale(list) || j.outs.stale
	}
}

// listedOut: on none of the lists of opt-outs. A contextual campaign asks none.
func (j *judge) listedOut(v *verdict, s *subject) bool {
	if s.Purpose == policy.Contextual {
		return true
	}
	if j.because != nil {
		for _, list := range j.rules.optOuts {
			m := j.contains(list)
			j.because.add(Check{
				Rule: "opt_out", List: j.rules.Lists[list].Name, Filter: j.byFilter(list),
				Unknown: m == unknown, Pass: m != inside,
			})
		}
	}
	if j.outs.inside {
		v.fail(OptedOut, never)
	}
	return j.goOn(v)
}

// heardOf: whether the person opted out is known: no list of opt-outs is unreadable, or
// older than the policy allows.
func (j *judge) heardOf(v *verdict, s *subject) bool {
	return j.because == nil && !j.outs.stale || j.hears(v, s)
}

func (j *judge) hears(v *verdict, s *subject) bool {
	if s.Purpose == policy.Contextual {
		return true
	}
	if j.because != nil {
		for _, list := range j.rules.optOuts {
			declared, m := &j.rules.Lists[list], j.contains(list)
			if declared.MaxAge != 0 || m == unknown {
				j.because.add(Check{
					Rule: "opt_out_age", List: declared.Name, Within: policy.Span(declared.MaxAge),
					Unknown: m == unknown, Age: j.age(list), Pass: !j.isStale(list),
				})
			}
		}
	}
	if j.outs.stale {
		v.fail(StaleList, never)
	}
	return j.goOn(v)
}

// listedOut says that a list of opt-outs has the person.
func (e *explanation) listedOut(c *Check) string {
	said := "you are on " + e.optOuts(c) + ", and this campaign is chosen for you."
	switch {
	case c.Filter && e.discreet:
		return "as far as can be told from here, " + said
	case c.Filter:
		return "as far as its filter tells, " + said
	}
	return said
}

// unheard says that a list of opt-outs cannot be relied on.
func (e *explanation) unheard(c *Check) string {
	if c.Unknown {
		return e.optOuts(c) + " cannot be read, and when in doubt we show less."
	}
	if c.Age == 0 {
		return fmt.Sprintf("%s has never come, and may be %s old at most, and when in doubt we show less.", e.optOuts(c), words(c.Within))
	}
	return fmt.Sprintf("%s is %s old; it may be %s old at most, and when in doubt we show less.", e.optOuts(c), roughly(c.Age), words(c.Within))
}

// optOuts is how a sentence calls a list of opt-outs.
func (e *explanation) optOuts(c *Check) string {
	if e.discreet {
		return "a list of people who opted out"
	}
	return fmt.Sprintf("the list %q of people who opted out", c.List)
}
