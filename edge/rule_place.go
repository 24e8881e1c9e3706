package edge

import (
	"strconv"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// where sets the market that a request is of, and what it is beside.
func (j *judge) where(r *openrtb.Request) {
	j.market = &j.rules.markets[j.rules.MarketOf(r.Country, r.Region)]
	j.delicate = false
	j.quiet, j.quietKnown = 0, j.market.QuietFrom == j.market.QuietTo
	j.offset, j.hasOffset = int32(r.UTCOffset)*60, r.HasUTCOffset
	j.beside = j.beside[:0]
	if len(r.Categories) == 0 || len(j.rules.surroundings.names) == 0 {
		return
	}
	j.beside = j.rules.surroundings.find(j.beside, r)
	for _, n := range j.market.sensitive {
		j.delicate = j.delicate || j.beside.has(int(n))
	}
}

// sensitive: where the surroundings, the campaign or what the candidate is of are
// sensitive, nothing that knows the person is shown: no retargeting, and no
// campaign that uses a list.
func (j *judge) sensitive(v *verdict, s *subject) bool {
	return j.because == nil && (s.plan.further&isPersonal == 0 ||
		!j.delicate && j.market.topics == nil && !j.market.maybeWord(s.asked.Category)) || j.tender(v, s)
}

func (j *judge) tender(v *verdict, s *subject) bool {
	if s.plan.further&isPersonal == 0 {
		return true
	}
	topic := j.market.topics != nil && s.Index/64 < len(j.market.topics) && j.market.topics.has(s.Index)
	word := j.market.isWord(s.asked.Category)
	if j.because != nil {
		check := Check{Rule: "sensitive", Pass: !j.delicate && !topic && !word}
		switch {
		case j.delicate:
			check.Category = j.besides(j.market.sensitive)
		case topic:
			check.Topic = j.sensitiveTopic(s.Topics)
		case word:
			check.Topic = string(s.asked.Category)
		}
		j.because.add(check)
	}
	if j.delicate || topic || word {
		v.fail(Sensitive, never)
	}
	return j.goOn(v)
}

// besides names the first of the categories that the request is beside.
func (j *judge) besides(categories []uint16) string {
	for _, n := range categories {
		if j.beside.has(int(n)) {
			return j.rules.surroundings.names[n]
		}
	}
	return ""
}

// sensitiveTopic is the first of the topics that the market has as sensitive.
func (j *judge) sensitiveTopic(topics []string) string {
	for _, t := range topics {
		if j.market.words[t] {
			return t
		}
	}
	return ""
}

// notBeside: the surroundings are of none of the categories that the campaign must
// not stand beside.
func (j *judge) notBeside(v *verdict, s *subject) bool {
	return s.plan.further&hasNotBeside == 0 || j.because == nil && len(j.beside) == 0 || j.apart(v, s)
}

func (j *judge) apart(v *verdict, s *subject) bool {
	pass := true
	var found uint16
	if len(j.beside) > 0 {
		for _, n := range j.rules.notBeside[s.Index] {
			if j.beside.has(int(n)) {
				pass, found = false, n
				break
			}
		}
	}
	if j.because != nil {
		check := Check{Rule: "not_beside", Pass: pass}
		if !pass {
			check.Category = j.rules.surroundings.names[found]
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(NotBeside, never)
	}
	return j.goOn(v)
}

// precise: the candidate is no more specific than the market allows.
func (j *judge) precise(v *verdict, s *subject) bool {
	return j.because == nil && j.market.Precision == policy.PrecisionItem || j.specific(v, s)
}

func (j *judge) specific(v *verdict, s *subject) bool {
	if j.market.Precision == policy.PrecisionItem {
		return true
	}
	per := ""
	switch {
	case len(s.asked.Item) > 0:
		per = "item"
	case len(s.asked.Category) > 0 && j.market.Precision == policy.PrecisionCampaign:
		per = "category"
	}
	if j.because != nil {
		j.because.add(Check{Rule: "precision", Market: j.market.Name, Per: per, Pass: per == ""})
	}
	if per != "" {
		v.fail(TooSpecific, never)
	}
	return j.goOn(v)
}

// awake: not in the market's quiet hours, by the time where the person is as far as
// the request tells, else by the market's.
func (j *judge) awake(v *verdict, s *subject) bool {
	return j.quietKnown && j.quiet == 0 || j.asleep(v)
}

func (j *judge) asleep(v *verdict) bool {
	if !j.quietKnown {
		if j.quietKnown = true; j.hasOffset {
			j.quiet = j.market.QuietUntil(j.localSecond())
		} else {
			j.quiet = j.market.QuietLeft(j.now)
		}
	}
	if j.because != nil {
		j.because.add(Check{
			Rule: "quiet_hours", Market: j.market.Name, Within: j.market.Quiet(), Pass: j.quiet == 0, Local: clockText(j.localSecond()), ownClock: j.hasOffset,
		})
	}
	if j.quiet != 0 {
		v.fail(QuietHours, j.quiet)
	}
	return j.goOn(v)
}

// localSecond is the second of the day where the person is.
func (j *judge) localSecond() uint32 {
	const day = 24 * 60 * 60
	if j.hasOffset {
		return uint32((int64(j.now) + int64(j.offset) + 2*day) % day)
	}
	return policy.SecondOfDay(j.market.Zone, j.now)
}

// clockText writes a second of the day as hh:mm.
func clockText(second uint32) string {
	text := []byte("00:00")
	put := func(at int, n uint32) {
		if n < 10 {
			at++
		}
		copy(text[at:], strconv.Itoa(int(n)))
	}
	put(0, second/3600)
	put(3, second/60%60)
	return string(text)
}
