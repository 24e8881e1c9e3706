package edge

import (
	"cmp"
	"fmt"
	"slices"

	"restraint/caps"
	"restraint/edge/policy"
)

// everything is all that is held about a person's identifiers. Times are Unix seconds,
// newest first.
type everything struct {
	Now         uint32 `json:"now"`
	Identifiers int    `json:"identifiers"` // asked about
	// Held: anything at all is held. What only remembers an erasure, and the opt-out
	// that it left, is.
	Held            bool             `json:"held"`
	Exposures       []heldExposures  `json:"exposures"`
	Holds           []heldPlaces     `json:"holds"`
	Purchases       []heldPurchase   `json:"purchases"`
	Preferences     preferences      `json:"preferences"`
	HiddenCampaigns []hiddenCampaign `json:"hidden_campaigns"`
	Reports         []heldReport     `json:"reports"`
	Lists           []heldList       `json:"lists"`
	// NotSearched are lists of which it cannot be said whether the person is on them.
	NotSearched []heldList `json:"not_searched"`
	// ErasedUntil: what has a second up to it is forgotten.
	ErasedUntil uint32 `json:"erased_until,omitempty"`
	// DroppedUntil: older history went for want of memory, and counts as full.
	DroppedUntil uint32 `json:"dropped_until,omitempty"`
	// KeptSeconds is how long the exposures are kept at most, where some of them were shown
	// in a market with a retention of its own: of the shortest.
	KeptSeconds uint32 `json:"kept_seconds,omitempty"`
}

// heldScope is what something is counted under, by the names of the policy in force. What it
// does not name (a creative, an item, a category, what an earlier policy had) has the tag
// of one record only.
type heldScope struct {
	Per     string `json:"per"`
	Name    string `json:"name,omitempty"`
	Channel string `json:"channel,omitempty"`
	Tag     string `json:"tag,omitempty"`
}

type heldExposures struct {
	heldScope
	At           []uint32 `json:"at"`
	DroppedUntil uint32   `json:"dropped_until,omitempty"`
}

type heldPlaces struct {
	heldScope
	Since uint32 `json:"since,omitempty"`
	Until uint32 `json:"until"`
}

type heldPurchase struct {
	heldScope
	Bought   uint32 `json:"bought,omitempty"`
	Returned uint32 `json:"returned,omitempty"`
}

type hiddenCampaign struct {
	Campaign string `json:"campaign,omitempty"`
	Tag      string `json:"tag,omitempty"` // of one that the policy in force does not have
	At       uint32 `json:"at"`
	Until    uint32 `json:"until"`
}

// per of what the policy does not name.
const otherScope = "other"

// everything gathers what is held about the keys, of all lists too.
func (n *Node) everything(q *inquiry) *everything {
	rules, held := n.rules.Load(), n.held(q.keys, q.now)
	e := &everything{
		Now: q.now, Identifiers: len(q.keys), Exposures: []heldExposures{}, Holds: []heldPlaces{}, Purchases: []heldPurchase{},
		HiddenCampaigns: []hiddenCampaign{}, Reports: []heldReport{}, Lists: []heldList{}, NotSearched: []heldList{},
	}
	names := scopeNames(rules, q.keys, held)
	e.addExposures(held, names)
	e.addPurchases(held, advertiserNames(rules))
	have, choiceNames := choicesOf(held), rules.choiceNames()
	e.Preferences = have.preferences(choiceNames, q.now)
	e.addHidden(have, choiceNames)
	for i := range held {
		e.ErasedUntil = max(e.ErasedUntil, uint32(held[i].Erased))
		e.DroppedUntil = max(e.DroppedUntil, uint32(held[i].Cut))
		if own := held[i].Retention.Seconds(); own != 0 && own < rules.Retention.Exposures && (e.KeptSeconds == 0 || own < e.KeptSeconds) {
			e.KeptSeconds = own
		}
	}
	n.addReports(e, rules, q.keys)
	n.addLists(e, rules, q.keys)
	p := &e.Preferences
	e.Held = len(e.Exposures)+len(e.Holds)+len(e.Purchases)+len(e.HiddenCampaigns)+len(e.Reports)+len(e.Lists)+len(p.HiddenAdvertisers)+len(p.HiddenTopics)+p.Unnamed != 0 ||
		!p.Personalisation || p.PauseUntil != 0 || e.ErasedUntil != 0 || e.DroppedUntil != 0
	return e
}

// ofRecord is a scope as one key's record names it.
type ofRecord struct {
	key int
	tag uint32
}

// namedScope is a scope with its name.
type namedScope struct {
	heldScope
	tag uint64
}

// scopeNames finds the names of what is counted in the records: of all scopes of the
// policy whose tag does not depend on the candidate, those that are held.
func scopeNames(r *rules, keys []caps.Key, held []caps.Held) map[ofRecord]namedScope {
	wanted := make(map[ofRecord]namedScope)
	for i := range held {
		for k := range held[i].Counters {
			wanted[ofRecord{i, held[i].Counters[k].Tag}] = namedScope{}
		}
		for k := range held[i].Holds {
			wanted[ofRecord{i, held[i].Holds[k].Tag}] = namedScope{}
		}
	}
	if len(wanted) == 0 {
		return wanted
	}
	for _, p := range r.policies() {
		nameScopes(wanted, p, keys)
	}
	return wanted
}

// nameScopes names what is wanted of the scopes of a policy.
func nameScopes(wanted map[ofRecord]namedScope, p *policy.Policy, keys []caps.Key) {
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		for k := range c.Scopes {
			s := &c.Scopes[k]
			if s.Tag == 0 {
				continue
			}
			for key := range keys {
				at := ofRecord{key, caps.TagOf(keys[key], s.Tag)}
				if old, found := wanted[at]; found && old.tag == 0 {
					wanted[at] = namedScope{nameScope(c, s), s.Tag}
				}
			}
		}
	}
}

func nameScope(c *policy.Campaign, s *policy.Scope) heldScope {
	named := heldScope{Per: s.Per.String(), Channel: s.Channel}
	switch s.Per {
	case policy.PerCampaign:
		named.Name = c.ID
	case policy.PerAdvertiser:
		named.Name = c.Advertiser
	case policy.PerGroup:
		named.Per, named.Name = "group", s.Name
	}
	return named
}

// addExposures unites named scopes over the identifiers by exposure, as the decision does;
// what has no name stands once for each record.
func (e *everything) addExposures(held []caps.Held, names map[ofRecord]namedScope) {
	at := make(map[uint64]int)                // in e.Exposures, by tag
	shown := make(map[uint64]map[uint32]bool) // identities, by tag
	for i := range held {
		for k := range held[i].Counters {
			c := &held[i].Counters[k]
			name := names[ofRecord{i, c.Tag}]
			where, again := at[name.tag]
			if name.tag == 0 || !again {
				where = len(e.Exposures)
				e.Exposures = append(e.Exposures, heldExposures{heldScope: nameHeld(name, c.Tag), At: []uint32{}})
				at[name.tag], shown[name.tag] = where, make(map[uint32]bool)
			}
			x := &e.Exposures[where]
			x.DroppedUntil = max(x.DroppedUntil, uint32(c.Cut))
			for _, exposure := range c.Exposures {
				if !shown[name.tag][exposure.Identity] {
					shown[name.tag][exposure.Identity] = true
					x.At = append(x.At, uint32(exposure.At))
				}
			}
		}
		for _, h := range held[i].Holds {
			place := heldPlaces{heldScope: nameHeld(names[ofRecord{i, h.Tag}], h.Tag), Since: uint32(h.Issued), Until: uint32(h.End)}
			if h.Tag == 0 {
				place.heldScope = heldScope{Per: "given_back"}
			}
			if !slices.Contains(e.Holds, place) {
				e.Holds = append(e.Holds, place)
			}
		}
	}
	for i := range e.Exposures {
		slices.SortFunc(e.Exposures[i].At, func(a, b uint32) int { return cmp.Compare(b, a) })
	}
	slices.SortStableFunc(e.Exposures, func(a, b heldExposures) int { return a.compare(b.heldScope) })
	slices.SortStableFunc(e.Holds, func(a, b heldPlaces) int { return a.compare(b.heldScope) })
}

func nameHeld(n namedScope, tag uint32) heldScope {
	if n.tag == 0 {
		return heldScope{Per: otherScope, Tag: fmt.Sprintf("%08x", tag)}
	}
	return n.heldScope
}

func (s heldScope) compare(b heldScope) int {
	return cmp.Or(cmp.Compare(s.Per, b.Per), cmp.Compare(s.Name, b.Name), cmp.Compare(s.Channel, b.Channel), cmp.Compare(s.Tag, b.Tag))
}

// advertiserNames are the advertisers of the policy by the tag of a purchase.
func advertiserNames(r *rules) map[uint64]string {
	names := make(map[uint64]string)
	for _, p := range r.policies() {
		for i := range p.Campaigns {
			names[p.Campaigns[i].AdvertiserTag&^1] = p.Campaigns[i].Advertiser
		}
	}
	return names
}

// addPurchases unites purchases by what they are of.
func (e *everything) addPurchases(held []caps.Held, advertisers map[uint64]string) {
	at := make(map[uint64]int)
	for i := range held {
		for _, p := range held[i].Purchases {
			where, again := at[p.Tag]
			if !again {
				where = len(e.Purchases)
				at[p.Tag] = where
				scope := heldScope{Per: "advertiser", Name: advertisers[p.Tag]}
				if scope.Name == "" {
					scope = heldScope{Per: otherScope, Tag: fmt.Sprintf("%016x", p.Tag)}
				}
				e.Purchases = append(e.Purchases, heldPurchase{heldScope: scope})
			}
			x := &e.Purchases[where]
			x.Bought, x.Returned = max(x.Bought, uint32(p.Bought)), max(x.Returned, uint32(p.Returned))
		}
	}
	slices.SortStableFunc(e.Purchases, func(a, b heldPurchase) int { return a.compare(b.heldScope) })
}

// addHidden adds the campaigns that are hidden.
func (e *everything) addHidden(have *chosen, names map[uint64]string) {
	for _, field := range have.fields {
		if kindOfField(field) != chosenCampaign || have.is(field) == 0 {
			continue
		}
		stamp := uint32(have.by[field].Stamp)
		h := hiddenCampaign{Campaign: names[field], At: stamp, Until: uint32(later(caps.Second(stamp), caps.PassingRetention+1))}
		if h.Campaign == "" {
			h.Tag = fmt.Sprintf("%016x", field)
		}
		e.HiddenCampaigns = append(e.HiddenCampaigns, h)
	}
	slices.SortFunc(e.HiddenCampaigns, func(a, b hiddenCampaign) int {
		return cmp.Or(cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Tag, b.Tag))
	})
}
