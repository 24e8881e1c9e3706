package edge

import (
	"restraint/edge/policy"
	"restraint/edge/trust"
)

// dialled: people complained about the campaign, so its caps are lowered, or it is shown
// to nobody, until a human has looked into it.
func (j *judge) dialled(v *verdict, s *subject) bool {
	return s.dial == nil || j.dialledBack(v, s)
}

func (j *judge) dialledBack(v *verdict, s *subject) bool {
	d := s.dial
	if j.because != nil {
		weighing := int(d.by.Weighing)
		j.because.add(Check{
			Rule: "dial_back", Level: d.level.String(), At: d.by.Since, Within: policy.Span(d.by.Window), Limit: int(d.by.Per10K), Count: &weighing,
			Shown: d.by.Shown, People: d.by.People, Pass: d.level != trust.Paused,
		})
	}
	if d.level == trust.Paused {
		v.fail(DialledBack, never)
		return j.goOn(v)
	}
	if !j.known { // nothing can be counted, so there is no cap to be lowered
		return true
	}
	limits := j.rules.limits[s.plan.limit:][:s.plan.limits]
	for i := range limits {
		j.lowered(v, s, i)
	}
	return j.goOn(v)
}

// lowered: the i-th of the campaign's caps has room as it was lowered, or has none as it
// was written either: then it is the cap that speaks against it.
func (j *judge) lowered(v *verdict, s *subject, i int) {
	l := &j.rules.limits[int(s.plan.limit)+i]
	tag := j.scope(s, l, i)
	if tag == 0 || j.person.Unseen(tag) {
		return
	}
	most, full := s.faded(l, j.most(s, l)), s.faded(l, int(j.market.limits[l.most]))
	free := j.free(l, tag, most)
	if free == 0 || j.free(l, tag, full) != 0 {
		return
	}
	if j.because != nil {
		u := j.person.Usage(tag, most, j.window(l))
		written := &s.Caps[i]
		j.because.add(Check{
			Rule: "dial_back_cap", Per: written.Per, Channel: s.Scopes[written.Scope].Channel, Within: written.Within,
			Limit: most, Full: full, Count: &u.Count, Held: u.Held, Unknown: u.Unknown && u.Count < most, Kept: kept(u.Kept),
		})
	}
	if s.fades(l) {
		v.fail(DialledBack, j.fadedWait(s, l, tag, most, free))
	} else {
		v.fail(DialledBack, wait(j.now, uint32(free)))
	}
}

// most is how many a cap allows in the market, lowered where the campaign is dialled
// back, before it fades.
func (j *judge) most(s *subject, l *limit) int {
	most := j.market.limits[l.most]
	if s.dial != nil {
		most = j.rules.lowered[most]
	}
	return int(most)
}
