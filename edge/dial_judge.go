package edge

import (
	"context"
	"sync"
	"time"

	"restraint/edge/policy"
	"restraint/edge/trust"
)

// weighed is what a campaign's standing is judged by at a second.
type weighed struct {
	from  uint32 // after it, up to now
	tally trust.Tally
	shown uint64
	level trust.Level
}

// weigh judges a campaign by a policy, whatever it is dialled back to.
func (n *Node) weigh(p *policy.Policy, c *policy.Campaign, s *trust.Standing, now uint32) (w weighed) {
	rule := &p.DialBack
	w.from = max(now-min(now, rule.Window+1), s.After())
	w.tally = n.dialling.book.Tally(c.Tag, w.from, now)
	w.shown = n.shownSince(c, s, w.from, now)
	if rule.On {
		w.level = trust.Judge(&trust.Rule{
			MinShown: uint64(rule.MinShown), MinPeople: uint64(rule.MinPeople), Lower: uint64(rule.HidesPer10K), Pause: uint64(rule.PauseAt),
		}, &w.tally, w.shown)
	}
	return w
}

// shownSince is how often a campaign was shown after from, on all nodes: in the hours that
// the time touches, without what had been shown in the hour of the release before it.
func (n *Node) shownSince(c *policy.Campaign, s *trust.Standing, from, now uint32) uint64 {
	stale := countEvery
	if n.clock.request { // which is not that of what is remembered
		stale = 0
	}
	shown := n.counting.shown(c.ID, from, now, stale)
	if r := s.Release; r != nil && from == r.At {
		return shown - min(shown, r.Shown)
	}
	return shown
}

// judgeCampaign dials a campaign back where what was reported asks for it. It never
// lets go: a human does.
func (n *Node) judgeCampaign(p *policy.Policy, c *policy.Campaign, now uint32) {
	s := n.dialling.standing(c)
	w := n.weigh(p, c, s, now)
	if stands, _ := s.Level(); w.level <= stands {
		return
	}
	threshold := p.DialBack.HidesPer10K
	if w.level == trust.Paused {
		threshold = p.DialBack.PauseAt
	}
	raised := s.Raised(w.level, trust.Raise{
		Since: now, Policy: p.Version, Window: p.DialBack.Window, Shown: w.shown, Weighing: w.tally.Weighing, People: w.tally.People,
		Per10K: uint64(threshold), Node: n.options.Name,
	})
	if err := n.keepStanding(c.Tag, raised); err != nil {
		n.log.Error("a dial-back is in force on this node and could not be kept; it is tried again", "campaign", c.ID, "error", err.Error())
		n.adopt(c.Tag, raised)
	}
}

// judgeTag judges the campaign with a tag by each policy in force that has it: where one
// is tried out, a campaign is dialled back for everybody once either asks for it.
func (n *Node) judgeTag(rules *rules, tag uint64, now uint32) {
	for _, of := range rules.both() {
		if i := of.find(tag); i >= 0 && of.DialBack.On {
			n.judgeCampaign(of.Policy, &of.Campaigns[i], now)
		}
	}
}

// judgeReported judges the campaigns that the request has reports about.
func (n *Node) judgeReported(x *exchange) {
	if _, wrong := n.clock.wrong(); wrong {
		return
	}
	rules, last := n.rules.Load(), uint64(0)
	for i := range x.reports {
		s := &x.reports[i].said
		if s.kind != 0 && s.campaign != last {
			last = s.campaign
			n.judgeTag(rules, s.campaign, x.reports[i].now)
		}
	}
}

// Times of listening. Chosen: what other nodes heard is judged within a second, and what
// changes with time alone (showings come and go) within ten.
const (
	hearEvery  = time.Second
	judgeEvery = 10 * time.Second
)

// hear judges campaigns as reports of other nodes come in and time goes by, folds what
// is no longer needed, and shares how campaigns stand, until ctx ends.
func (n *Node) hear(ctx context.Context) {
	if n.dialling.documents == nil {
		return
	}
	var sharing sync.WaitGroup
	sharing.Go(func() { n.dialling.documents.Run(ctx) })
	defer sharing.Wait()
	ticker := time.NewTicker(hearEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			n.hearAt(now)
		}
	}
}

// hearAt is one round of hear. While the wall clock cannot be believed nothing is
// judged and nothing goes, and nothing goes before it was compared with the cluster's.
func (n *Node) hearAt(now time.Time) {
	if _, wrong := n.clock.wrong(); wrong {
		return
	}
	d, rules, second := &n.dialling, n.rules.Load(), n.clock.at(now, 0)
	tags := d.book.Changed(nil)
	if now.Sub(d.looked) >= judgeEvery {
		d.looked = now
		if n.mayExpire() {
			n.forgetReports(rules, second)
		}
		tags = d.book.Campaigns(tags[:0])
	}
	for _, tag := range tags {
		n.judgeTag(rules, tag, second)
	}
}

// forgetReports folds the reports and drops the releases that no policy in force needs.
func (n *Node) forgetReports(rules *rules, now uint32) {
	window := uint32(0)
	for _, of := range rules.both() {
		window = max(window, of.DialBack.Window)
	}
	n.dialling.book.Fold(now, window)
	n.dropStandings(now)
}
