package edge

import (
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
	"restraint/suppress"
)

// membership is what is known of one list within one request.
type membership uint8

const (
	notAsked membership = iota
	outside
	inside
	unknown // the list's files are damaged, or the policy changes at this moment
)

// suppressed: none of the campaign's lists may contain the person, and each has to
// be known, and fresh where the policy says so. Campaigns with the same lists have
// the same answer.
func (j *judge) suppressed(v *verdict, s *subject) bool {
	return j.because == nil && j.outside[s.plan.set] || j.listed(v, s)
}

func (j *judge) listed(v *verdict, s *subject) bool {
	lists := j.rules.sets[s.plan.set]
	stale := false
	for _, list := range lists {
		m := j.contains(list)
		stale = stale || m == unknown
		if j.because != nil {
			j.because.add(Check{Rule: "list", List: j.rules.Lists[list].Name, Filter: j.byFilter(list), Unknown: m == unknown, Pass: m != inside})
		}
		if m == inside {
			v.fail(Suppressed, never)
		}
	}
	if stale || s.plan.further&hasFreshLists != 0 {
		j.fresh(v, lists)
	}
	j.outside[s.plan.set] = !v.stuck
	return j.goOn(v)
}

// fresh: no list is older than the policy allows, and none is unknown.
func (j *judge) fresh(v *verdict, lists []int) {
	for _, list := range lists {
		declared := &j.rules.Lists[list]
		pass := !j.isStale(list)
		if j.because != nil {
			j.because.add(Check{
				Rule: "list_age", List: declared.Name, Within: policy.Span(declared.MaxAge),
				Unknown: j.contains(list) == unknown, Age: j.age(list), Pass: pass,
			})
		}
		if !pass {
			v.fail(StaleList, never)
		}
	}
}

// age is how old a list is of which the policy bounds that; 0: it never came, or may be
// of any age.
func (j *judge) age(list int) uint32 {
	declared, uploaded := &j.rules.Lists[list], j.lists.Uploaded(j.rules.lists[list])
	if declared.MaxAge == 0 || declared.WhenStale != policy.StaleSkip || uploaded == 0 {
		return 0
	}
	return wait(uploaded, j.now)
}

// isStale: the list is unknown, or older than the policy allows.
func (j *judge) isStale(list int) bool {
	if j.contains(list) == unknown {
		return true
	}
	declared := &j.rules.Lists[list]
	if declared.MaxAge == 0 || declared.WhenStale != policy.StaleSkip {
		return false
	}
	uploaded := j.lists.Uploaded(j.rules.lists[list])
	return uploaded == 0 || wait(uploaded, j.now) > declared.MaxAge
}

// byFilter: that the list has the person is what its filter says, and not settled.
func (j *judge) byFilter(list int) bool {
	return j.contains(list) == inside && !j.rules.Lists[list].Exact
}

// contains asks a list once for each request, whatever the number of candidates
// and identifiers.
func (j *judge) contains(list int) membership {
	if j.member[list] == notAsked {
		j.member[list] = j.ask(j.rules.lists[list], j.probes)
	}
	return j.member[list]
}

// ask looks for any of the keys in a list.
func (j *judge) ask(list int, probes []suppress.Probe) membership {
	if !j.lists.Trusted(list) {
		return unknown
	}
	for i := range probes {
		in := j.lists.Contains(list, &probes[i], j.now)
		if j.untilSample--; j.untilSample <= 0 {
			j.noteSample(list, probes[i].Key(), in)
		}
		if in {
			return inside
		}
	}
	return outside
}

// settle asks the lists of opt-outs, and the candidates' lists that are settled in
// their key files, before the person's records are locked, since that may wait for the
// disk. What a list of users says is kept; a list of orders is read again, then from
// the page cache.
func (j *judge) settle(candidates []openrtb.Candidate) {
	j.askOptOuts()
	var s subject
	for i := range candidates {
		c := &candidates[i]
		if s.find(j.rules, j.rules.campaign.Tag(c.Campaign)) < 0 || s.plan.further&hasExactLists == 0 {
			continue
		}
		for _, list := range s.Suppress {
			if j.rules.Lists[list].Exact {
				j.contains(list)
			}
		}
		for _, list := range s.Purchased.Lists {
			if j.rules.Lists[list].Exact && len(c.Item) > 0 {
				j.contained(list, c.Item)
			}
		}
	}
}

// purchased: not what the person bought already, item, category and advertiser
// each for its own time, from purchase events and from lists of orders.
func (j *judge) purchased(v *verdict, s *subject) bool {
	return s.plan.further&hasPurchased == 0 || j.owned(v, s)
}

func (j *judge) owned(v *verdict, s *subject) bool {
	p := &s.Campaign.Purchased
	j.bought(v, "item", s.Item, p.Item)
	j.bought(v, "category", s.Category, p.Category)
	j.bought(v, "advertiser", s.AdvertiserTag, p.Advertiser)
	if len(s.asked.Item) > 0 {
		for _, list := range p.Lists {
			j.ordered(v, s, list)
		}
	}
	return j.goOn(v)
}

// ordered: a list of orders must not say that the person bought the item.
func (j *judge) ordered(v *verdict, s *subject, list int) {
	m := j.contained(list, s.asked.Item)
	if j.because != nil {
		j.because.add(Check{
			Rule: "purchased", Per: "item", List: j.rules.Lists[list].Name,
			Filter: m == inside && !j.rules.Lists[list].Exact, Unknown: m == unknown, Pass: m == outside,
		})
	}
	if m != outside {
		v.fail(Purchased, never)
	}
}

// contained asks a list of orders for an item.
func (j *judge) contained(list int, item []byte) membership {
	tag := j.tags.TagBytes(identity.KindItem, j.rules.listTags[list], item)
	j.orders = j.orders[:0]
	for i := range j.probes {
		j.orders = append(j.orders, suppress.Probe{})
		j.orders[i].Reset(suppress.ItemKey(j.probes[i].Key(), tag))
	}
	return j.ask(j.rules.lists[list], j.orders)
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
