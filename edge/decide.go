package edge

import (
	"math"

	"restraint/caps"
	"restraint/edge/consent"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
	"restraint/suppress"
)

// never is the wait of a rule that does not pass by itself.
const never = 0

// verdict is the judgement of one candidate.
type verdict struct {
	reason Reason
	// campaign is the candidate's in the policy, by Campaign.Index and 1 more; 0: unknown.
	campaign uint32
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
	holdout bool         // and is in the holdout
	refused bool         // something is held of what the person refused or bought, or a list of opt-outs has them
	own     ownChoices   // of what is held then
	outs    optOutLists
	probes  []suppress.Probe
	because *explanation // nil unless the caller asked why

	// plain: nothing that the request or the person says bears on any candidate, as
	// of nearly all; what is left to look at is what the campaign asks for.
	plain bool

	market     *market
	permitted  consent.Verdict // what the signals permit in this market
	forbidden  bool            // campaigns of some purpose are not
	signals    []consent.Check // what was looked at for it, when because is set
	beside     numbers         // of rules.surroundings: what the request is beside; empty: nothing that a rule names
	delicate   bool            // some of it is sensitive in this market
	quiet      uint32          // seconds left of the quiet hours, once quietKnown
	quietKnown bool
	offset     int32 // of the person's clock, in seconds, when hasOffset
	hasOffset  bool

	member   []membership     // by index of Policy.Lists
	outside  []bool           // by index of rules.sets: none of the lists speaks against the person
	asked    [16]asked        // by the upper bits of the tag; forgotten where a place is taken
	orders   []suppress.Probe // scratch of ordered
	verdicts []verdict

	untilSample int // keys that lists are asked for until one is sampled
	samples     [4]sampledAsk
	sampled     int
}

// subject is a candidate together with its campaign and its tags.
type subject struct {
	*policy.Campaign
	plan   *plan
	dial   *dial // nil: not dialled back
	asked  *openrtb.Candidate
	fading fading
	// Names are the tags of what it names: the advertiser's own, and the creative
	// within this campaign. 0: nothing named, or no rule asks.
	identity.Names
}

// one judges a single candidate. It sets s, and of v what is not zero.
func (j *judge) one(c *openrtb.Candidate, s *subject, v *verdict) {
	s.asked = c
	at := s.find(j.rules, j.rules.campaign.Tag(c.Campaign))
	if at < 0 {
		v.fail(UnknownCampaign, never)
		if j.because != nil {
			j.because.add(Check{Rule: "campaign", Campaign: string(c.Campaign)})
		}
		return
	}
	v.campaign = uint32(at) + 1
	s.tagNames(c.Creative, c.Item, c.Category)
	s.fading = fading{}

	if !j.active(v, s) {
		return
	}
	if j.plain && (s.plan.further&isPersonal == 0 || !j.market.maybeWord(c.Category)) {
		_ = j.suppressed(v, s) && j.purchased(v, s) && j.interest(v, s) && j.dialled(v, s) && j.spacing(v, s) && j.caps(v, s) && j.diversity(v, s) && j.heldOut(v, s)
		return
	}
	if !j.consented(v, s) {
		return
	}
	if !j.known {
		_ = j.anonymous(v, s) && j.sensitive(v, s) && j.notBeside(v, s) && j.precise(v, s) && j.interest(v, s) && j.dialled(v, s) && j.awake(v, s)
		return
	}
	// In the order of the reasons; each says whether to go on. Each is a test of what
	// needs no looking up, small enough to be inlined, before the rule itself.
	_ = j.choice(v, s) && j.sensitive(v, s) && j.notBeside(v, s) && j.precise(v, s) && j.suppressed(v, s) && j.heardOf(v, s) && j.purchased(v, s) &&
		j.interest(v, s) && j.dialled(v, s) && j.spacing(v, s) && j.caps(v, s) && j.diversity(v, s) && j.awake(v, s) && j.heldOut(v, s)
}

// isPlain sets plain, once everything that it rests on is known.
func (j *judge) isPlain(explain bool) {
	j.plain = !explain && j.known && !j.forbidden && !j.refused && !j.outs.stale && !j.delicate && len(j.beside) == 0 &&
		j.market.topics == nil && j.market.Precision == policy.PrecisionItem && j.market.QuietFrom == j.market.QuietTo
}

// find sets the campaign with a tag and returns its index; -1 when the policy has
// none.
func (s *subject) find(r *rules, tag uint64) int {
	i := r.find(tag)
	if i >= 0 {
		s.Campaign, s.plan, s.dial = &r.Campaigns[i], &r.plans[i], nil
		if r.dialled.Load() > 0 {
			s.dial = r.dials[i].Load()
		}
	}
	return i
}

// goOn says whether there is anything left to find out: a rule that can never
// pass by itself ends the judging, unless the whole list of checks is wanted.
func (j *judge) goOn(v *verdict) bool { return !v.stuck || j.because != nil }

// tagNames sets the tags of what the candidate, or an event, names.
func (s *subject) tagNames(creative, item, category []byte) {
	s.Names = identity.Names{}
	if len(creative) > 0 {
		if s.plan.creative != 0 {
			s.Creative = s.plan.creative.Tag(creative)
		}
		if s.plan.run != 0 {
			s.Run = s.plan.run.Tag(creative)
		}
	}
	if len(item) > 0 && s.plan.item != 0 {
		s.Item = s.plan.item.Tag(item)
	}
	if len(category) > 0 && s.plan.category != 0 {
		s.Category = s.plan.category.Tag(category)
	}
}

// named is the tag under which what the candidate names is counted; 0 when it
// names nothing of the kind.
func (s *subject) named(per policy.Per) uint64 {
	switch per {
	case policy.PerCreative:
		return s.Creative
	case policy.PerItem:
		return s.Item
	case policy.PerCategory:
		return s.Category
	case policy.PerRun:
		return s.Run
	}
	return 0
}

// active: the campaign runs from From until To.
func (j *judge) active(v *verdict, s *subject) bool {
	return j.because == nil && j.now-s.plan.from < s.plan.length || j.inactive(v, s)
}

func (j *judge) inactive(v *verdict, s *subject) bool {
	pass := j.now-s.plan.from < s.plan.length
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
// campaign is shown, and only where the policy says so. What needs no identifier
// still holds.
func (j *judge) anonymous(v *verdict, s *subject) bool {
	pass := j.rules.NoIDShow && s.Purpose == policy.Contextual
	if j.because != nil {
		j.because.add(Check{Rule: "id", Pass: pass})
	}
	if !pass {
		v.fail(NoID, never)
	}
	return j.goOn(v)
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

// wait is how long from now until free, at least a second.
func wait(now, free uint32) uint32 {
	if free <= now {
		return 1
	}
	return free - now
}
