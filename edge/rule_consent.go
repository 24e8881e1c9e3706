package edge

import (
	"restraint/caps"
	"restraint/edge/consent"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// consentBytes is the memory for what consent strings were seen to say: some
// 100,000 strings. Chosen; a string that was forgotten is decoded again.
const consentBytes = 100_000 * consent.EntryBytes

// consentReasons are the reasons of package consent.
var consentReasons = [...]Reason{
	consent.Permitted: Shown, consent.Child: Child, consent.NoConsent: NoConsent, consent.OptedOut: OptedOut,
}

// permits sets what the request's signals permit in its market.
func (j *judge) permits(c *consent.Reader, s *openrtb.Signals, explain bool) {
	if explain {
		j.signals, j.permitted = c.Explain(j.signals[:0], s, &j.rules.Consent, j.market.Require)
	} else {
		j.permitted = c.Judge(s, &j.rules.Consent, j.market.Require)
	}
	j.forbidden = false
	for p := range j.permitted.Purposes {
		j.forbidden = j.forbidden || !j.permitted.Purposes[p].Permitted()
	}
}

// consented: what the person, the law or the browser said permits campaigns of
// this purpose.
func (j *judge) consented(v *verdict, s *subject) bool {
	return j.because == nil && !j.forbidden || j.agreed(v, s)
}

func (j *judge) agreed(v *verdict, s *subject) bool {
	answer := j.permitted.Purposes[s.Purpose]
	if j.because != nil {
		j.because.signals(j.signals, s.Purpose)
	}
	if !answer.Permitted() {
		v.fail(consentReasons[answer.Reason], never)
	}
	return j.goOn(v)
}

// signalRules are the rules that a reason of package consent is a case of, as an
// explanation names them. What permits is under the rule that would have refused.
var signalRules = [...]string{consent.Child: "child", consent.NoConsent: "consent", consent.OptedOut: "signal"}

// signals notes what bears on campaigns of a purpose.
func (e *explanation) signals(looked []consent.Check, purpose policy.Purpose) {
	for i := range looked {
		c := &looked[i]
		if c.Applies>>purpose&1 == 0 || c.Why == consent.Nothing {
			continue
		}
		e.add(Check{Rule: signalRules[c.Why.Reason()], Signal: string(c.AppendText(nil)), Pass: c.Permitted(), said: refuses(c.Why)})
	}
}

// refuses says whether a signal is the person's own no; others only lack a yes, or are
// what the law or the publisher asks for.
func refuses(w consent.Why) bool {
	switch w {
	case consent.PurposeRefused, consent.VendorRefused, consent.GPC, consent.LMT, consent.DNT,
		consent.SaleOptOut, consent.SharingOptOut, consent.TargetedOptOut:
		return true
	}
	return false
}

// mayStore reports whether what an event says of a person may be kept: as the token
// remembers it, else by the event's own signals, else by what the market requires.
func (n *Node) mayStore(x *exchange, e *openrtb.Event, rules *rules) bool {
	if len(e.Token) > 0 {
		return x.grant.Store
	}
	m := &rules.Markets[rules.MarketOf(e.Country, e.Region)]
	verdict := n.consent.Judge(&e.Signals, &rules.Consent, m.Require)
	return verdict.Storage.Permitted()
}

// retention is how long what an event says of a person is kept: as the token remembers
// it, which was so when the person was promised it; else as the event's own market has it.
func (x *exchange) retention(e *openrtb.Event, rules *rules) caps.Retention {
	if len(e.Token) > 0 {
		return caps.Retention(x.grant.Retention)
	}
	return rules.markets[rules.MarketOf(e.Country, e.Region)].own
}
