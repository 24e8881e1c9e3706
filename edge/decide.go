package edge

import (
	"math"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
	"restraint/suppress"
)

// never is the wait of a rule that does not pass by itself.
const never = 0

// hideSeconds is how long a hide or a complaint counts: 90 days, as Brave Ads
// and Google's "mute this ad" have it.
const hideSeconds = 90 * 24 * 60 * 60

// rules is one policy version with what the decision needs beside it: where each
// of the policy's lists stands in the suppress store. Immutable.
type rules struct {
	*policy.Policy
	lists    []int    // by index of Policy.Lists
	listTags []uint64 // likewise: the namespace of a list's items
}

// verdict is the judgement of one candidate.
type verdict struct {
	reason Reason
	// retry is the number of seconds after which every rule of time that failed
	// has passed; 0 when nothing failed or something never passes by itself.
	retry uint32
	stuck bool // a rule failed that never passes by itself
}

// fail notes that a rule failed; the first reason stays. wait is how long until
// the rule passes, or never.
func (v *verdict) fail(r Reason, wait uint32) {
	if v.reason == Shown {
		v.reason = r
	}
	if wait == never {
		v.stuck = true
		v.retry = 0
	} else if !v.stuck {
		v.retry = max(v.retry, wait)
	}
}

// membership is what is known of one list within one request.
type membership uint8

const (
	notAsked membership = iota
	outside
	inside
)

// judge decides one request. It is reused from request to request; every field
// up to verdicts is set before the first candidate and read only by the judging.
// A judge serves one goroutine.
type judge struct {
	rules   *rules
	lists   *suppress.View
	tags    *identity.Tags
	now     uint32
	moment  policy.Moment
	channel []byte
	person  *caps.Person // locked
	known   bool         // the person has at least one identifier
	probes  []suppress.Probe
	because *explanation // nil unless the caller asked why

	member   []membership // by index of Policy.Lists
	verdicts []verdict
}

// subject is a candidate together with its campaign and its tags.
type subject struct {
	*policy.Campaign
	asked                    *openrtb.Candidate
	creative, item, category uint64 // the advertiser's own; 0 when the candidate names none
	run                      uint64 // the creative within this campaign
	fading                   fading
}

// one judges a single candidate. It sets s, and of v what is not zero.
func (j *judge) one(c *openrtb.Candidate, s *subject, v *verdict) {
	s.asked = c
	s.Campaign = j.rules.Campaign(c.Campaign)
	if s.Campaign == nil {
		v.fail(UnknownCampaign, never)
		if j.because != nil {
			j.because.add(Check{Rule: "campaign", Campaign: string(c.Campaign)})
		}
		return
	}
	s.tagNames(j.tags, c.Creative, c.Item, c.Category)
	s.fading = unfaded

	if !j.active(v, s) {
		return
	}
	if !j.known {
		j.anonymous(v, s)
		return
	}
	// In the order of the reasons; each says whether to go on.
	_ = j.hidden(v, s) && j.suppressed(v, s) && j.purchased(v, s) && j.interest(v, s) &&
		j.spacing(v, s) && j.caps(v, s) && j.diversity(v, s)
}

// goOn says whether there is anything left to find out: a rule that can never
// pass by itself ends the judging, unless the whole list of checks is wanted.
func (j *judge) goOn(v *verdict) bool { return !v.stuck || j.because != nil }

// tagNames sets the tags of what the candidate, or an event, names.
func (s *subject) tagNames(tags *identity.Tags, creative, item, category []byte) {
	s.creative, s.run, s.item, s.category = 0, 0, 0, 0
	if len(creative) > 0 {
		s.creative = tags.TagBytes(identity.KindCreative, s.AdvertiserTag, creative)
		if s.CreativeScope >= 0 {
			s.run = tags.TagBytes(identity.KindCreative, s.Tag, creative)
		}
	}
	if len(item) > 0 {
		s.item = tags.TagBytes(identity.KindItem, s.AdvertiserTag, item)
	}
	if len(category) > 0 {
		s.category = tags.TagBytes(identity.KindCategory, s.AdvertiserTag, category)
	}
}

// active: the campaign runs from From until To.
func (j *judge) active(v *verdict, s *subject) bool {
	pass := j.now >= s.From && j.now < s.To
	if j.because != nil {
		check := Check{Rule: "active", From: s.From, Pass: pass}
		if s.To != math.MaxUint32 {
			check.To = s.To
		}
		j.because.add(check)
	}
	switch {
	case pass:
	case j.now < s.From:
		v.fail(Inactive, s.From-j.now)
	default:
		v.fail(Inactive, never)
	}
	return j.goOn(v)
}

// anonymous: without an identifier nothing can be counted, so only a contextual
// campaign is shown, and only where the policy says so.
func (j *judge) anonymous(v *verdict, s *subject) {
	pass := j.rules.NoIDShow && s.Purpose == policy.Contextual
	if j.because != nil {
		j.because.add(Check{Rule: "id", Pass: pass})
	}
	if !pass {
		v.fail(NoID, never)
	}
}

// hidden: the person hid this campaign or complained about it.
func (j *judge) hidden(v *verdict, s *subject) bool {
	stamp, _, hid := j.person.Choice(hideField(s.Tag))
	pass := !hid || j.now-uint32(stamp) > hideSeconds && j.now > uint32(stamp)
	if j.because != nil {
		check := Check{Rule: "hidden", Pass: pass, Within: "90d"}
		if hid {
			check.At = uint32(stamp)
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(Hidden, wait(j.now, uint32(stamp)+hideSeconds+1))
	}
	return j.goOn(v)
}

// suppressed: none of the campaign's lists may contain the person, and a list
// that has to be fresh must be.
func (j *judge) suppressed(v *verdict, s *subject) bool {
	for _, list := range s.Suppress {
		in := j.contains(list)
		if j.because != nil {
			j.because.add(Check{Rule: "list", List: j.rules.Lists[list].Name, Pass: !in})
		}
		if in {
			v.fail(Suppressed, never)
		}
	}
	for _, list := range s.Suppress {
		declared := &j.rules.Lists[list]
		if declared.MaxAge == 0 || declared.WhenStale != policy.StaleSkip {
			continue
		}
		uploaded := j.lists.Uploaded(j.rules.lists[list])
		pass := uploaded != 0 && wait(uploaded, j.now) <= declared.MaxAge
		if j.because != nil {
			j.because.add(Check{Rule: "list_age", List: declared.Name, Within: policy.Span(declared.MaxAge), Pass: pass})
		}
		if !pass {
			v.fail(StaleList, never)
		}
	}
	return j.goOn(v)
}

// contains asks a list once for each request, whatever the number of candidates
// and identifiers.
func (j *judge) contains(list int) bool {
	if m := j.member[list]; m != notAsked {
		return m == inside
	}
	m := outside
	for i := range j.probes {
		if j.lists.Contains(j.rules.lists[list], &j.probes[i]) {
			m = inside
			break
		}
	}
	j.member[list] = m
	return m == inside
}

// purchased: not what the person bought already, item, category and advertiser
// each for its own time, from purchase events and from lists of orders.
func (j *judge) purchased(v *verdict, s *subject) bool {
	p := &s.Campaign.Purchased
	j.bought(v, "item", s.item, p.Item)
	j.bought(v, "category", s.category, p.Category)
	j.bought(v, "advertiser", s.AdvertiserTag, p.Advertiser)
	if s.item == 0 {
		return true
	}
	for _, list := range p.Lists {
		item := j.tags.TagBytes(identity.KindItem, j.rules.listTags[list], s.asked.Item)
		in := false
		for i := range j.probes {
			var order suppress.Probe
			order.Reset(suppress.ItemKey(j.probes[i].Key(), item))
			in = in || j.lists.Contains(j.rules.lists[list], &order)
		}
		if j.because != nil {
			j.because.add(Check{Rule: "purchased", Per: "item", List: j.rules.Lists[list].Name, Pass: !in})
		}
		if in {
			v.fail(Purchased, never)
		}
	}
	return j.goOn(v)
}

func (j *judge) bought(v *verdict, per string, tag uint64, within uint32) {
	if tag == 0 || within == 0 {
		return
	}
	at, bought := j.person.Purchase(tag)
	free := uint32(at) + within + 1
	pass := !bought || j.now >= free
	if j.because != nil {
		check := Check{Rule: "purchased", Per: per, Within: policy.Span(within), Pass: pass}
		if bought {
			check.At = uint32(at)
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(Purchased, free-j.now)
	}
}

// spacing: the least time between two showings of a campaign. The ads of one
// answer are one moment and do not stand in each other's way here.
func (j *judge) spacing(v *verdict, s *subject) bool {
	if s.Spacing == 0 {
		return true
	}
	newest, seen := j.person.Newest(s.Tag)
	free := uint32(newest) + s.Spacing
	pass := !seen || j.now >= free
	if j.because != nil {
		check := Check{Rule: "spacing", Per: "campaign", Within: policy.Span(s.Spacing), Pass: pass}
		if seen {
			check.At = uint32(newest)
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(Spacing, free-j.now)
	}
	return j.goOn(v)
}

// caps: all of them must have room.
func (j *judge) caps(v *verdict, s *subject) bool {
	for i := range s.Caps {
		limit := &s.Caps[i]
		scope := &s.Scopes[limit.Scope]
		tag := s.scopeTag(scope, j.tags, j.channel)
		if tag == 0 {
			continue
		}
		n := int(limit.Limit)
		if scope.Per == policy.PerCampaign || scope.Per == policy.PerItem {
			n = s.fading.scale(n)
		}
		window := j.window(limit.Window)
		if j.because == nil && !j.person.Full(tag, n, window.Since) {
			continue
		}
		u := j.person.Usage(tag, n, window)
		pass := u.Count < n && !u.Unknown
		if j.because != nil {
			j.because.add(Check{
				Rule: "cap", Per: limit.Per, Channel: scope.Channel, Within: limit.Within,
				Limit: n, Count: &u.Count, Unknown: u.Unknown && u.Count < n, Pass: pass,
			})
		}
		if !pass {
			v.fail(Cap, wait(j.now, uint32(u.Free)))
		}
	}
	return j.goOn(v)
}

// scopeTag returns what a scope of the campaign is for this subject in a channel;
// 0 where it does not fall under it: it names no creative, item or category, or
// the scope is another channel's.
func (s *subject) scopeTag(scope *policy.Scope, tags *identity.Tags, channel []byte) uint64 {
	if scope.Channel != "" && scope.Channel != string(channel) {
		return 0
	}
	var base uint64
	switch scope.Per {
	case policy.PerCreative:
		base = s.creative
	case policy.PerItem:
		base = s.item
	case policy.PerCategory:
		base = s.category
	case policy.PerRun:
		base = s.run
	default:
		return scope.Tag
	}
	if base != 0 && scope.Channel != "" {
		base = tags.Tag(identity.KindChannel, base, scope.Channel)
	}
	return base
}

// appendScopes appends what a showing of the subject is counted under.
func (s *subject) appendScopes(dst []caps.Counted, tags *identity.Tags, channel []byte) []caps.Counted {
	for i := range s.Scopes {
		if tag := s.scopeTag(&s.Scopes[i], tags, channel); tag != 0 {
			dst = append(dst, caps.Counted{Scope: tag, Keep: s.Scopes[i].Keep})
		}
	}
	return dst
}

// diversity: a creative at most n times in a row within its campaign.
func (j *judge) diversity(v *verdict, s *subject) bool {
	if s.Diversity == 0 || s.CreativeScope < 0 {
		return true
	}
	creative := s.scopeTag(&s.Scopes[s.CreativeScope], j.tags, j.channel)
	if creative == 0 {
		return true
	}
	pass := !j.person.Run(s.Tag, creative, s.Diversity)
	if j.because != nil {
		j.because.add(Check{Rule: "diversity", Per: "creative", Limit: s.Diversity, Pass: pass})
	}
	if !pass {
		v.fail(Diversity, never)
	}
	return j.goOn(v)
}

// window is the time a cap looks at, now.
func (j *judge) window(w policy.Window) caps.Window {
	m := &j.moment
	switch w.Kind {
	case policy.Rolling:
		return caps.Window{Since: caps.Second(j.now - min(j.now, w.Seconds)), Span: w.Seconds}
	case policy.Day:
		return caps.Window{Since: caps.Second(m.Day), Next: caps.Second(m.NextDay)}
	case policy.Week:
		return caps.Window{Since: caps.Second(m.Week), Next: caps.Second(m.NextWeek)}
	case policy.Month:
		return caps.Window{Since: caps.Second(m.Month), Next: caps.Second(m.NextMonth)}
	}
	return caps.Window{} // as long as the retention
}

// wait is how long from now until free, at least a second.
func wait(now, free uint32) uint32 {
	if free <= now {
		return 1
	}
	return free - now
}
