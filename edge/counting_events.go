package edge

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/traffic"
)

const (
	// loadSource is the source of identifiers of a load test: what is decided and reported
	// for them stands outside the counts.
	loadSource = "restraint.load"
	// attributedWithin is how long after a showing a purchase counts for its campaign.
	// Chosen: 30 days, as most who measure advertising take by default.
	attributedWithin = 30 * 24 * 60 * 60
)

// tally is what is counted of a report.
type tally struct {
	traffic.Row
	id      uint64 // what it is known by when it comes again; 0: nothing
	outside bool   // of a load test
	unkept  bool   // an impression of which nothing is kept
	again   bool   // a purchase that is held already
	changes span   // of exchange.changes

	intrusive bool // feedback that says so
}

// tell notes what is to be counted of a report, once it is applied.
func (n *Node) tell(x *exchange, r *report, e *openrtb.Event, rules *rules, c eventCampaign) {
	r.outside = x.outside || x.grant.Uncounted
	r.Arm = x.arm.String()
	switch {
	case len(e.Token) > 0:
		r.Market = rules.marketNumbered(x.grant.Market)
	case len(e.Country) > 0 || len(rules.Markets) == 1:
		r.Market = rules.Markets[rules.MarketOf(e.Country, e.Region)].Name
	}
	if c.Campaign != nil {
		r.Campaign = c.ID
	}
	r.unkept = r.keys.from == r.keys.to || e.Type == openrtb.Impression && !n.mayStore(x, e, rules)
	r.id, r.intrusive = 0, string(e.Answer) == countIntrusive
	switch keys := x.spans.keys[r.keys.from:r.keys.to]; {
	case len(e.ID) > 0:
		r.id = n.counting.recent.identity(e, 0)
	case len(e.Token) > 0:
		r.id = n.counting.recent.identity(e, x.grant.Nonce)
	case len(keys) > 0 && (e.Type == openrtb.Hide || e.Type == openrtb.Complaint || e.Type == openrtb.Feedback):
		r.id = n.counting.recent.identity(&openrtb.Event{Type: e.Type, ID: keys[0][:], Campaign: e.Campaign, Item: e.Answer}, uint64(r.at/daySeconds))
	}
}

const daySeconds = 24 * 60 * 60

// marketNumbered is the name of the market that a token has the number of; "" where the
// policy in force has none.
func (r *rules) marketNumbered(number uint16) string {
	for i := range r.markets {
		if number != 0 && r.markets[i].token == number {
			return r.markets[i].Name
		}
	}
	return ""
}

// notePurchases notes which purchases are held already, before they are applied.
func (x *exchange) notePurchases(n *Node) {
	for i := range x.reports {
		r := &x.reports[i]
		keys, tags := x.spans.keys[r.keys.from:r.keys.to], x.spans.tags[r.tags.from:r.tags.to]
		if r.kind != openrtb.Purchase || len(keys) == 0 || len(tags) == 0 {
			continue
		}
		n.caps.Lock(&x.person, keys, caps.Second(r.now))
		at, ok := x.person.Purchase(tags[len(tags)-1])
		x.person.Unlock()
		r.again = ok && at == caps.Second(r.at)
	}
}

// countReports counts the reports that were applied.
func (n *Node) countReports(x *exchange) {
	c := &n.counting
	for i := range x.reports {
		r := &x.reports[i]
		if r.outside {
			continue
		}
		switch r.kind {
		case openrtb.Impression:
			fresh := uint64(0)
			for k := r.changes.from; k < r.changes.to; k++ {
				// One that is known by nothing cannot have come before.
				if c := &x.changes[k]; c.Fresh && (!c.Untold || r.id == 0) {
					fresh++
				}
			}
			switch {
			case !c.recent.first(r.id):
			case r.unkept:
				c.add(r.now, r.Row, countUnkept, 1)
				x.countReport(r, 1)
			case fresh > 0:
				c.add(r.now, r.Row, countImpression, fresh)
				x.countReport(r, fresh)
			}
		case openrtb.Click, openrtb.Hide, openrtb.Complaint, openrtb.Feedback:
			if c.recent.first(r.id) {
				c.add(r.now, r.Row, r.measure(), 1)
				x.countReport(r, 1)
			}
		case openrtb.Purchase:
			if c.recent.first(r.id) && !r.again && r.keys.from < r.keys.to && r.tags.from < r.tags.to {
				n.attribute(x, r)
				x.countReport(r, 1)
			}
		}
	}
}

// measure is what a report counts as, of the kinds that always count as the same.
func (r *report) measure() string {
	switch {
	case r.kind == openrtb.Click:
		return countClick
	case r.kind == openrtb.Hide:
		return countHide
	case r.kind == openrtb.Complaint:
		return countComplaint
	case r.intrusive:
		return countIntrusive
	}
	return countHelpful
}

// countOptOut counts an opt-out by a token for the campaign that it names, else for those
// that its answer showed.
func (n *Node) countOptOut(x *exchange, e *openrtb.Event, r *report, rules *rules) {
	n.tell(x, r, e, rules, eventCampaign{})
	if r.outside || !n.counting.recent.first(r.id) {
		return
	}
	seen := make(map[uint32]bool)
	for i := range x.grant.Shown {
		seen[x.grant.Shown[i].Campaign] = true
	}
	for _, of := range rules.both() {
		for i := range of.Campaigns {
			if c := &of.Campaigns[i]; seen[identity.ShownCampaign(c.Tag)] && (of == rules || rules.find(c.Tag) < 0) && (len(e.Campaign) == 0 || c.ID == string(e.Campaign)) {
				n.counting.add(r.now, traffic.Row{Campaign: c.ID, Arm: r.Arm, Market: r.Market}, countOptOut, 1)
			}
		}
	}
}

// attribute counts a purchase for the campaigns of its advertiser of which the person was
// shown something before it.
func (n *Node) attribute(x *exchange, r *report) {
	rules := n.rules.Load()
	at := caps.Second(r.at)
	since := at - min(at, attributedWithin)
	n.caps.Lock(&x.person, x.spans.keys[r.keys.from:r.keys.to], caps.Second(r.now))
	defer x.person.Unlock()
	for _, of := range rules.both() {
		for _, i := range of.advertised[x.spans.tags[r.tags.from]] {
			campaign := &of.Campaigns[i]
			if (of == rules || rules.find(campaign.Tag) < 0) && x.person.ShownBetween(campaign.Tag, since, at) {
				n.counting.add(r.now, traffic.Row{Campaign: campaign.ID, Arm: r.Arm, Market: r.Market}, countPurchase, 1)
			}
		}
	}
}

// recent are the reports that came a while ago, so that one that comes again counts once
// where nothing else would tell: clicks change no state, and a person's counters forget.
type recent struct {
	seed maphash.Seed

	mu         sync.Mutex
	young, old map[uint64]struct{}
	since      time.Time
}

const (
	// recentMost reports are remembered at least, where there are as many in recentFor, and
	// at most twice as many. Chosen.
	recentMost = 1 << 16
	recentFor  = 12 * time.Hour
)

// identity is what the contract says that a report is known by, as a hash that ends with
// the process; more is what else it is, as the nonce of its token.
func (r *recent) identity(e *openrtb.Event, more uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	h.WriteByte(byte(e.Type))
	var text [8]byte
	for _, part := range [...][]byte{e.ID, e.Campaign, e.Creative, e.Item, e.Advertiser} {
		binary.LittleEndian.PutUint64(text[:], uint64(len(part)))
		h.Write(text[:])
		h.Write(part)
	}
	binary.LittleEndian.PutUint64(text[:], more)
	h.Write(text[:])
	return max(1, h.Sum64())
}

// first says whether the report did not come before; one that is known by nothing never
// did.
func (r *recent) first(id uint64) bool {
	if id == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.old[id]; known {
		return false
	}
	if _, known := r.young[id]; known {
		return false
	}
	if now := time.Now(); r.young == nil || len(r.young) >= recentMost || now.Sub(r.since) >= recentFor {
		r.old, r.young, r.since = r.young, make(map[uint64]struct{}), now
	}
	r.young[id] = struct{}{}
	return true
}
