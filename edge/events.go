package edge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// maxEvents is how many lines one POST /v1/events may have.
const maxEvents = 10_000

// span is a piece of one of the slices of spans.
type span struct{ from, to int }

// spans hold what the reports of one request refer to, flat and reused.
type spans struct {
	keys   []caps.Key
	scopes []caps.Counted
	tags   []uint64
	places []uint32
}

// report is one event ready to be applied: resolved under the policy of this
// node and free of raw identifiers and names.
type report struct {
	kind   openrtb.EventType
	now    uint32 // when it came in
	at     uint32 // when it happened
	issued uint32 // when the token was made, 0 without one
	until  uint32 // release: the last end of the token's holds
	keys   span
	scopes span           // impression: what it is counted under
	tags   span           // purchase, return: advertiser, category, item; hide, complaint: the field
	places span           // impression: its identities; release: the holds given back
	beats  span           // impression: the holds it uses up
	own    caps.Retention // impression: of where it was shown; 0: the policy's
	arm    Arm            // of the person
	part   uint8          // likewise; see exchange
	said   said           // about its campaign
	tally
}

// readEvent checks one event and appends what it comes to. The error is for the
// caller of the API. Nothing is applied.
func (n *Node) readEvent(x *exchange, e *openrtb.Event, rules *rules, now uint32) error {
	if n.clock.request {
		if e.HasAt {
			now = n.clock.at(time.Time{}, e.At)
		}
		if now == 0 {
			return errors.New("at: required; this node takes the time from the requests (--clock=request), and none has said one yet")
		}
	}
	r := report{kind: e.Type, now: now, at: now}
	if e.HasAt {
		switch {
		case e.At > now && e.At-now > futureSeconds:
			return fmt.Errorf("at: %d is %d seconds ahead of this node's clock; at most %d are allowed: send Unix seconds of the past",
				e.At, e.At-now, futureSeconds)
		case e.At < now:
			r.at = e.At
		}
	}
	rules, err := n.readPerson(x, &r, e, rules, now)
	if err != nil {
		return err
	}
	campaign, err := x.readCampaign(e, rules)
	if err != nil {
		return err
	}
	n.tell(x, &r, e, rules, campaign)
	if e.Type == openrtb.Impression && !n.mayStore(x, e, rules) {
		n.metrics.eventsNotKept.Inc()
		r.keys.to = r.keys.from
		x.reports = append(x.reports, r)
		return nil
	}
	switch e.Type {
	case openrtb.Impression:
		n.readImpression(x, &r, e, campaign)
		r.own = x.retention(e, rules)
	case openrtb.Release:
		if x.grant.HeldSeconds > 0 {
			r.places, r.until = x.held(campaign), x.grant.Issued+uint32(x.grant.HeldSeconds)
		}
	case openrtb.Purchase, openrtb.Return:
		n.readPurchase(x, &r, e, campaign)
	case openrtb.Hide, openrtb.Complaint:
		r.tags = x.spans.addTags(choiceField(chosenCampaign, campaign.Tag))
	}
	n.says(x, &r, e, campaign.Tag)
	if r.keys.from == r.keys.to {
		n.metrics.eventsNobody.Inc()
	}
	if campaign.Tag != 0 && campaign.Campaign == nil {
		n.metrics.unknownCampaigns.Inc()
	}
	x.reports = append(x.reports, r)
	return nil
}

// readPerson finds whom the event is about: the token's person, else the
// identifiers of the event. Nobody at all is possible (a contextual showing). It returns
// the rules that hold for this person.
func (n *Node) readPerson(x *exchange, r *report, e *openrtb.Event, rules *rules, now uint32) (of *rules, err error) {
	from := len(x.spans.keys)
	x.grant.Shown, x.grant.Channel = x.grant.Shown[:0], x.grant.Channel[:0]
	x.outside, x.grant.Uncounted = false, false
	if len(e.Token) > 0 {
		if err := n.tokens.Open(&x.grant, e.Token, now); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		x.spans.keys = append(x.spans.keys, x.grant.Keys...)
		r.issued = x.grant.Issued
	} else {
		var dropped int
		x.sorts = rules.sorts() || saidKinds[e.Type] != 0 // the primary one stands for the person
		x.spans.keys, dropped = n.identify(x, x.spans.keys, e.Identifiers, rules.Policy, nil, 0)
		n.metrics.identifiersDropped.Add(dropped + e.IdentifiersDropped)
	}
	r.keys = span{from, len(x.spans.keys)}
	of = x.sort(rules, x.spans.keys[from:])
	r.arm, r.part = x.arm, x.part
	return of, nil
}

// eventCampaign is the campaign an event names, known to the policy or not.
type eventCampaign struct {
	*policy.Campaign        // nil when the policy has no such campaign
	rules            *rules // that have it: those that hold for the person, else the other version in force
	Tag              uint64 // 0 when the event names none
}

func (x *exchange) readCampaign(e *openrtb.Event, rules *rules) (eventCampaign, error) {
	if len(e.Campaign) == 0 {
		return eventCampaign{}, nil
	}
	c := eventCampaign{Tag: rules.campaign.Tag(e.Campaign)}
	i := -1
	if c.rules, i = rules.having(c.Tag); i >= 0 {
		c.Campaign = &c.rules.Campaigns[i]
	}
	if len(e.Token) > 0 && x.ofCampaign(c.Tag) < 0 {
		return c, fmt.Errorf("campaign: the token does not name %q; report the campaigns that its answer showed", e.Campaign)
	}
	return c, nil
}

// readImpression resolves the identities of an impression, the holds it uses up
// and the scopes it is counted under.
func (n *Node) readImpression(x *exchange, r *report, e *openrtb.Event, c eventCampaign) {
	s := subject{Campaign: c.Campaign}
	if c.Campaign != nil {
		s.plan = &c.rules.plans[c.Index]
		s.tagNames(e.Creative, e.Item, e.Category)
	}
	candidate := n.tags.Candidate(e.Campaign, e.Creative, e.Item)
	channel := e.Channel
	shown := x.shownAs(e, &s, c.Tag, candidate)
	if shown != nil {
		candidate = shown.Candidate
		s.fillNames(&shown.Names, e)
	}
	if len(channel) == 0 {
		channel = x.grant.Channel
	}
	from := len(x.spans.places)
	switch {
	case len(e.ID) > 0:
		place := n.tags.Exposure("impression", e.ID, e.Campaign, e.Creative, e.Item)
		x.spans.places = append(x.spans.places, place)
		r.places = span{from, from + 1}
		r.beats = x.oneOf(c.Tag, candidate, place)
	case shown != nil:
		// The very places that were held: each uses up its own hold, no other, or one
		// would be free before its turn comes.
		r.places = x.alike(candidate)
	case len(e.Token) > 0:
		x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, candidate, 0))
		r.places = span{from, from + 1}
		r.beats = x.oneOf(c.Tag, candidate, 0)
	default: // nothing to know it by: each report is an exposure of its own
		x.spans.places = append(x.spans.places, rand.Uint32())
		r.places = span{from, from + 1}
	}
	at := len(x.spans.scopes)
	if c.Campaign != nil {
		x.spans.scopes = s.appendScopes(x.spans.scopes, n.tags, channel)
	} else {
		x.spans.scopes = n.unknownScopes(x.spans.scopes, e, c.Tag, channel)
	}
	r.scopes = span{at, len(x.spans.scopes)}
}

// shownAs finds the candidate of the opened token that an impression is of: the one
// with just these names, else the first of the campaign that has the names which the
// report gives; a notice often gives none. Nil: none, the ad server chose another
// creative or item after the decision.
func (x *exchange) shownAs(e *openrtb.Event, s *subject, campaign uint64, candidate uint32) *identity.Shown {
	var first *identity.Shown
	for i := range x.grant.Shown {
		shown := &x.grant.Shown[i]
		if shown.Candidate == candidate {
			return shown
		}
		if first == nil && shown.Campaign == identity.ShownCampaign(campaign) &&
			(len(e.Creative) == 0 || s.Creative != 0 && s.Creative == shown.Creative || s.Run != 0 && s.Run == shown.Run) &&
			(len(e.Item) == 0 || s.Item != 0 && s.Item == shown.Item) {
			first = shown
		}
	}
	return first
}

// fillNames takes from the token what a report leaves out.
func (s *subject) fillNames(names *identity.Names, e *openrtb.Event) {
	if len(e.Creative) == 0 {
		s.Creative, s.Run = names.Creative, names.Run
	}
	if len(e.Item) == 0 {
		s.Item = names.Item
	}
	if len(e.Category) == 0 {
		s.Category = names.Category
	}
}

// alike appends the places of all candidates of the opened token with the same
// names. They were shown together and cannot be told apart, so one report without an
// id counts for all of them.
func (x *exchange) alike(candidate uint32) span {
	from := len(x.spans.places)
	ordinal := 0
	for i := range x.grant.Shown {
		if x.grant.Shown[i].Candidate == candidate {
			x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, candidate, ordinal))
			ordinal++
		}
	}
	return span{from, len(x.spans.places)}
}

// oneOf appends the one place of the opened token that a report with an identity of
// its own uses up: of alike candidates one by the identity, so that a report that
// comes twice uses up one; a place that nobody reports stands until its end. Where
// the token has no such candidate, it is the first of the campaign.
func (x *exchange) oneOf(campaign uint64, candidate, id uint32) span {
	alike := uint32(0)
	for i := range x.grant.Shown {
		if x.grant.Shown[i].Candidate == candidate {
			alike++
		}
	}
	ordinal := 0
	if alike > 0 {
		ordinal = int(id % alike)
	} else {
		i := x.ofCampaign(campaign)
		if i < 0 {
			return span{}
		}
		candidate = x.grant.Shown[i].Candidate
	}
	x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, candidate, ordinal))
	return span{len(x.spans.places) - 1, len(x.spans.places)}
}

// ofCampaign is the index of the first candidate of a campaign in the opened token,
// or -1.
func (x *exchange) ofCampaign(tag uint64) int {
	for i := range x.grant.Shown {
		if x.grant.Shown[i].Campaign == identity.ShownCampaign(tag) {
			return i
		}
	}
	return -1
}

// held appends all holds of the opened token, or those of one campaign.
func (x *exchange) held(c eventCampaign) span {
	from := len(x.spans.places)
	for i := range x.grant.Shown {
		shown := &x.grant.Shown[i]
		if c.Tag != 0 && shown.Campaign != identity.ShownCampaign(c.Tag) {
			continue
		}
		ordinal := 0
		for k := range i {
			if x.grant.Shown[k].Candidate == shown.Candidate {
				ordinal++
			}
		}
		x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, shown.Candidate, ordinal))
	}
	return span{from, len(x.spans.places)}
}

// unknownScopes appends what an impression of a campaign that the policy does not
// know is counted under: what can be known without it, in full, so that a policy that
// comes a second late finds it.
func (n *Node) unknownScopes(dst []caps.Counted, e *openrtb.Event, campaign uint64, channel []byte) []caps.Counted {
	keep := policy.UnknownScope(campaign).Keep
	dst = append(dst, caps.Counted{Scope: campaign, Keep: keep})
	if len(channel) > 0 {
		dst = append(dst, caps.Counted{Scope: n.tags.TagBytes(identity.KindChannel, campaign, channel), Keep: keep})
	}
	if len(e.Creative) > 0 {
		dst = append(dst, caps.Counted{Scope: n.tags.TagBytes(identity.KindCreative, campaign, e.Creative), Keep: keep})
	}
	return dst
}

// readPurchase resolves the tags a purchase or return stands under, the widest
// first: the advertiser itself, its category and its item. Of a campaign that the
// policy does not know the advertiser is not known, so nothing can be kept.
func (n *Node) readPurchase(x *exchange, r *report, e *openrtb.Event, c eventCampaign) {
	var advertiser uint64
	switch {
	case len(e.Advertiser) > 0:
		advertiser = n.tags.TagBytes(identity.KindAdvertiser, 0, e.Advertiser)
	case c.Campaign != nil:
		advertiser = c.AdvertiserTag
	default:
		return
	}
	from := len(x.spans.tags)
	x.spans.tags = append(x.spans.tags, advertiser)
	if len(e.Category) > 0 {
		x.spans.tags = append(x.spans.tags, n.tags.TagBytes(identity.KindCategory, advertiser, e.Category))
	}
	if len(e.Item) > 0 {
		x.spans.tags = append(x.spans.tags, n.tags.TagBytes(identity.KindItem, advertiser, e.Item))
	}
	r.tags = span{from, len(x.spans.tags)}
}

func (s *spans) addTags(tag uint64) span {
	s.tags = append(s.tags, tag)
	return span{len(s.tags) - 1, len(s.tags)}
}

func (s *spans) reset() {
	s.keys, s.scopes, s.tags, s.places = s.keys[:0], s.scopes[:0], s.tags[:0], s.places[:0]
}
