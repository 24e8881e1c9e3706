package edge

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"restraint/edge/audit"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/shared"
	"restraint/edge/trust"
)

// dialling is how campaigns stand that people complain about: what was reported, and by
// a joined document for each campaign whether it is dialled back, on all nodes alike.
type dialling struct {
	book      *trust.Book
	documents *shared.Joined // nil: of a replay, which keeps nothing

	mu        sync.Mutex
	standings map[uint64]*trust.Standing // by campaign
	looked    time.Time                  // when all campaigns were judged last
	opening   bool                       // documents are read, before anything else runs
}

// dial is what holds for a campaign that is dialled back. It is immutable.
type dial struct {
	level trust.Level
	by    trust.Raise
}

// dialPrefix begins the names of the documents.
const dialPrefix = "dial-back-"

func dialName(campaign uint64) string { return fmt.Sprintf("%s%016x", dialPrefix, campaign) }

// dialTag is the tag of the campaign that a document is of.
func dialTag(name string) (campaign uint64, err error) {
	if len(name) != len(dialPrefix)+16 {
		return 0, fmt.Errorf("%w: %.140q", shared.ErrName, name)
	}
	return strconv.ParseUint(name[len(dialPrefix):], 16, 64)
}

// openDialling reads how campaigns stand. Under the requests' clock nothing is kept.
func (n *Node) openDialling() (err error) {
	d := &n.dialling
	d.standings = make(map[uint64]*trust.Standing)
	if n.options.RequestClock {
		return nil
	}
	d.opening = true // what is read is no change
	d.documents, err = n.openJoined(shared.Kind{Prefix: dialPrefix, Join: n.joinStandings, Changed: n.adoptDocument})
	d.opening = false
	return err
}

// joinStandings is the join of two documents; a is nil where there is none here.
func (n *Node) joinStandings(name string, a, b []byte) ([]byte, error) {
	tag, err := dialTag(name)
	if err != nil {
		return nil, err
	}
	s, err := trust.ParseStanding(b)
	if err != nil {
		return nil, err
	}
	if n.tags.Tag(identity.KindCampaign, 0, s.Campaign) != tag {
		return nil, fmt.Errorf("%w: it is of the campaign %.140q", trust.ErrMalformed, s.Campaign)
	}
	if a == nil {
		return b, nil
	}
	here, err := trust.ParseStanding(a)
	if err != nil {
		return nil, err
	}
	joined := here.Join(s).Encode()
	if bytes.Equal(joined, a) {
		return a, nil
	}
	return joined, nil
}

// adoptDocument makes a document what holds here.
func (n *Node) adoptDocument(name string, document []byte) {
	tag, err := dialTag(name)
	if err != nil {
		return
	}
	if s, err := trust.ParseStanding(document); err == nil {
		n.adopt(tag, s)
	}
}

// adopt makes a standing, joined to what is known, what holds here, from the next
// decision on.
func (n *Node) adopt(tag uint64, s *trust.Standing) {
	d := &n.dialling
	d.mu.Lock()
	before := d.standings[tag]
	if before == nil {
		before = trust.NewStanding(s.Campaign)
	}
	now := before.Join(s)
	d.standings[tag] = now
	if r := n.rules.Load(); r != nil {
		for _, of := range r.both() {
			of.dialTo(tag, now)
		}
	}
	d.mu.Unlock()
	if !d.opening {
		n.tellDial(before, now) // the record waits for the disk, and reports do not for that
	}
}

// tellDial logs a change of level and counts it.
func (n *Node) tellDial(before, now *trust.Standing) {
	was, _ := before.Level()
	is, by := now.Level()
	switch {
	case is == was:
		return
	case is == trust.None && now.Release != nil:
		n.log.Warn("campaign released from its dial-back", "campaign", now.Campaign, "from", was.String(), "by", now.Release.By, "why", now.Release.Why, "node", now.Release.Node)
	case by != nil:
		n.log.Warn("campaign dialled back", "campaign", now.Campaign, "level", is.String(), "since", by.Since, "hides_and_complaints", by.Weighing, "people", by.People,
			"shown", by.Shown, "window_seconds", by.Window, "threshold_per_10k", by.Per10K, "policy", by.Policy, "node", by.Node)
		if by.Node == n.options.Name {
			n.note(audit.Entry{
				Action: audit.CampaignDialBack, Outcome: audit.Done, Who: audit.Who{By: audit.ByNode}, Campaign: now.Campaign, Policy: by.Policy,
				Before: audit.Facts{"level": was.String()},
				After:  audit.Facts{"level": is.String(), "hides_and_complaints": by.Weighing, "people": by.People, "shown": by.Shown},
			})
		}
	}
	n.metrics.dialChanges[is].Inc()
}

// dialAll puts all standings into rules that are about to be, or are, in force, and into
// those that are tried out beside them: how people take a campaign does not depend on who
// was shown it by which version.
func (n *Node) dialAll(r *rules) {
	d := &n.dialling
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, of := range r.both() {
		for tag, s := range d.standings {
			of.dialTo(tag, s)
		}
	}
}

// dialTo sets how a campaign stands, where these rules have it. A policy that switches
// dial_back off dials nothing back, whatever stands.
func (r *rules) dialTo(tag uint64, s *trust.Standing) {
	i := r.find(tag)
	if i < 0 {
		return
	}
	was := r.dials[i].Load()
	level, by := s.Level()
	if level == trust.None || !r.DialBack.On {
		if r.dials[i].Store(nil); was != nil {
			r.dialled.Add(-1)
		}
		return
	}
	if r.dials[i].Store(&dial{level, *by}); was == nil {
		r.dialled.Add(1)
	}
}

// dialOf is what holds for a campaign by any version in force, the stricter of two; nil:
// it is not dialled back by either.
func (r *rules) dialOf(tag uint64) (strictest *dial) {
	for _, of := range r.both() {
		if i := of.find(tag); i >= 0 {
			if d := of.dials[i].Load(); d != nil && (strictest == nil || d.level > strictest.level) {
				strictest = d
			}
		}
	}
	return strictest
}

// newDials makes the rules ready for dialTo.
func (r *rules) newDials() {
	r.dials, r.dialled = make([]atomic.Pointer[dial], len(r.Campaigns)), new(atomic.Int32)
	for limit := range r.lowered {
		r.lowered[limit] = r.DialBack.Limit(uint8(limit))
	}
}

// after is the second after which reports about a campaign count; 0: all do.
func (d *dialling) after(campaign uint64) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.standings[campaign]; s != nil {
		return s.After()
	}
	return 0
}

// standing is that of a campaign, or of one of which nothing is known.
func (d *dialling) standing(c *policy.Campaign) *trust.Standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.standings[c.Tag]; s != nil {
		return s
	}
	return trust.NewStanding(c.ID)
}

// keepStanding makes a standing what holds, on disk and for all nodes.
func (n *Node) keepStanding(tag uint64, s *trust.Standing) error {
	if n.dialling.documents == nil {
		n.adopt(tag, s)
		return nil
	}
	return n.dialling.documents.Put(dialName(tag), s.Encode())
}

// releasedSeconds is how long a release is kept where nothing has happened since: longer
// than any window, in which it says what counts.
const releasedSeconds = 91 * 24 * 60 * 60

// dropStandings forgets releases that have no effect any more.
func (n *Node) dropStandings(now uint32) {
	d := &n.dialling
	d.mu.Lock()
	var gone []uint64
	for tag, s := range d.standings {
		if level, _ := s.Level(); level == trust.None && now > s.After() && now-s.After() > releasedSeconds {
			gone = append(gone, tag)
			delete(d.standings, tag)
		}
	}
	d.mu.Unlock()
	for _, tag := range gone {
		d.documents.Drop(dialName(tag))
	}
}
