package policy

import (
	"slices"

	"restraint/edge/identity"
)

// Tagger gives the tag of a name, as identity.Tags.Tag does.
type Tagger func(kind byte, namespace uint64, name string) uint64

// Options are what a compiled policy depends on besides its text. Nodes that
// compile the same text with the same options hold the same policy.
type Options struct {
	Tagger  Tagger
	Version int
	Now     uint32 // when this version was published; keeps that ended by then are dropped
	// Previous is the version that this one replaces at Now, if any; Held are
	// keeps to honour beside it: given Policy.Held of the version that was
	// compiled with Previous, a node that never saw Previous compiles the same.
	Previous *Policy
	Held     Keeps
	// beside are the scopes that a version in force at the same time reads.
	beside []namedScope
}

// Compile makes the form that the decision reads.
func Compile(src *Source, o Options) *Policy {
	p := &Policy{Version: o.Version, Settings: src.Settings}
	read := src.reads()
	p.own = src.own(read)
	held := o.Held
	if o.Previous != nil {
		held = held.Join(o.Previous.Keeps(o.Now))
	}
	for _, keep := range held.after(o.Now) {
		if i, found := slices.BinarySearchFunc(p.own, keep.ScopeName, namedScope.compare); !found || p.own[i].keep < keep.Limit {
			p.Held = append(p.Held, keep)
			read.add(keep.ScopeName, keep.Limit)
		}
	}
	for _, s := range o.beside {
		read.add(s.ScopeName, s.keep)
	}
	p.Campaigns = make([]Campaign, len(src.campaigns))
	p.index = newIndex(len(src.campaigns))
	p.places = newPlaces(src.Markets, src.Unknown)
	for i := range src.campaigns {
		w := &src.campaigns[i]
		p.Campaigns[i] = w.compile(i, read, o.Tagger)
		p.index[w.ID] = uint32(i)
	}
	return p
}

// own returns the scopes that this version reads, each once, sorted.
func (src *Source) own(read *reads) []namedScope {
	var all []namedScope
	for i := range src.campaigns {
		all = named(all, src.campaigns[i].ID, src.campaigns[i].ownScopes())
	}
	for name, k := range read.advertisers {
		all = named(all, name, k)
	}
	for name, k := range read.groups {
		all = named(all, name, k)
	}
	all = named(all, "", read.all)
	slices.SortFunc(all, func(a, b namedScope) int { return a.compare(b.ScopeName) })
	return all
}

func (w *written) compile(i int, read *reads, tag Tagger) Campaign {
	c := w.Campaign
	c.Index = i
	c.Tag = tag(identity.KindCampaign, 0, c.ID)
	c.AdvertiserTag = tag(identity.KindAdvertiser, 0, c.Advertiser)
	named := read.scopesOf(w)
	c.CreativeScope = -1
	c.Scopes = make([]Scope, len(named))
	for j, n := range named {
		c.Scopes[j] = c.scope(n, tag)
		if n.Per == PerRun && c.Diversity > 0 {
			c.CreativeScope = j
		}
	}
	c.Caps = make([]Cap, len(w.caps))
	for j := range w.caps {
		wc := &w.caps[j]
		at, _ := slices.BinarySearchFunc(named, wc.scope(w), namedScope.compare)
		c.Caps[j] = Cap{Scope: at, Per: wc.perText, Within: wc.withinRaw, Limit: wc.limit, Window: wc.window}
	}
	c.Suppress = indexes(w.suppress)
	c.Purchased.Lists = indexes(w.orders)
	return c
}

func indexes(refs []reference) []int {
	var all []int
	for _, r := range refs {
		all = append(all, r.index)
	}
	return all
}

// scope gives a named scope its tag, or the namespace of the candidate's name.
func (c *Campaign) scope(n namedScope, tag Tagger) Scope {
	s := Scope{Per: n.Per, Channel: n.Channel, Keep: n.keep, Base: c.AdvertiserTag}
	switch n.Per {
	case PerCampaign:
		s.Tag, s.Base = c.Tag, 0
	case PerAdvertiser:
		s.Tag, s.Base = c.AdvertiserTag, 0
	case PerGroup:
		s.Name, s.Base = n.Name, 0
		s.Tag = tag(identity.KindGroup, 0, n.Name)
	case PerAll:
		s.Tag, s.Base = tag(identity.KindAll, 0, ""), 0
	case PerRun:
		s.Base = c.Tag
	}
	if s.Tag != 0 && s.Channel != "" {
		s.Tag = tag(identity.KindChannel, s.Tag, s.Channel)
	}
	return s
}

// Of says which name of a candidate a scope is told apart by: its creative, item
// or category, as a Kind of package identity; 0 where Scope.Tag is final.
func (p Per) Of() byte {
	switch p {
	case PerCreative, PerRun:
		return identity.KindCreative
	case PerItem:
		return identity.KindItem
	case PerCategory:
		return identity.KindCategory
	}
	return 0
}

// UnknownScope is the scope of a campaign that the policy does not name: its own,
// keeping as much as a scope can, so that a policy that is a second late loses
// nothing. tag is the campaign's tag.
func UnknownScope(tag uint64) Scope {
	return Scope{Per: PerCampaign, Tag: tag, Keep: 255}
}
