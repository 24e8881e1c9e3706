package policy

import (
	"fmt"
	"slices"
)

// CompileBoth makes two versions that are in force side by side, each for some of the
// people: tried for those on whom it is tried out, before for the others. Each comes
// out as Compile makes it, but that a showing under either is counted under every
// scope that either reads, and each scope keeps as many exposures as the larger limit
// of both asks for. So whichever of the two is for everybody afterwards finds every
// showing since, and a person whom some requests find under one version and some under
// the other is counted once.
//
// What the two ask of each other is not in Held: it lasts as long as both are in force.
// The two must be such that PilotFaults finds nothing.
func CompileBoth(before, tried *Source, b, t Options) (*Policy, *Policy) {
	b.beside, t.beside = tried.own(tried.reads()), before.own(before.reads())
	p, q := Compile(before, b), Compile(tried, t)
	for i := range p.Campaigns {
		if c := q.Campaign([]byte(p.Campaigns[i].ID)); c != nil {
			p.Campaigns[i].unite(c)
		}
	}
	return p, q
}

// unite has both forms of a campaign count under the same scopes: they differ in those
// of groups that only one of them is in.
func (c *Campaign) unite(other *Campaign) {
	mine := len(c.Scopes)
	c.take(other.Scopes)
	other.take(c.Scopes[:mine])
}

// take adds the scopes that c does not have.
func (c *Campaign) take(scopes []Scope) {
	for i := range scopes {
		if like := c.scopeLike(&scopes[i]); like == nil {
			c.Scopes = append(c.Scopes, scopes[i])
		} else {
			like.Keep = max(like.Keep, scopes[i].Keep)
		}
	}
}

// PilotFaults are why tried cannot be tried out on some people while before holds for
// the others: what is one for all of them, or what would be counted under two names.
// Their lines are 0.
func PilotFaults(before, tried *Policy) (faults Faults) {
	const all = "while a policy is tried out this is one for everybody: put it in force for everybody first, or leave it as it is"
	differs := func(key string, was, becomes any, mend string) {
		faults = append(faults, Fault{File: "pilot", Key: key, Detail: fmt.Sprintf("%v becomes %v: %s", was, becomes, mend)})
	}
	for i, now := range tried.Settings.facts() {
		switch was := before.Settings.facts()[i]; now.key {
		case "sources", "retention.exposures", "retention.purchases":
			if was.value != now.value {
				differs(now.key, was.value, now.value, all)
			}
		}
	}
	if was, now := before.shorter(), tried.shorter(); !slices.Equal(was, now) {
		differs("markets", list(was), list(now), all)
	}
	for i := range tried.Lists {
		now := &tried.Lists[i]
		at := slices.IndexFunc(before.Lists, func(l List) bool { return l.Name == now.Name })
		if at < 0 {
			continue
		}
		was := before.Lists[at].facts()
		for k, fact := range now.facts() {
			switch fact.key {
			case "kind", "id", "items", "filter", "exact":
				if was[k].value != fact.value {
					differs("lists."+pathKey(now.Name)+"."+fact.key, was[k].value, fact.value, all)
				}
			}
		}
	}
	for i := range tried.Campaigns {
		now := &tried.Campaigns[i]
		if was := before.Campaign([]byte(now.ID)); was != nil && was.Advertiser != now.Advertiser {
			differs("campaigns."+pathKey(now.ID)+".advertiser", quote(was.Advertiser), quote(now.Advertiser),
				"its items and purchases would be two advertisers' at once: give the new campaign another name, or put the policy in force for everybody")
		}
	}
	return faults
}

// shorter names the markets with a retention of their own.
func (p *Policy) shorter() (all []string) {
	for i := range p.Markets {
		if m := &p.Markets[i]; m.Retention != 0 {
			all = append(all, m.Name+" retention "+Span(m.Retention))
		}
	}
	return all
}
