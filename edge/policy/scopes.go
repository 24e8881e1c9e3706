package policy

import (
	"cmp"
	"slices"
)

// kept is what a scope that some cap reads has to keep.
type kept struct {
	per     Per
	channel string
	limit   uint8
}

// reads are the scopes that anything reads, by what brings a campaign under
// them. A campaign's own scopes are not among them: no other campaign reads
// those.
type reads struct {
	advertisers map[string][]kept // PerAdvertiser, PerCreative, PerItem, PerCategory
	groups      map[string][]kept
	all         []kept
	own         map[string][]kept // PerCampaign and PerRun, from earlier versions
}

// reads gathers the largest limits of all caps by scope.
func (src *Source) reads() *reads {
	r := &reads{advertisers: map[string][]kept{}, groups: map[string][]kept{}, own: map[string][]kept{}}
	for i := range src.campaigns {
		w := &src.campaigns[i]
		for j := range w.caps {
			if c := &w.caps[j]; c.per != PerCampaign {
				r.add(c.scope(w), c.limit)
			}
		}
	}
	return r
}

// add notes that a scope is read with a limit.
func (r *reads) add(s ScopeName, limit uint8) {
	switch s.Per {
	case PerAll:
		r.all = raise(r.all, s, limit)
	case PerGroup:
		r.groups[s.Name] = raise(r.groups[s.Name], s, limit)
	case PerCampaign, PerRun:
		r.own[s.Name] = raise(r.own[s.Name], s, limit)
	default:
		r.advertisers[s.Name] = raise(r.advertisers[s.Name], s, limit)
	}
}

func raise(all []kept, s ScopeName, limit uint8) []kept {
	for i := range all {
		if all[i].per == s.Per && all[i].channel == s.Channel {
			all[i].limit = max(all[i].limit, limit)
			return all
		}
	}
	if len(all) >= maxHeldScopes { // over maxScopes, which Parse refuses
		return all
	}
	return append(all, kept{s.Per, s.Channel, limit})
}

// namedScope is a scope of a campaign before it has its tag.
type namedScope struct {
	ScopeName
	keep uint8
}

// ownScopes are the scopes that no other campaign reads.
func (w *written) ownScopes() []kept {
	own := raise(nil, ScopeName{Per: PerCampaign}, uint8(max(1, w.Diversity)))
	if w.Diversity > 0 {
		own = raise(own, ScopeName{Per: PerRun}, uint8(w.Diversity))
	}
	for i := range w.caps {
		if c := &w.caps[i]; c.per == PerCampaign {
			own = raise(own, c.scope(w), c.limit)
		}
	}
	return own
}

// scopesOf returns everything that a showing of the campaign is counted under,
// the campaign's own scope first, then in a fixed order.
func (r *reads) scopesOf(w *written) []namedScope {
	own := w.ownScopes()
	for _, k := range r.own[w.ID] {
		own = raise(own, ScopeName{Per: k.per, Channel: k.channel}, k.limit)
	}
	all := named(nil, w.ID, own)
	all = named(all, w.Advertiser, r.advertisers[w.Advertiser])
	for _, g := range w.Groups {
		all = named(all, g, r.groups[g])
	}
	all = named(all, "", r.all)
	slices.SortFunc(all, func(a, b namedScope) int { return a.compare(b.ScopeName) })
	return all
}

// named appends scopes under their name.
func named(all []namedScope, name string, from []kept) []namedScope {
	for _, k := range from {
		all = append(all, namedScope{ScopeName{k.per, name, k.channel}, k.limit})
	}
	return all
}

func (s namedScope) compare(b ScopeName) int { return s.ScopeName.compare(b) }

// compare orders scopes; the campaign's own, in all channels, is the first.
func (s ScopeName) compare(b ScopeName) int {
	return cmp.Or(cmp.Compare(s.Per, b.Per), cmp.Compare(s.Channel, b.Channel), cmp.Compare(s.Name, b.Name))
}
