package consent

import (
	"math/bits"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// who is a set of what a refusal is about: a bit for each campaign purpose, and
// AppliesStorage.
type who uint8

const (
	storage    who = AppliesStorage
	personal   who = 1<<policy.Retargeting | 1<<policy.Acquisition
	contextual who = 1 << policy.Contextual
)

// judge gathers what the signals of one request say.
type judge struct {
	verdict Verdict
	policy  *policy.Consent
	// asked is all that TCF is asked about: contextual campaigns only where the policy
	// gives them purposes.
	asked  who
	checks *[]Check
}

// Judge returns what the signals permit under the policy, in a market that
// requires what is given. A nil Reader may not be used; nothing of s is kept. It
// does not allocate where the strings have been seen before.
func (r *Reader) Judge(s *openrtb.Signals, c *policy.Consent, require policy.Require) Verdict {
	j := judge{policy: c}
	j.run(r, s, require)
	return j.verdict
}

// Explain is Judge with everything that was looked at appended to dst, in order. A
// check that refuses nothing is there as well; of TCF purposes there is one for
// each that the policy asks for.
func (r *Reader) Explain(dst []Check, s *openrtb.Signals, c *policy.Consent, require policy.Require) ([]Check, Verdict) {
	j := judge{policy: c, checks: &dst}
	j.run(r, s, require)
	return dst, j.verdict
}

func (j *judge) run(r *Reader, s *openrtb.Signals, require policy.Require) {
	j.asked = personal | storage
	if j.policy.Purposes[policy.Contextual] != 0 {
		j.asked |= contextual
	}
	j.check(s.COPPA == 1, s.COPPA >= 0, personal|storage, Answer{Why: COPPA})
	j.check(s.GPC, s.GPC, personal, Answer{Why: GPC})
	j.check(s.LMT == 1, s.LMT >= 0, personal, Answer{Why: LMT})
	j.check(s.DNT == 1, s.DNT >= 0, personal, Answer{Why: DNT})

	j.check(s.Differ, s.Differ, j.asked, Answer{Why: PlacesDiffer})

	present := signals{usp: len(s.USPrivacy) > 0, tcf: len(s.Consent) > 0}
	if present.usp {
		found, problem := readUSPrivacy(s.USPrivacy)
		j.check(problem != Nothing, true, j.asked, Answer{Why: USPUnreadable})
		j.check(found.has(findNoNotice), true, personal, Answer{Why: NoNotice})
		j.check(found.has(findSale), true, personal, Answer{Why: SaleOptOut})
	}
	var said gpp
	if present.tcf {
		r.says(&said, s.Consent, question{vendor: j.policy.Vendor, tcf: true})
		j.tcf(&said.tcf, 0, false)
	}
	named := sections(0)
	for _, id := range s.GPPSID {
		named = named.with(int(id))
	}
	said = gpp{}
	if len(s.GPP) > 0 {
		r.says(&said, s.GPP, question{named: named, vendor: j.policy.Vendor})
		j.gpp(&said)
	}
	j.missing(named, &said, present)
	j.required(s, &said, present, require)
}

// signals are those that are present besides the GPP string.
type signals struct{ usp, tcf bool }

// gpp judges the sections in force of a GPP string.
func (j *judge) gpp(g *gpp) {
	j.check(g.problem != Nothing, true, j.asked, Answer{Why: max(g.problem, GPPUnreadable), Section: g.at})
	if g.hasTCF {
		j.tcf(&g.tcf, sectionTCF, false)
	}
	if g.hasCanada {
		j.tcf(&g.canada, sectionCanada, true)
	}
	if !g.hasUS {
		return
	}
	for what, section := range g.us {
		about := personal
		if finding(what) == findChild {
			about |= storage
		}
		j.check(section != 0, true, about, Answer{Why: findingWhy[what], Section: section})
	}
}

// tcf judges a TCF string. TCF Canada has no purpose 1; purpose 2, which names
// limiting how often an advertisement is shown, is asked in its place.
func (j *judge) tcf(t *tcf, section uint8, canada bool) {
	for i := range 4 {
		about := who(1) << i
		if j.asked&about == 0 {
			continue
		}
		asked := j.policy.Storage
		if about != storage {
			asked = j.policy.Purposes[i]
		}
		if canada && asked.Has(1) {
			asked = asked&^1 | 1<<1
		}
		if j.checks != nil {
			j.explainTCF(t, asked, section, about)
		}
		if a, refused := t.refusal(asked, section); refused {
			j.refuse(about, a)
		}
	}
}

// missing refuses for sections that gpp_sid names and nothing holds. user.consent
// is as good as section 2, and us_privacy as section 6.
func (j *judge) missing(named sections, g *gpp, p signals) {
	held := g.present
	if p.tcf {
		held = held.with(sectionTCF)
	}
	if p.usp {
		held = held.with(sectionUSP)
	}
	lacking := named &^ held
	if g.problem == GPPUnreadable {
		lacking = 0 // said already
	}
	for _, about := range [2]struct {
		sections sections
		who      who
	}{{lacking &^ usSectionsSet, j.asked}, {lacking & usSectionsSet, personal}} {
		if about.sections != 0 {
			id := bits.TrailingZeros64(uint64(about.sections))
			j.check(true, true, about.who, Answer{Why: SectionMissing, Section: uint8(id)})
		}
	}
}

// required refuses where the market or the GDPR requires a signal and none is
// there. A TCF string, in which a person says yes to each purpose, is more than an
// opt-out signal; TCF Canada's serves a market that requires the TCF, and not the
// GDPR.
func (j *judge) required(s *openrtb.Signals, g *gpp, p signals, require policy.Require) {
	europe := p.tcf || g.hasTCF
	tcf := europe || g.hasCanada
	j.check(!europe, s.GDPR == 1, j.asked, Answer{Why: TCFRequiredByGDPR})
	j.check(!tcf, require == policy.RequireTCF, j.asked, Answer{Why: TCFRequired})
	j.check(!tcf && !p.usp && !g.hasUS, require == policy.RequireOptOut, personal, Answer{Why: OptOutRequired})
}

// check notes something that was looked at and refuses where it says so. What was
// not there to be looked at is no check.
func (j *judge) check(refuses, looked bool, about who, a Answer) {
	if !looked {
		return
	}
	if refuses {
		a.Reason = a.Why.Reason()
		j.refuse(about, a)
	}
	if j.checks != nil {
		*j.checks = append(*j.checks, Check{Answer: a, Applies: uint8(about)})
	}
}

// refuse keeps the first answer of the first reason.
func (j *judge) refuse(about who, a Answer) {
	for i := range j.verdict.Purposes {
		if about>>i&1 == 1 {
			j.verdict.Purposes[i].keep(a)
		}
	}
	if about&storage != 0 {
		j.verdict.Storage.keep(a)
	}
}

func (kept *Answer) keep(a Answer) {
	if kept.Reason == Permitted || a.Reason < kept.Reason {
		*kept = a
	}
}
