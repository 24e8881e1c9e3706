package edge

import (
	"unsafe"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
	"restraint/suppress"
)

// maxKeys is how many identifiers of a person are used; further ones, in the
// policy's order of sources, are left out and counted.
const maxKeys = 16

// exchange is what answering one request needs, kept from request to request so
// that the hot path allocates nothing. It belongs to one request at a time.
type exchange struct {
	body []byte // as read from the wire; req and event alias it
	hand inHand // what it takes
	out  []byte // the answer
	req  openrtb.Request

	keys      []caps.Key
	canonical []byte // scratch of identify
	probes    []suppress.Probe
	person    caps.Person
	judge     judge
	subject   subject
	grant     identity.Grant
	token     []byte
	counted   []caps.Counted // scratch of take
	kept      []keptPlace    // places that the answer holds
	holds     []caps.Change  // scratch of tellHolds

	arm     Arm    // of the person of this request
	trial   *trial // what is tried out, in whatever arm; nil: nothing
	part    uint8  // of all people, or nobodysPart
	sorts   bool   // somebody asks which of the keys is the primary one: it is to be the first
	outside bool   // it is a load test's, and stands outside all counts of what happened
	stripe  uint32 // of the tables in which it counts

	withheld  bool // the caller may not see reasons
	explain   bool
	explained []explanation // one for each verdict, when explain

	event   openrtb.Event
	reports []report
	changes []caps.Change // what the reports come to
	spans   spans
}

// identify turns the request's identifiers into at most maxKeys user keys, in
// the policy's order of sources, and returns how many were left out: those beyond
// maxKeys, and what is no identifier of its source (an email that is not hashed). With
// x.sorts the first is the primary one.
//
// watched are the sources of which it is noted that they were brought at now; nil
// notes nothing.
func (n *Node) identify(x *exchange, dst []caps.Key, ids []openrtb.Identifier, p *policy.Policy, watched []*watchedSource, now uint32) (keys []caps.Key, dropped int) {
	if len(ids) > maxKeys {
		sortByRank(ids, p)
	}
	from := len(dst)
	var most primary
	for i := range ids {
		if len(dst)-from == maxKeys {
			return dst, dropped + len(ids) - i
		}
		source := lent(ids[i].Source)
		id, err := suppress.Canonical(x.canonical[:0], source, ids[i].ID)
		if err != nil {
			dropped++
			continue
		}
		x.canonical = id
		for _, w := range watched {
			if w.name == source {
				w.note(now)
				break
			}
		}
		x.outside = x.outside || source == loadSource
		dst = append(dst, n.hasher.Key(source, id))
		if x.sorts {
			most.first(dst[from:], p.Rank(ids[i].Source))
		}
	}
	return dst, dropped
}

// lent is b as a string for the length of a call that keeps nothing of it.
func lent(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// sortByRank orders identifiers by the policy's preference of sources, keeping
// the caller's order within one source. Few elements, nearly always in order.
func sortByRank(ids []openrtb.Identifier, p *policy.Policy) {
	for i := 1; i < len(ids); i++ {
		for k := i; k > 0 && p.Rank(ids[k].Source) < p.Rank(ids[k-1].Source); k-- {
			ids[k], ids[k-1] = ids[k-1], ids[k]
		}
	}
}

// decide judges the candidates of x.req at the second now, in the caller's order.
// With want it stops after so many that may be shown; those take their places
// among each other, and with hold keep them. What it decided is in
// x.judge.verdicts and, where a token was asked for, x.token.
//
// The person's records stay locked from the first candidate to the last place
// held: nobody else can take a place in between.
func (n *Node) decide(x *exchange, now uint32) {
	rules := n.rules.Load()
	var dropped int
	withToken := x.req.Token || x.req.Hold
	x.sorts = rules.sorts() || withToken // it stands for the person in what is reported by the token
	x.outside = false
	x.keys, dropped = n.identify(x, x.keys[:0], x.req.Identifiers, rules.Policy, rules.watched, now)
	n.metrics.identifiersDropped.Add(dropped + x.req.IdentifiersDropped)
	rules = x.sort(rules, x.keys)
	if rules.settles {
		x.begin(n, rules, now)
		x.judge.settle(x.req.Candidates)
	}
	x.grant.Nonce, x.grant.Shown, x.grant.Channel, x.grant.HeldSeconds = 0, x.grant.Shown[:0], x.grant.Channel[:0], 0
	if withToken {
		n.tokens.Begin(&x.grant, now)
		x.grant.Keys = append(x.grant.Keys[:0], x.keys...)
		if len(x.req.Channel) <= identity.MaxTokenChannel { // a longer one is no policy's
			x.grant.Channel = append(x.grant.Channel, x.req.Channel...)
		}
	}

	x.judgeLocked(n, rules, now)
	if len(x.kept) > 0 {
		x.tellHolds(n, now)
	}

	x.token = x.token[:0]
	if withToken {
		x.grant.Store, x.grant.Retention = x.keeps(), uint8(x.judge.market.own)
		x.grant.Market, x.grant.Uncounted = x.judge.market.token, x.outside
		x.token = n.tokens.Append(x.token, &x.grant)
	}
	n.count(x)
	if !x.outside {
		n.counting.tallies.count(x)
	}
}

// judgeLocked judges and takes places under the person's locks, which are let go
// whatever happens.
func (x *exchange) judgeLocked(n *Node, rules *rules, now uint32) {
	n.caps.Acquire(&x.person, x.keys, caps.Second(now))
	defer x.person.Unlock()
	if !rules.settles {
		x.begin(n, rules, now)
	}
	x.person.Load()
	x.judge.readChoices()
	x.judge.isPlain(x.explain)
	x.judgeAll(n)
	if x.req.Hold && x.keeps() {
		x.person.Hold(x.judge.market.own)
	}
}

// keeps reports whether anything of the person may be kept.
func (x *exchange) keeps() bool { return x.judge.permitted.Storage.Permitted() }

// begin sets the judge for a new request.
func (x *exchange) begin(n *Node, rules *rules, now uint32) {
	x.probes = x.probes[:0]
	for i := range x.keys {
		var p suppress.Probe
		p.Reset(x.keys[i])
		x.probes = append(x.probes, p)
	}
	j := &x.judge
	j.rules, j.lists, j.tags = rules, n.lists.View(), n.tags
	j.now, j.moment = now, rules.Moment(now)
	j.channel = rules.channels[lent(x.req.Channel)]
	j.where(&x.req)
	j.permits(n.consent, &x.req.Signals, x.explain)
	j.person, j.known, j.probes = &x.person, len(x.keys) > 0, x.probes
	j.holdout = x.arm == ArmHoldout
	j.member = cleared(j.member, len(rules.lists))
	j.outside = cleared(j.outside, len(rules.sets))
	j.verdicts = j.verdicts[:0]
	j.asked, j.outs = [16]asked{}, optOutLists{}
	j.because = nil
	x.kept, x.counted = x.kept[:0], x.counted[:0]
	x.explained = x.explained[:0]
	x.prefetchLists()
}

// prefetchLists has the processor fetch what the lists of the first candidate will be
// asked; its campaign's lists are nearly always those of the others.
func (x *exchange) prefetchLists() {
	j, asked := &x.judge, x.req.Candidates
	if len(asked) == 0 || len(x.probes) > maxPrefetched {
		return
	}
	at := j.rules.find(j.rules.campaign.Tag(asked[0].Campaign))
	if at < 0 {
		return
	}
	for _, list := range j.rules.sets[j.rules.plans[at].set] {
		for i := range x.probes {
			j.lists.Prefetch(j.rules.lists[list], &x.probes[i])
		}
	}
}

// maxPrefetched is how many identifiers are prefetched for: what a processor fetches
// at a time is bounded. Chosen.
const maxPrefetched = 4

// cleared is s with n zeros.
func cleared[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	clear(s[:n])
	return s[:n]
}

func (x *exchange) judgeAll(n *Node) {
	j := &x.judge
	want := x.req.Want
	left := want
	j.verdicts = cleared(j.verdicts, len(x.req.Candidates))
	for i := range x.req.Candidates {
		c := &x.req.Candidates[i]
		if x.explain {
			x.explained = append(x.explained, explanation{now: j.now, zone: j.rules.Zone})
			j.because = &x.explained[i]
		}
		v := &j.verdicts[i]
		j.one(c, &x.subject, v)
		if want == 0 || v.reason != Shown {
			continue
		}
		x.take(n, &x.subject)
		if left--; left == 0 {
			j.verdicts = j.verdicts[:i+1]
			return
		}
	}
}

// take gives the candidate its place among what this answer shows, so that the
// next one finds it taken. Candidates that are alike to the last name share one
// candidate tag and are told apart by their ordinal.
func (x *exchange) take(n *Node, s *subject) {
	c := s.asked
	candidate := n.tags.Candidate(c.Campaign, c.Creative, c.Item)
	ordinal := 0
	for i := range x.grant.Shown {
		if x.grant.Shown[i].Candidate == candidate {
			ordinal++
		}
	}
	x.grant.Shown = append(x.grant.Shown, identity.Shown{
		Campaign: identity.ShownCampaign(s.plan.tag), Candidate: candidate,
		Names: s.Names,
	})
	until := caps.Second(0)
	if x.req.Hold && x.keeps() {
		until = caps.Second(x.judge.now + s.Hold)
		x.grant.HeldSeconds = max(x.grant.HeldSeconds, uint16(s.Hold)) // a policy's hold is at most 2 h
	}
	place := identity.Place(x.grant.Nonce, candidate, ordinal)
	x.judge.asked = [16]asked{}
	from := len(x.counted)
	x.counted = s.appendScopes(x.counted, n.tags, x.req.Channel)
	x.person.Take(place, until, x.counted[from:])
	if until > 0 {
		x.kept = append(x.kept, keptPlace{place, until, span{from, len(x.counted)}})
	}
}

// keptPlace is a place that the answer holds.
type keptPlace struct {
	place  uint32
	until  caps.Second
	scopes span // of exchange.counted
}

// tellHolds tells the other nodes what this answer holds.
func (x *exchange) tellHolds(n *Node, now uint32) {
	x.holds = x.holds[:0]
	for _, h := range x.kept {
		x.holds = append(x.holds, caps.Change{
			Kind: caps.ChangeHold, Keys: x.keys, Now: caps.Second(now), Identity: h.place, Until: h.until, Scopes: x.counted[h.scopes.from:h.scopes.to],
			Retention: x.judge.market.own,
		})
	}
	n.metrics.holds.Add(len(x.holds))
	n.keeper.Hold(x.holds)
}
