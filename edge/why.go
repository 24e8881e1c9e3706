package edge

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/caps"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// The page behind the token: why a campaign is shown to the person it stands for, what
// is kept of them for it, and two buttons. It changes nothing and needs no account; the
// token is the credential.

// whyAnswer is what GET /v1/why says. Times are Unix seconds.
type whyAnswer struct {
	Campaign string `json:"campaign"`
	// Advertiser and Purpose are absent where the policy in force has no such campaign.
	Advertiser string `json:"advertiser,omitempty"`
	Purpose    string `json:"purpose,omitempty"`
	ChosenAt   uint32 `json:"chosen_at"`
	Now        uint32 `json:"now"`
	// Show, Reason and Because are the judgement of now, by what the token still tells.
	Show    bool   `json:"show"`
	Reason  string `json:"reason,omitempty"`
	Because string `json:"because"`
	// Recognised: the token has an identifier of which anything could be held.
	Recognised bool `json:"recognised"`
	// Erased: what was known of the person was erased since the token was made, so the
	// token stands for nobody.
	Erased   bool `json:"erased"`
	Hidden   bool `json:"hidden"`
	OptedOut bool `json:"opted_out"`
	// DSA is what a bid response states of the campaign, by its rules; absent where the
	// policy in force has no such campaign.
	DSA  *dsaFragment `json:"dsa,omitempty"`
	Kept []keptKind   `json:"kept"`

	listed   bool             // opted out by a list alone, which they may not be on tomorrow
	campaign *policy.Campaign // nil: the policy in force has none of this name
	because  string           // without "Shown: " or "Not shown: "
	fewer    bool             // a market allows fewer than the sentence says
	zone     *time.Location
}

// getWhy answers GET /v1/why.
func (n *Node) getWhy(ctx *fasthttp.RequestCtx, x *exchange) {
	behindToken(ctx)
	asJSON := quality(ctx, "application/json") > quality(ctx, "text/html")
	args := ctx.QueryArgs()
	// A hide, since that is what the person may say to it: it needs the same.
	e := &openrtb.Event{Type: openrtb.Hide, Token: args.Peek("t"), Campaign: args.Peek("campaign")}
	w, p := n.why(ctx, x, e)
	switch {
	case p != nil && asJSON:
		p.send(ctx)
	case p != nil:
		sendFault(ctx, p)
	case asJSON:
		sendJSON(ctx, fasthttp.StatusOK, w)
	default:
		sendPage(ctx, fasthttp.StatusOK, "why", &whyPage{whyAnswer: w, Token: string(e.Token), Choices: hideChoices})
	}
}

// why judges the campaign of a token again, for the token's person, now.
func (n *Node) why(ctx *fasthttp.RequestCtx, x *exchange, e *openrtb.Event) (*whyAnswer, *problem) {
	now := n.clock.at(ctx.Time(), 0)
	r, c, rules, p := n.readToken(x, e, n.rules.Load(), now)
	if p != nil {
		return nil, p
	}
	if c.rules != rules { // of those that do not hold for this person
		c.Campaign = nil
	}
	found := len(x.spans.keys)
	x.keys = append(x.keys[:0], n.unerased(x.spans.keys, r.issued)...)
	w := &whyAnswer{
		Campaign: string(e.Campaign), ChosenAt: r.issued, Now: now, Recognised: len(x.keys) > 0, Erased: found > 0 && len(x.keys) == 0,
		campaign: c.Campaign, zone: rules.Zone, Kept: []keptKind{},
	}
	if c.Campaign != nil {
		w.Advertiser, w.Purpose = c.Advertiser, c.Purpose.String()
		// Whether the candidate came with an interest the token does not tell: that it did is the fuller answer.
		w.DSA = rules.dsa(c.Campaign, found > 0, true)
	}
	if w.Recognised {
		w.Kept = rules.kept(c.Campaign, x.grant.Store, caps.Retention(x.grant.Retention))
	}
	x.judgeAgain(n, rules, e.Campaign, c.Tag, now, w)
	return w, nil
}

// readToken opens the token of a query, into x.grant and x.spans.keys, and finds its
// campaign where the event names one, and the rules that hold for its person.
func (n *Node) readToken(x *exchange, e *openrtb.Event, rules *rules, now uint32) (r report, c eventCampaign, of *rules, p *problem) {
	x.reports = x.reports[:0]
	x.spans.reset()
	r = report{kind: e.Type, now: now, at: now}
	err := checkNotice(e)
	if err == nil && now == 0 {
		err = errors.New("this node takes the time from the requests (--clock=request), and none has said one yet")
	}
	if err == nil {
		of, err = n.readPerson(x, &r, e, rules, now)
	}
	if err == nil {
		c, err = x.readCampaign(e, of)
	}
	if err != nil {
		return r, c, nil, newProblem(fasthttp.StatusBadRequest, err.Error())
	}
	return r, c, of, nil
}

// judgeAgain judges by the rules for which a token is enough: those of the person's
// choices, lists, purchases and showings. What only the request told (signals, place,
// interest, the hour where the person is) is not kept, so it cannot be judged again.
// An ad server holds the token too: where reasons are withheld, what tells who is a
// customer is left out.
func (x *exchange) judgeAgain(n *Node, rules *rules, name []byte, tag uint64, now uint32, w *whyAnswer) {
	x.req.Reset()
	x.req.Channel = x.grant.Channel
	x.explain = false
	x.begin(n, rules, now)
	j, asked := &x.judge, []openrtb.Candidate{{Campaign: name}}
	j.market, w.fewer = rules.mildest()
	if rules.settles && !x.withheld {
		j.settle(asked)
	}
	because := &explanation{now: now, zone: rules.Zone, discreet: true, partly: x.withheld}
	j.because = because
	defer func() { j.because = nil }()

	n.caps.Lock(&x.person, x.keys, caps.Second(now))
	defer x.person.Unlock()
	j.readChoices()
	var v verdict
	s := &x.subject
	s.asked, s.fading = &asked[0], fading{}
	if s.find(rules, tag) < 0 {
		v.fail(UnknownCampaign, never)
		because.add(Check{Rule: "campaign", Campaign: string(name)})
	} else {
		s.Names = x.grant.Shown[x.ofCampaign(tag)].Names
		j.again(&v, s, x.withheld)
	}
	w.Show, w.OptedOut, w.listed = v.reason == Shown, j.own.optedOut || j.outs.inside, !j.own.optedOut
	w.Because = because.because(v)
	if w.Show {
		w.because = because.shown()
	} else {
		w.Reason, w.because = v.reason.String(), because.skipped(v.reason)
	}
	for i := range because.checks {
		if check := &because.checks[i]; check.Rule == "hidden" {
			w.Hidden = !check.Pass
		}
	}
}

// again judges a subject of which only the tags are known, in the order of the reasons;
// partly: by what the person refused and has seen, not by lists and purchases.
func (j *judge) again(v *verdict, s *subject, partly bool) {
	if !j.active(v, s) {
		return
	}
	if !j.known {
		_ = j.anonymous(v, s)
		return
	}
	if partly {
		_ = j.optOut(v, s) && j.chosen(v, s) && j.hid(v, s) && j.dialled(v, s) && j.spacing(v, s) && j.caps(v, s) && j.diversity(v, s) && j.heldOut(v, s)
		return
	}
	_ = j.choice(v, s) && j.suppressed(v, s) && j.heardOf(v, s) && j.purchased(v, s) && j.dialled(v, s) && j.spacing(v, s) && j.caps(v, s) && j.diversity(v, s) && j.heldOut(v, s)
}

// mildest is the market that allows the most, so that a limit said under it holds for
// everybody as "at most"; fewer says that another market allows less.
func (r *rules) mildest() (m *market, fewer bool) {
	m = &r.markets[0]
	for i := range r.markets {
		if r.markets[i].CapFactor > m.CapFactor {
			m = &r.markets[i]
		}
	}
	for i := range r.markets {
		fewer = fewer || r.markets[i].CapFactor < m.CapFactor
	}
	return m, fewer
}
