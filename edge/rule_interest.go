package edge

import "restraint/edge/policy"

// fading is the share of a cap that is left while interest grows old: num/den. The
// fading of no den leaves a cap as written.
type fading struct{ num, den uint32 }

// scale returns the faded limit, rounded up as the contract has it.
func (f fading) scale(limit int) int {
	if f.den == 0 {
		return limit
	}
	return int((uint64(limit)*uint64(f.num) + uint64(f.den) - 1) / uint64(f.den))
}

// fadingAt is what is left of interest of that age: all while it is fresh, nothing
// (a num of 0) once it is over. A den of 0 is all.
func fadingAt(rule *policy.Interest, age uint32) fading {
	switch {
	case rule.Until == 0 || age <= rule.Fresh:
		return fading{num: 1}
	case age >= rule.Until:
		return fading{den: 1}
	}
	return fading{rule.Until - age, rule.Until - rule.Fresh}
}

// interest: not for a single glance, not at once, in full while it is fresh,
// then less and less, and nothing once it is over. Interest shown in places that
// the policy does not name is none. A campaign that retargets needs a known
// interest; for others the rule holds only where one is given.
func (j *judge) interest(v *verdict, s *subject) bool {
	return s.plan.further&hasInterest == 0 || j.interested(v, s)
}

func (j *judge) interested(v *verdict, s *subject) bool {
	rule := &s.Interest
	c := s.asked
	if !c.HasInterestAt {
		if s.Purpose == policy.Retargeting {
			j.because.add(Check{Rule: "interest", Pass: false})
			v.fail(StaleInterest, never)
		}
		return j.goOn(v)
	}
	count := uint32(1)
	if c.HasInterestCount {
		count = c.InterestCount
	}
	at := min(c.InterestAt, j.now) // a clock ahead of this one's
	age := j.now - at
	soon := age < rule.After
	over := rule.Until > 0 && age >= rule.Until
	elsewhere := !named(rule.From, c.InterestFrom)
	if !over {
		s.fading = fadingAt(rule, age)
	}
	if j.because != nil {
		j.because.interest(rule, age, count, c.InterestFrom, soon, over, elsewhere)
	}
	if soon {
		v.fail(TooSoon, rule.After-age)
	}
	if over || elsewhere || count < rule.Least {
		v.fail(StaleInterest, never)
	}
	return j.goOn(v)
}

// named says whether from is one of the places; no places means any.
func named(places []string, from []byte) bool {
	if len(places) == 0 {
		return true
	}
	for _, p := range places {
		if p == string(from) {
			return true
		}
	}
	return false
}
