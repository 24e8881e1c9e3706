package edge

import (
	"restraint/caps"
	"restraint/edge/policy"
)

// spacing: the least time between two showings of a campaign. The ads of one
// answer are one moment and do not stand in each other's way here.
func (j *judge) spacing(v *verdict, s *subject) bool {
	return j.because == nil && j.person.Unseen(s.plan.tag) || j.spaced(v, s)
}

func (j *judge) spaced(v *verdict, s *subject) bool {
	if s.plan.spacing == 0 {
		return true
	}
	newest, seen := j.person.Newest(s.plan.tag)
	free := uint32(newest) + s.plan.spacing
	pass := !seen || j.now >= free
	if j.because != nil {
		check := Check{Rule: "spacing", Per: "campaign", Within: policy.Span(s.Spacing), Pass: pass}
		if seen {
			check.At = uint32(newest)
			if u := j.person.Usage(s.plan.tag, 1, caps.Window{Since: newest}); u.Held == u.Count {
				check.Held = u.Held
			}
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(Spacing, free-j.now)
	}
	return j.goOn(v)
}

// caps: all of them must have room. Most candidates are of campaigns that the
// person has never seen: one test of a bit for each limit.
func (j *judge) caps(v *verdict, s *subject) bool {
	limits := j.rules.limits[s.plan.limit:][:s.plan.limits]
	for i := range limits {
		l := &limits[i]
		tag := l.tag
		if tag == 0 || l.channel != 0 {
			if tag = j.scope(s, l, i); tag == 0 {
				continue
			}
		}
		if !j.person.Unseen(tag) || j.because != nil {
			j.limit(v, s, i, tag)
		}
	}
	return j.goOn(v)
}

// scope is what a limit of one channel, or on what the candidate names, counts
// under; 0 when it does not hold for the candidate.
func (j *judge) scope(s *subject, l *limit, i int) uint64 {
	if l.channel != 0 && l.channel != j.channel {
		return 0
	}
	if l.tag != 0 {
		return l.tag
	}
	tag := s.named(l.per())
	if l.channel != 0 {
		tag = inChannel(j.tags, tag, j.rules.scopeOf(s.Campaign, i).Channel)
	}
	return tag
}

// limit: the i-th of the campaign's caps has room.
func (j *judge) limit(v *verdict, s *subject, i int, tag uint64) {
	l := &j.rules.limits[int(s.plan.limit)+i]
	most, fades := j.most(s, l), s.fades(l)
	if fades {
		most = s.fading.scale(most)
	}
	if j.because != nil {
		j.explainCap(s, i, tag, most)
	}
	switch free := j.free(l, tag, most); {
	case free == 0:
	case fades:
		v.fail(Cap, j.fadedWait(s, l, tag, most, free))
	default:
		v.fail(Cap, wait(j.now, uint32(free)))
	}
}

// asked is a limit that this request has looked at before: candidates share
// advertisers, groups and all.
type asked struct {
	tag     uint64
	seconds uint32
	free    caps.Second
	most    uint8
	kind    uint8
}

// free is when a limit passes again, 0 for now.
func (j *judge) free(l *limit, tag uint64, most int) caps.Second {
	a := &j.asked[tag>>60]
	if a.tag == tag && a.seconds == l.seconds && a.kind == l.kind && int(a.most) == most {
		return a.free
	}
	*a = asked{tag, l.seconds, j.person.Free(tag, most, j.window(l)), uint8(most), l.kind}
	return a.free
}

// fades says whether a cap becomes less as the interest grows old.
func (s *subject) fades(l *limit) bool {
	return s.plan.further&hasInterest != 0 && s.asked.HasInterestAt &&
		(l.per() == policy.PerCampaign || l.per() == policy.PerItem)
}

// faded is a limit as far as it has faded.
func (s *subject) faded(l *limit, most int) int {
	if s.fades(l) {
		return s.fading.scale(most)
	}
	return most
}

// fadedWait is how long a cap that fades lasts: what is free under today's limit may
// be full under that of the day. never when interest is over first.
func (j *judge) fadedWait(s *subject, l *limit, tag uint64, most int, free caps.Second) uint32 {
	at := min(s.asked.InterestAt, j.now)
	for {
		left := fadingAt(&s.Interest, uint32(free)-at)
		if left.num == 0 {
			return never
		}
		later := left.scale(j.most(s, l))
		if later >= most {
			return wait(j.now, uint32(free))
		}
		most = later
		free = j.person.Free(tag, most, j.window(l))
	}
}

// explainCap notes how far a cap is used up.
func (j *judge) explainCap(s *subject, i int, tag uint64, most int) {
	u := j.person.Usage(tag, most, j.window(&j.rules.limits[int(s.plan.limit)+i]))
	written := &s.Caps[i]
	full := 0
	if l := &j.rules.limits[int(s.plan.limit)+i]; s.dial != nil {
		if full = s.faded(l, int(j.market.limits[l.most])); full == most {
			full = 0
		}
	}
	j.because.add(Check{
		Rule: "cap", Per: written.Per, Channel: s.Scopes[written.Scope].Channel, Within: written.Within,
		Limit: most, Full: full, Count: &u.Count, Held: u.Held, Unknown: u.Unknown && u.Count < most, Kept: kept(u.Kept), Pass: u.Free == 0,
	})
}

// kept writes how long something is kept; "" where that says nothing.
func kept(seconds uint32) string {
	if seconds == 0 {
		return ""
	}
	return policy.Span(seconds)
}

// diversity: a creative at most n times in a row within its campaign.
func (j *judge) diversity(v *verdict, s *subject) bool {
	return s.plan.further&hasDiversity == 0 || s.Run == 0 || j.diverse(v, s)
}

func (j *judge) diverse(v *verdict, s *subject) bool {
	pass := !j.person.Run(s.plan.tag, s.Run, s.Diversity)
	if j.because != nil {
		j.because.add(Check{Rule: "diversity", Per: "creative", Limit: s.Diversity, Pass: pass})
	}
	if !pass {
		v.fail(Diversity, never)
	}
	return j.goOn(v)
}

// window is the time a cap looks at, now.
func (j *judge) window(l *limit) caps.Window {
	m := &j.moment
	switch l.window() {
	case policy.Rolling:
		return caps.Window{Since: caps.Second(j.now - min(j.now, l.seconds)), Span: l.seconds}
	case policy.Day:
		return caps.Window{Since: caps.Second(m.Day), Next: caps.Second(m.NextDay)}
	case policy.Week:
		return caps.Window{Since: caps.Second(m.Week), Next: caps.Second(m.NextWeek)}
	case policy.Month:
		return caps.Window{Since: caps.Second(m.Month), Next: caps.Second(m.NextMonth)}
	}
	return caps.Window{} // as long as the retention
}
