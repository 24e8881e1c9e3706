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
	channel uint16       // number in rules.channels
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
	plan                     *plan
	asked                    *openrtb.Candidate
	creative, item, category uint64 // the advertiser's own; 0: none named, or no rule asks
	run                      uint64 // the creative within this campaign, likewise
	fading                   fading
}

// one judges a single candidate. It sets s, and of v what is not zero.
func (j *judge) one(c *openrtb.Candidate, s *subject, v *verdict) {
	s.asked = c
	if !s.find(j.rules, j.rules.campaign.Tag(c.Campaign)) {
		v.fail(UnknownCampaign, never)
		if j.because != nil {
			j.because.add(Check{Rule: "campaign", Campaign: string(c.Campaign)})
		}
		return
	}
	s.tagNames(c.Creative, c.Item, c.Category)
	s.fading = fading{}

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

// find sets the campaign with a tag; false when the policy has none.
func (s *subject) find(r *rules, tag uint64) bool {
	i := r.find(tag)
	if i < 0 {
		return false
	}
	s.Campaign, s.plan = &r.Campaigns[i], &r.plans[i]
	return true
}

// goOn says whether there is anything left to find out: a rule that can never
// pass by itself ends the judging, unless the whole list of checks is wanted.
func (j *judge) goOn(v *verdict) bool { return !v.stuck || j.because != nil }

// tagNames sets the tags of what the candidate, or an event, names.
func (s *subject) tagNames(creative, item, category []byte) {
	s.creative, s.run, s.item, s.category = 0, 0, 0, 0
	if len(creative) > 0 {
		if s.plan.creative != 0 {
			s.creative = s.plan.creative.Tag(creative)
		}
		if s.plan.run != 0 {
			s.run = s.plan.run.Tag(creative)
		}
	}
	if len(item) > 0 && s.plan.item != 0 {
		s.item = s.plan.item.Tag(item)
	}
	if len(category) > 0 && s.plan.category != 0 {
		s.category = s.plan.category.Tag(category)
	}
}

// named is the tag under which what the candidate names is counted; 0 when it
// names nothing of the kind.
func (s *subject) named(per policy.Per) uint64 {
	switch per {
	case policy.PerCreative:
		return s.creative
	case policy.PerItem:
		return s.item
	case policy.PerCategory:
		return s.category
	case policy.PerRun:
		return s.run
	}
	return 0
}

// active: the campaign runs from From until To.
func (j *judge) active(v *verdict, s *subject) bool {
	pass := j.now >= s.plan.from && j.now < s.plan.to
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
	stamp, _, hid := j.person.Choice(hideField(s.plan.tag))
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
	lists := j.rules.suppress[s.plan.list:]
	lists = lists[1:][:lists[0]]
	for _, list := range lists {
		in := j.contains(int(list))
		if j.because != nil {
			j.because.add(Check{Rule: "list", List: j.rules.Lists[list].Name, Pass: !in})
		}
		if in {
			v.fail(Suppressed, never)
		}
	}
	if s.plan.further&hasFreshLists == 0 {
		return j.goOn(v)
	}
	for _, list := range lists {
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
	if s.plan.further&hasPurchased == 0 {
		return true
	}
	p := &s.Campaign.Purchased
	j.bought(v, "item", s.item, p.Item)
	j.bought(v, "category", s.category, p.Category)
	j.bought(v, "advertiser", s.AdvertiserTag, p.Advertiser)
	if len(s.asked.Item) == 0 {
		return j.goOn(v)
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
	if s.plan.spacing == 0 || j.person.Unseen(s.plan.tag) && j.because == nil {
		return true
	}
	newest, seen := j.person.Newest(s.plan.tag)
	free := uint32(newest) + s.plan.spacing
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
	limits := j.rules.limits[s.plan.limit:][:s.plan.limits]
	for i := range limits {
		l := &limits[i]
		if l.channel != 0 && l.channel != j.channel {
			continue
		}
		tag := l.tag
		if tag == 0 {
			tag = s.named(l.per())
			if l.channel != 0 {
				tag = inChannel(j.tags, tag, j.rules.scopeOf(s.Campaign, i).Channel)
			}
			if tag == 0 {
				continue
			}
		}
		most := int(l.most)
		if s.fading.den != 0 && (l.per() == policy.PerCampaign || l.per() == policy.PerItem) {
			most = s.fading.scale(most)
		}
		if j.because != nil {
			j.explainCap(s, i, tag, most)
		}
		if j.person.Unseen(tag) {
			continue
		}
		if free := j.person.Free(tag, most, j.window(l)); free != 0 {
			v.fail(Cap, wait(j.now, uint32(free)))
		}
	}
	return j.goOn(v)
}

// explainCap notes how far a cap is used up.
func (j *judge) explainCap(s *subject, i int, tag uint64, most int) {
	u := j.person.Usage(tag, most, j.window(&j.rules.limits[int(s.plan.limit)+i]))
	written := &s.Caps[i]
	j.because.add(Check{
		Rule: "cap", Per: written.Per, Channel: s.Scopes[written.Scope].Channel, Within: written.Within,
		Limit: most, Count: &u.Count, Unknown: u.Unknown && u.Count < most, Pass: u.Free == 0,
	})
}

// appendScopes appends what a showing of the subject in a channel is counted
// under: every scope of its campaign, but for those of other channels and of names
// that it does not have.
func (s *subject) appendScopes(dst []caps.Counted, tags *identity.Tags, channel []byte) []caps.Counted {
	for i := range s.Scopes {
		scope := &s.Scopes[i]
		if scope.Channel != "" && scope.Channel != string(channel) {
			continue
		}
		tag := scope.Tag
		if tag == 0 {
			tag = inChannel(tags, s.named(scope.Per), scope.Channel)
		}
		if tag != 0 {
			dst = append(dst, caps.Counted{Scope: tag, Keep: scope.Keep})
		}
	}
	return dst
}

// inChannel is the scope of a name in one channel, or in all for "".
func inChannel(tags *identity.Tags, tag uint64, channel string) uint64 {
	if tag == 0 || channel == "" {
		return tag
	}
	return tags.Tag(identity.KindChannel, tag, channel)
}

// diversity: a creative at most n times in a row within its campaign.
func (j *judge) diversity(v *verdict, s *subject) bool {
	if s.plan.further&hasDiversity == 0 || s.run == 0 {
		return true
	}
	pass := !j.person.Run(s.plan.tag, s.run, s.Diversity)
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

// wait is how long from now until free, at least a second.
func wait(now, free uint32) uint32 {
	if free <= now {
		return 1
	}
	return free - now
}
