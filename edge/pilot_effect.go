package edge

import (
	"restraint/edge/effect"
)

// pilotEffect is what a pilot does, beside what is done to the others.
type pilotEffect struct {
	Arms  []armAnswer  `json:"arms"`
	Rates []rateAnswer `json:"rates"`
}

// armAnswer is what happened in one arm.
type armAnswer struct {
	Arm         string      `json:"arm"`
	Decisions   uint64      `json:"decisions"`
	Shown       uint64      `json:"shown"`
	Skipped     []skipCount `json:"skipped"`
	Impressions uint64      `json:"impressions"`
	Clicks      uint64      `json:"clicks"`
	Purchases   uint64      `json:"purchases"`
	Hides       uint64      `json:"hides"`
	Complaints  uint64      `json:"complaints"`
}

type skipCount struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// rateAnswer compares one rate of the two arms.
type rateAnswer struct {
	What       string         `json:"what"`
	Of         string         `json:"of"`
	Before     float64        `json:"before"`
	Pilot      float64        `json:"pilot"`
	Difference float64        `json:"difference"`
	Low        *float64       `json:"low,omitempty"`
	High       *float64       `json:"high,omitempty"`
	Verdict    effect.Verdict `json:"verdict"`
	// Independent: too few parts are known, so everything was taken as independent.
	Independent bool `json:"independent,omitempty"`
}

// effectOf says what a table of counts tells.
func effectOf(t *armTable) *pilotEffect {
	e := &pilotEffect{Arms: []armAnswer{}, Rates: []rateAnswer{}}
	for _, a := range []Arm{ArmBefore, ArmPilot, ArmHoldout} {
		e.Arms = append(e.Arms, armOf(t, a))
	}
	for o := outcome(Shown); o < outcome(reasonCount); o++ {
		if o == outcome(Shown) || t.sum(ArmBefore, o)+t.sum(ArmPilot, o) > 0 {
			e.add(t, o, false)
		}
	}
	e.add(t, outPurchases, false)
	for _, o := range []outcome{outClicks, outHides, outComplaints} {
		e.add(t, o, true)
	}
	return e
}

// add compares the rate of an outcome: of what was decided, or of what was seen. What
// was bought is set beside decisions, of which a policy changes the number least: one
// that shows less would sell more by impression while it sells as much.
func (e *pilotEffect) add(t *armTable, o outcome, ofImpressions bool) {
	c := effect.Compare(t.shares(ArmBefore, o, ofImpressions), t.shares(ArmPilot, o, ofImpressions))
	r := rateAnswer{What: o.String(), Of: "decisions", Before: c.Before.Rate(), Pilot: c.Pilot.Rate(), Difference: c.Difference, Verdict: c.Verdict}
	if o == outcome(Shown) {
		r.What = "shown"
	}
	if ofImpressions {
		r.Of = "impressions"
	}
	if c.Verdict != effect.TooFew {
		r.Low, r.High, r.Independent = &c.Low, &c.High, !c.ByParts
	}
	e.Rates = append(e.Rates, r)
}

// shares are the parts of an arm.
func (t *armTable) shares(a Arm, o outcome, ofImpressions bool) []effect.Share {
	parts := make([]effect.Share, effectParts)
	for i := range parts {
		parts[i] = effect.Share{Part: t[a][i][o], Whole: t.decisions(a, i)}
		if ofImpressions {
			parts[i].Whole = t[a][i][outImpressions]
		}
	}
	return parts
}

// decisions are the candidates that were judged of a part.
func (t *armTable) decisions(a Arm, part int) (n uint64) {
	for r := range reasonCount {
		n += t[a][part][r]
	}
	return n
}

func (t *armTable) sum(a Arm, o outcome) (n uint64) {
	for part := range effectParts {
		n += t[a][part][o]
	}
	return n
}

func armOf(t *armTable, a Arm) armAnswer {
	arm := armAnswer{
		Arm: a.String(), Shown: t.sum(a, outcome(Shown)), Skipped: []skipCount{},
		Impressions: t.sum(a, outImpressions), Clicks: t.sum(a, outClicks), Purchases: t.sum(a, outPurchases),
		Hides: t.sum(a, outHides), Complaints: t.sum(a, outComplaints),
	}
	for part := range effectParts {
		arm.Decisions += t.decisions(a, part)
	}
	for r := Shown + 1; r < reasonCount; r++ {
		if n := t.sum(a, outcome(r)); n > 0 {
			arm.Skipped = append(arm.Skipped, skipCount{r.String(), n})
		}
	}
	return arm
}
