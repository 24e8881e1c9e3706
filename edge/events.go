package edge

import (
	"errors"
	"fmt"
	"math/rand/v2"

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
	keys   span
	scopes span // impression: what it is counted under
	tags   span // purchase, return: advertiser, category, item; hide, complaint: the field
	places span // impression: its identities; release: the holds given back
	beats  span // impression: the holds it uses up
}

// readEvent checks one event and appends what it comes to. The error is for the
// caller of the API. Nothing is applied.
func (n *Node) readEvent(x *exchange, e *openrtb.Event, rules *rules, now uint32) error {
	if n.clock.request && e.HasAt {
		now = e.At
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
	if err := n.readPerson(x, &r, e, rules, now); err != nil {
		return err
	}
	campaign, err := n.readCampaign(x, e, rules)
	if err != nil {
		return err
	}
	switch e.Type {
	case openrtb.Impression:
		n.readImpression(x, &r, e, rules, campaign)
	case openrtb.Release:
		if len(e.Token) == 0 {
			return errors.New("token: a release gives back the holds of a token, and there is none")
		}
		r.places = x.held(campaign)
	case openrtb.Purchase, openrtb.Return:
		if err := n.readPurchase(x, &r, e, campaign); err != nil {
			return err
		}
	case openrtb.Hide, openrtb.Complaint:
		if len(e.Campaign) == 0 {
			return errors.New("campaign: a " + e.Type.String() + " names the campaign it is about")
		}
		r.tags = x.spans.addTags(hideField(campaign.Tag))
	}
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
// identifiers of the event. Nobody at all is possible (a contextual showing).
func (n *Node) readPerson(x *exchange, r *report, e *openrtb.Event, rules *rules, now uint32) error {
	from := len(x.spans.keys)
	x.grant.Shown = x.grant.Shown[:0]
	if len(e.Token) > 0 {
		if err := n.openToken(x, e.Token, now); err != nil {
			return fmt.Errorf("token: %w", err)
		}
		x.spans.keys = append(x.spans.keys, x.grant.Keys...)
		r.issued = x.grant.Issued
	} else {
		var dropped int
		x.spans.keys, dropped = n.identify(x, x.spans.keys, e.Identifiers, rules.Policy)
		n.metrics.identifiersDropped.Add(dropped + e.IdentifiersDropped)
	}
	r.keys = span{from, len(x.spans.keys)}
	return nil
}

// openToken opens a token into x.grant. Under the request's clock a token is
// judged by the time it was issued, as its event may be of any year.
func (n *Node) openToken(x *exchange, token []byte, now uint32) error {
	return n.tokens.Open(&x.grant, token, now)
}

// eventCampaign is the campaign an event names, known to the policy or not.
type eventCampaign struct {
	*policy.Campaign        // nil when the policy has no such campaign
	Tag              uint64 // 0 when the event names none
}

func (n *Node) readCampaign(x *exchange, e *openrtb.Event, rules *rules) (eventCampaign, error) {
	if len(e.Campaign) == 0 {
		return eventCampaign{}, nil
	}
	c := eventCampaign{Tag: rules.campaign.Tag(e.Campaign)}
	if i := rules.find(c.Tag); i >= 0 {
		c.Campaign = &rules.Campaigns[i]
	}
	if len(e.Token) > 0 && !x.names(c.Tag) {
		return c, fmt.Errorf("campaign: the token does not name %q; report the campaigns that its answer showed", e.Campaign)
	}
	return c, nil
}

// names says whether the opened token names the campaign.
func (x *exchange) names(tag uint64) bool {
	for _, shown := range x.grant.Shown {
		if shown.Campaign == identity.ShownCampaign(tag) {
			return true
		}
	}
	return false
}

// readImpression resolves the identities of an impression, the holds it uses up
// and the scopes it is counted under.
func (n *Node) readImpression(x *exchange, r *report, e *openrtb.Event, rules *rules, c eventCampaign) {
	candidate := n.tags.Candidate(e.Campaign, e.Creative, e.Item)
	beats := x.heldBy(c.Tag, candidate)
	places := len(x.spans.places)
	switch {
	case len(e.ID) > 0:
		x.spans.places = append(x.spans.places, n.tags.Exposure("impression", e.ID, e.Campaign, e.Creative, e.Item))
		r.beats = beats
	case len(e.Token) > 0 && x.isShown(candidate):
		r.places, r.beats = beats, beats // the very places that were held
	case len(e.Token) > 0:
		x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, candidate, 0))
		r.beats = beats
	default: // nothing to know it by: each report is an exposure of its own
		x.spans.places = append(x.spans.places, rand.Uint32())
	}
	if r.places == (span{}) {
		r.places = span{places, len(x.spans.places)}
	}
	from := len(x.spans.scopes)
	x.spans.scopes = n.eventScopes(x.spans.scopes, e, rules, c)
	r.scopes = span{from, len(x.spans.scopes)}
}

// isShown says whether the opened token shows just this candidate.
func (x *exchange) isShown(candidate uint32) bool {
	for _, shown := range x.grant.Shown {
		if shown.Candidate == candidate {
			return true
		}
	}
	return false
}

// heldBy appends the holds of the opened token that an impression of the
// candidate uses up: those of candidates alike to it (one report counts for all
// of them, since they were shown together), else the first of its campaign (the
// ad server chose creative or item after the decision).
func (x *exchange) heldBy(campaign uint64, candidate uint32) span {
	from := len(x.spans.places)
	ordinal := 0
	for _, shown := range x.grant.Shown {
		if shown.Candidate == candidate {
			x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, candidate, ordinal))
			ordinal++
		}
	}
	if ordinal > 0 || campaign == 0 {
		return span{from, len(x.spans.places)}
	}
	for _, shown := range x.grant.Shown {
		if shown.Campaign == identity.ShownCampaign(campaign) {
			x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, shown.Candidate, 0))
			break
		}
	}
	return span{from, len(x.spans.places)}
}

// held appends all holds of the opened token, or those of one campaign.
func (x *exchange) held(c eventCampaign) span {
	from := len(x.spans.places)
	for i, shown := range x.grant.Shown {
		if c.Tag != 0 && shown.Campaign != identity.ShownCampaign(c.Tag) {
			continue
		}
		ordinal := 0
		for _, earlier := range x.grant.Shown[:i] {
			if earlier.Candidate == shown.Candidate {
				ordinal++
			}
		}
		x.spans.places = append(x.spans.places, identity.Place(x.grant.Nonce, shown.Candidate, ordinal))
	}
	return span{from, len(x.spans.places)}
}

// eventScopes appends what an impression is counted under. An unknown campaign
// counts under its own scope, in full, so that a policy that comes a second late
// finds it.
func (n *Node) eventScopes(dst []caps.Counted, e *openrtb.Event, rules *rules, c eventCampaign) []caps.Counted {
	if c.Campaign == nil {
		unknown := policy.UnknownScope(c.Tag)
		return append(dst, caps.Counted{Scope: unknown.Tag, Keep: unknown.Keep})
	}
	s := subject{Campaign: c.Campaign, plan: &rules.plans[c.Index]}
	s.tagNames(e.Creative, e.Item, e.Category)
	return s.appendScopes(dst, n.tags, e.Channel)
}

// readPurchase resolves the tags a purchase or return stands under: the
// advertiser itself, its category and its item.
func (n *Node) readPurchase(x *exchange, r *report, e *openrtb.Event, c eventCampaign) error {
	var advertiser uint64
	switch {
	case len(e.Advertiser) > 0:
		advertiser = n.tags.TagBytes(identity.KindAdvertiser, 0, e.Advertiser)
	case c.Campaign != nil:
		advertiser = c.AdvertiserTag
	default:
		return fmt.Errorf("advertiser: a %s names the advertiser (or a campaign of the policy, from which it follows)", e.Type)
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
	return nil
}

func (s *spans) addTags(tag uint64) span {
	s.tags = append(s.tags, tag)
	return span{len(s.tags) - 1, len(s.tags)}
}

func (s *spans) reset() {
	s.keys, s.scopes, s.tags, s.places = s.keys[:0], s.scopes[:0], s.tags[:0], s.places[:0]
}

// hideField is the register in which a person's refusal of a campaign stands.
func hideField(campaign uint64) uint64 { return campaign }
