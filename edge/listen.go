package edge

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"restraint/caps"
	"restraint/edge/openrtb"
	"restraint/edge/trust"
)

// Listening: what people report about campaigns becomes an element of the set that is
// kept beside the counters (trust.Book), and goes with them: through the outbox, to every
// node, into snapshots. Here it is decided what a report is the same as, who it is of and
// whether it weighs, once; those who hear of it go by that.

// said is what a report says about a campaign.
type said struct {
	kind     trust.Kind // 0: nothing
	campaign uint64
	id       uint64 // its identity; 0: by the person
	at       uint32
	someone  bool // it came with an identifier, whatever is left of it
}

// saidKinds are what events say.
var saidKinds = [openrtb.Feedback + 1]trust.Kind{openrtb.Hide: trust.Hide, openrtb.Complaint: trust.Complaint, openrtb.Feedback: trust.Helpful}

// says notes in r what the event says about the campaign with the tag, where it says
// anything. The token, if any, is open.
func (n *Node) says(x *exchange, r *report, e *openrtb.Event, campaign uint64) {
	kind := saidKinds[r.kind]
	if r.kind == openrtb.Feedback && string(e.Answer) == trust.Intrusive.String() {
		kind = trust.Intrusive
	}
	n.saysOf(x, r, e, kind, campaign)
}

// saysOf is says where the kind is known.
func (n *Node) saysOf(x *exchange, r *report, e *openrtb.Event, kind trust.Kind, campaign uint64) {
	if kind == 0 || campaign == 0 {
		return
	}
	if x.outside || x.grant.Uncounted {
		n.metrics.reportsUncounted.Inc()
		return
	}
	r.said = said{kind: kind, campaign: campaign, at: r.at, someone: r.keys.from < r.keys.to}
	switch {
	case len(e.ID) > 0:
		r.said.id = n.reports.Named(campaign, byte(kind), e.ID)
	case len(e.Token) > 0:
		r.said.id = n.reports.ByToken(campaign, byte(kind), x.grant.Nonce)
	}
}

// appendReports appends to x.changes what the reports say about campaigns. It is done
// after erasures were heeded: a token that stands for nobody any more says nothing.
func (x *exchange) appendReports(n *Node) {
	var seen shownHere
	for i := range x.reports {
		r := &x.reports[i]
		keys := x.spans.keys[r.keys.from:r.keys.to]
		if r.said.kind == 0 || len(keys) == 0 && r.said.someone {
			continue
		}
		kept := trust.Report{ID: r.said.id, At: r.said.at, Kind: r.said.kind}
		if len(keys) > 0 {
			day := trust.Day(r.said.at)
			kept.Person = n.reports.Person(r.said.campaign, day, keys[0])
			if kept.ID == 0 {
				kept.ID = n.reports.ByPerson(r.said.campaign, byte(r.said.kind), day, keys[0])
			}
			kept.Weighs = n.weighs(x, r, keys, &seen)
		}
		if kept.ID == 0 {
			kept.ID = 1 + rand.Uint64N(math.MaxUint64)
		}
		x.changes = append(x.changes, reportChange(r.said.campaign, &kept, caps.Second(r.now)))
	}
}

// weighs says whether a report weighs in a dial-back: a hide or a complaint of somebody
// who was shown the campaign and has not said so on an earlier day.
func (n *Node) weighs(x *exchange, r *report, keys []caps.Key, seen *shownHere) bool {
	s := &r.said
	if s.kind != trust.Hide && s.kind != trust.Complaint {
		return false
	}
	// First what made-up identifiers fail by: the days before are a longer look.
	if r.issued == 0 && !n.wasShown(x, s.campaign, keys, r.now) && !seen.has(x, s.campaign, keys) {
		return false
	}
	after := n.dialling.after(s.campaign)
	return !n.dialling.book.Weighed(s.campaign, trust.Day(s.at), after, func(day uint32) uint64 {
		return n.reports.Person(s.campaign, day, keys[0])
	})
}

// wasShown says whether this node holds a showing of the campaign to the person, or a
// place for one.
func (n *Node) wasShown(x *exchange, campaign uint64, keys []caps.Key, now uint32) bool {
	n.caps.Lock(&x.person, keys, caps.Second(now))
	defer x.person.Unlock()
	_, seen := x.person.Newest(campaign)
	return seen
}

// shownHere are the showings that came in the same request, made when first asked for.
type shownHere map[shownTo]bool

type shownTo struct {
	key      caps.Key
	campaign uint64
}

func (s *shownHere) has(x *exchange, campaign uint64, keys []caps.Key) bool {
	if *s == nil {
		*s = shownHere{}
		for i := range x.reports {
			r := &x.reports[i]
			if r.kind != openrtb.Impression || r.scopes.from == r.scopes.to {
				continue
			}
			for _, key := range x.spans.keys[r.keys.from:r.keys.to] {
				for _, scope := range x.spans.scopes[r.scopes.from:r.scopes.to] {
					(*s)[shownTo{key, scope.Scope}] = true
				}
			}
		}
	}
	for _, key := range keys {
		if (*s)[shownTo{key, campaign}] {
			return true
		}
	}
	return false
}

// In a change, a report is
//
//	key      8 tag of the campaign, 8 identity, little endian
//	field    the person
//	stamp    when
//	value    bits 0 to 2 the kind, bit 3 whether it weighs
const (
	reportKindBits = 7
	reportWeighs   = 8
)

func reportChange(campaign uint64, r *trust.Report, now caps.Second) caps.Change {
	var key caps.Key
	binary.LittleEndian.PutUint64(key[:8], campaign)
	binary.LittleEndian.PutUint64(key[8:], r.ID)
	c := caps.Change{Kind: caps.ChangeReport, Keys: []caps.Key{key}, Now: now, Field: r.Person, Stamp: caps.Second(r.At), Value: uint32(r.Kind)}
	if r.Weighs {
		c.Value |= reportWeighs
	}
	return c
}

// countSaid counts the reports among changes that were made.
func (n *Node) countSaid(changes []caps.Change) {
	for i := range changes {
		if c := &changes[i]; c.Kind == caps.ChangeReport {
			n.metrics.reports[c.Value&reportKindBits].Inc()
			if c.Value&reportWeighs != 0 {
				n.metrics.reportsWeighing.Inc()
			}
		}
	}
}

// besideCounters is the book as the store of counters keeps it along.
type besideCounters struct{ book *trust.Book }

// Apply joins a report, here or of another node.
func (b besideCounters) Apply(c *caps.Change) {
	b.book.Add(binary.LittleEndian.Uint64(c.Keys[0][:8]), trust.Report{
		ID: binary.LittleEndian.Uint64(c.Keys[0][8:]), Person: c.Field, At: uint32(c.Stamp), Kind: trust.Kind(c.Value & reportKindBits), Weighs: c.Value&reportWeighs != 0,
	})
}

// AppendNext appends the next page.
func (b besideCounters) AppendNext(dst []byte, at *any) ([]byte, bool) {
	if *at == nil {
		*at = new(trust.Cursor)
	}
	return b.book.Append(dst, (*at).(*trust.Cursor))
}

// Merge joins a page.
func (b besideCounters) Merge(page []byte) error { return b.book.Merge(page) }

// optedOutBy are the tags of the campaigns by which the person of the opened token opts
// out: the one that is named, else all that the token names and the policy knows.
func (x *exchange) optedOutBy(rules *rules, c eventCampaign) (tags []uint64) {
	if c.Tag != 0 {
		return []uint64{c.Tag}
	}
	for _, of := range rules.both() {
		for i := range of.Campaigns {
			if tag := of.Campaigns[i].Tag; x.ofCampaign(tag) >= 0 && (of == rules || rules.find(tag) < 0) {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}
