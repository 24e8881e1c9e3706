package edge

import (
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"

	"restraint/edge/identity"
	"restraint/edge/policy"
)

// rules is one policy version in the form that the decision walks. Immutable, but for
// dials.
type rules struct {
	*policy.Policy
	campaign identity.Namespace // of campaigns' names
	index    []slot             // of campaigns by tag: a power of two, at most a quarter full
	plans    []plan             // by Campaign.Index
	shown    []string           // by Campaign.Index: the whole decision that shows it, see appendShown
	limits   []limit            // of all campaigns, those of one together
	sets     [][]int            // of lists that a campaign suppresses, by indexes of Policy.Lists; no two alike
	channels map[string]uint16  // that a cap names, numbered from 1
	lists    []int              // by index of Policy.Lists: where the list stands in the suppress store
	listTags []uint64           // likewise: the namespace of a list's items
	settles  bool               // there is something to settle: see judge.settle
	optOuts  []int              // by indexes of Policy.Lists: the lists of opt-outs
	choices  []choiceFields     // by Campaign.Index; read only for people of whom refusals are held
	watched  []*watchedSource   // of which it is noted when a request brought them
	trial    *trial             // what is tried out beside this version, or is this version; nil: nothing
	lots     *identity.Lots

	dials   []atomic.Pointer[dial] // by Campaign.Index; nil: not dialled back. All else is immutable
	dialled *atomic.Int32          // how many of dials there are: mostly none, and nothing is read for each candidate
	lowered [256]uint8             // limits as dial_back lowers them

	tallies      ruleTallies
	advertised   map[uint64][]int // by tag of the advertiser: its campaigns
	markets      []market         // by index of Policy.Markets
	surroundings surroundings
	notBeside    [][]uint16 // by Campaign.Index: of surroundings
}

// plan is what is looked at of a campaign for every candidate, in 64 bytes: one
// line of memory. The rest, for the campaigns that have it, is in policy.Campaign.
type plan struct {
	tag uint64
	// Namespaces of the names that a candidate may have; 0 where no rule of the
	// campaign asks for the name.
	creative, item, category, run identity.Namespace

	from, length uint32 // it runs for so many seconds
	spacing      uint32
	limit        uint32 // the first of its limits in rules.limits
	set          uint32 // in rules.sets: its lists
	limits       uint8
	further      further
}

// further are the rules that not every campaign has.
type further uint16

const (
	hasFreshLists further = 1 << iota // lists of which one must not be stale
	hasPurchased
	hasInterest
	hasDiversity
	hasExactLists // lists of which one is settled in its key file
	hasNotBeside
	isPersonal // it retargets, or uses a list
)

// limit is one cap, in 16 bytes.
type limit struct {
	tag     uint64 // of its scope; 0: that of the candidate's creative, item or category
	seconds uint32 // of a rolling window
	channel uint16 // number in rules.channels; 0: every channel
	most    uint8
	kind    uint8 // the window's kind, and above it what is counted
}

func kindOf(per policy.Per, window policy.WindowKind) uint8 { return uint8(per)<<4 | uint8(window) }

func (l *limit) per() policy.Per           { return policy.Per(l.kind >> 4) }
func (l *limit) window() policy.WindowKind { return policy.WindowKind(l.kind & 15) }

// slot is a place of the index of campaigns: open addressing, linear probing. Tags
// are keyed, so nobody can choose names that fall into one place. Two names share a
// tag once in 2^64, as the counters take for granted too; so names are not compared.
type slot struct {
	tag      uint64 // 0: empty
	campaign uint32
}

// find returns the index of the campaign with a tag, or -1.
func (r *rules) find(tag uint64) int {
	for i := tag; ; i++ {
		s := &r.index[i&uint64(len(r.index)-1)]
		if s.tag == tag {
			return int(s.campaign)
		}
		if s.tag == 0 {
			return -1
		}
	}
}

func (r *rules) put(tag uint64, campaign int) {
	for i := tag; ; i++ {
		s := &r.index[i&uint64(len(r.index)-1)]
		if s.tag == 0 {
			*s = slot{tag, uint32(campaign)}
			return
		}
	}
}

// newRules makes a compiled policy ready for decisions.
func newRules(p *policy.Policy, tags *identity.Tags) *rules {
	r := &rules{Policy: p, plans: make([]plan, len(p.Campaigns)), shown: make([]string, len(p.Campaigns)), channels: make(map[string]uint16), advertised: make(map[uint64][]int)}
	r.campaign, r.choices = tags.Namespace(identity.KindCampaign, 0), newChoiceFields(p, tags)
	r.optOuts = p.OptOuts()
	r.settles = len(r.optOuts) > 0
	r.index = make([]slot, 1<<bits.Len(uint(4*len(p.Campaigns)+1)))
	r.notBeside = make([][]uint16, len(p.Campaigns))
	sets := make(map[string]uint32)
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		r.put(c.Tag, i)
		r.shown[i] = string(appendShown(nil, []byte(c.ID)))
		r.advertised[c.AdvertiserTag] = append(r.advertised[c.AdvertiserTag], i)
		r.plans[i] = plan{
			tag: c.Tag, from: c.From, length: c.To - min(c.From, c.To), spacing: c.Spacing,
			limit: uint32(len(r.limits)), limits: uint8(len(c.Caps)), set: r.set(sets, c.Suppress), further: furtherOf(p, c),
		}
		r.settles = r.settles || r.plans[i].further&hasExactLists != 0
		r.plans[i].nameSpaces(c, tags)
		for _, category := range c.NotBeside {
			r.notBeside[i] = append(r.notBeside[i], r.surroundings.number(category))
		}
		for k := range c.Caps {
			r.limits = append(r.limits, r.newLimit(c, &c.Caps[k]))
		}
	}
	r.newMarkets()
	r.newDials()
	r.tallies = newRuleTallies(r)
	return r
}

// set returns the index of a set of lists, which known has under its text.
func (r *rules) set(known map[string]uint32, lists []int) uint32 {
	text := fmt.Sprint(lists)
	i, found := known[text]
	if !found {
		i = uint32(len(r.sets))
		known[text] = i
		r.sets = append(r.sets, lists)
	}
	return i
}

func furtherOf(p *policy.Policy, c *policy.Campaign) (f further) {
	for _, list := range c.Suppress {
		if l := &p.Lists[list]; l.MaxAge != 0 && l.WhenStale == policy.StaleSkip {
			f |= hasFreshLists
		}
	}
	exact := func(list int) bool { return p.Lists[list].Exact }
	if slices.ContainsFunc(c.Suppress, exact) || slices.ContainsFunc(c.Purchased.Lists, exact) {
		f |= hasExactLists
	}
	if b := &c.Purchased; b.Item > 0 || b.Category > 0 || b.Advertiser > 0 || len(b.Lists) > 0 {
		f |= hasPurchased
	}
	if c.Interest.Set {
		f |= hasInterest
	}
	if len(c.NotBeside) > 0 {
		f |= hasNotBeside
	}
	if c.Purpose == policy.Retargeting || len(c.Suppress)+len(c.Purchased.Lists) > 0 {
		f |= isPersonal
	}
	if c.Diversity > 0 && c.CreativeScope >= 0 {
		f |= hasDiversity
	}
	return f
}

// nameSpaces sets the namespaces of the names that scopes and rules ask for.
func (l *plan) nameSpaces(c *policy.Campaign, tags *identity.Tags) {
	for i := range c.Scopes {
		switch s := &c.Scopes[i]; s.Per {
		case policy.PerCreative:
			l.creative = tags.Namespace(identity.KindCreative, s.Base)
		case policy.PerItem:
			l.item = tags.Namespace(identity.KindItem, s.Base)
		case policy.PerCategory:
			l.category = tags.Namespace(identity.KindCategory, s.Base)
		case policy.PerRun:
			l.run = tags.Namespace(identity.KindCreative, s.Base)
		}
	}
	if c.Purchased.Item > 0 {
		l.item = tags.Namespace(identity.KindItem, c.AdvertiserTag)
	}
	if c.Purchased.Category > 0 {
		l.category = tags.Namespace(identity.KindCategory, c.AdvertiserTag)
	}
}

func (r *rules) newLimit(c *policy.Campaign, limited *policy.Cap) limit {
	scope := &c.Scopes[limited.Scope]
	return limit{
		tag: scope.Tag, most: limited.Limit, kind: kindOf(scope.Per, limited.Window.Kind),
		seconds: limited.Window.Seconds, channel: r.channel(scope.Channel),
	}
}

// channel returns the number of a channel, which it has from the first cap that
// names it; 0 for none.
func (r *rules) channel(name string) uint16 {
	if name == "" {
		return 0
	}
	if r.channels[name] == 0 {
		r.channels[name] = uint16(len(r.channels)) + 1 // at most policy.MaxChannels
	}
	return r.channels[name]
}

// scopeOf is the scope of a campaign's i-th cap.
func (r *rules) scopeOf(c *policy.Campaign, i int) *policy.Scope {
	return &c.Scopes[c.Caps[i].Scope]
}
