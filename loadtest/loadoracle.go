package loadtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// loadOracle keeps the showings of every user in plain lists and holds a node's verdicts
// to them while many requests are under way at once. What it knows of a showing is
// when its report was sent and when it was acknowledged, so it counts twice: what a
// node must have counted when it judged, and what it can have. Only a verdict that
// neither allows is a finding. For concurrent use.
type loadOracle struct {
	base   time.Time
	scopes map[string]uint32
	pers   []string // that any cap counts by
	caps   []string
	shards [64]oracleShard
}

// oracleShard has some of the users.
type oracleShard struct {
	mu    sync.Mutex
	shown map[userScope][]*showing
	found LoadRecount
}

type userScope struct {
	user  int
	scope uint32
}

// showing is one impression; the times are from the oracle's base.
type showing struct {
	sent, acked time.Duration // acked 0: not yet, or never known
	refused     bool
	over        bool // on top of a full cap
}

// scopedLimit is a cap as it binds one candidate.
type scopedLimit struct {
	scope uint32
	cap   ExpectedCap
}

// newLoadOracle prepares the candidates for counting.
func newLoadOracle(p *loadPolicy, lists []candidateList, base time.Time) (*loadOracle, error) {
	if err := p.countable(); err != nil {
		return nil, err
	}
	o := &loadOracle{base: base, scopes: map[string]uint32{}}
	for i := range o.shards {
		o.shards[i].shown = map[userScope][]*showing{}
	}
	for _, name := range p.names {
		var texts []string
		for _, c := range p.Campaigns[name].Caps {
			e, _ := c.expected()
			if !slices.Contains(o.pers, e.Per) {
				o.pers = append(o.pers, e.Per)
			}
			texts = append(texts, e.String())
		}
		if len(texts) > 0 {
			o.caps = append(o.caps, name+" "+strings.Join(texts, " "))
		}
	}
	if len(o.caps) == 0 {
		return nil, fmt.Errorf("%w: --oracle counts caps, and no campaign of this policy has one", ErrOptions)
	}
	for i := range lists {
		for j := range lists[i].candidates {
			o.prepare(&lists[i].candidates[j])
		}
	}
	return o, nil
}

func (o *loadOracle) prepare(c *candidate) {
	for _, per := range o.pers {
		if name, has := c.scope(per); has {
			c.counted = append(c.counted, o.number(name))
		}
	}
	for _, written := range c.campaign.Caps {
		e, _ := written.expected()
		if name, has := c.scope(e.Per); has {
			c.limits = append(c.limits, scopedLimit{o.number(name), e})
		}
	}
}

func (o *loadOracle) number(name string) uint32 {
	n, has := o.scopes[name]
	if !has {
		n = uint32(len(o.scopes))
		o.scopes[name] = n
	}
	return n
}

// scope is what the candidate counts in per; false where it does not. Creative, item
// and category are the advertiser's own.
func (c *candidate) scope(per string) (name string, has bool) {
	own := func(value string) (string, bool) {
		return per + "\x00" + c.campaign.Advertiser + "\x00" + value, value != ""
	}
	switch per {
	case "campaign":
		return per + "\x00" + c.campaign.name, true
	case "advertiser":
		return per + "\x00" + c.campaign.Advertiser, true
	case "creative":
		return own(c.creative)
	case "item":
		return own(c.item)
	case "category":
		return own(c.category)
	case "all":
		return per, true
	}
	group, is := strings.CutPrefix(per, "group:")
	return per, is && slices.Contains(c.campaign.Groups, group)
}

func (o *loadOracle) now() time.Duration { return time.Since(o.base) }

func (o *loadOracle) of(user int) *oracleShard { return &o.shards[user%len(o.shards)] }

// nodeSecond is the step of a node's times: an age can be this much off either way.
const nodeSecond = time.Second

// bounds are how many showings there are at least and at most.
type bounds struct{ least, most int }

// bounds count a user's showings under a cap, those that a node must have counted in a
// decision asked for and answered at these times, and those that it can have.
func (s *oracleShard) bounds(user int, l *scopedLimit, sent, answered time.Duration) (b bounds) {
	for _, v := range s.shown[userScope{user, l.scope}] {
		switch {
		case v.refused || v.sent > answered:
			continue
		case v.acked == 0 || sent-v.acked <= l.cap.Within+nodeSecond:
			b.most++
		}
		if v.acked > 0 && v.acked <= sent && answered-v.sent <= l.cap.Within-nodeSecond {
			b.least++
		}
	}
	return b
}

// judge holds the verdicts of an answer to the count. With want, what was shown before in
// the same answer takes its place.
func (o *loadOracle) judge(user int, list *candidateList, verdicts []judged, want bool, sent, answered time.Duration) {
	s := o.of(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, v := range verdicts {
		if v == judgedSkip {
			continue
		}
		c := &list.candidates[i]
		certain, possible := false, false
		var full ExpectedCap
		for j := range c.limits {
			l := &c.limits[j]
			b, beside := s.bounds(user, l, sent, answered), 0
			if want {
				beside = shownBeside(list, verdicts[:i], l.scope)
			}
			if b.least+beside >= l.cap.Limit {
				certain, full = true, l.cap
			}
			possible = possible || b.most+beside >= l.cap.Limit
		}
		s.verdict(c, v, certain, possible, full)
	}
}

// shownBeside counts what an answer shows in a scope.
func shownBeside(list *candidateList, verdicts []judged, scope uint32) (n int) {
	for i, v := range verdicts {
		if v == judgedShow && slices.Contains(list.candidates[i].counted, scope) {
			n++
		}
	}
	return n
}

func (s *oracleShard) verdict(c *candidate, v judged, certain, possible bool, full ExpectedCap) {
	f := &s.found
	f.Decisions++
	switch {
	case v == judgedShow && certain:
		f.OverDelivered++
		f.sample(fmt.Sprintf("shown although %s is full (campaign %q)", full, c.campaign.name))
	case v == judgedCap && !possible:
		f.FalseNegatives++
		f.sample(fmt.Sprintf("skipped for a cap although none can be full (campaign %q)", c.campaign.name))
	case possible && !certain:
		f.Racing++
	}
	if v == judgedShow {
		f.Shown++
	} else {
		f.Capped++
	}
}

// report notes that an impression is about to be reported.
func (o *loadOracle) report(user int, c *candidate) *showing {
	now := o.now()
	v := &showing{sent: now}
	s := o.of(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	for j := range c.limits {
		v.over = v.over || s.bounds(user, &c.limits[j], now, now).least >= c.limits[j].cap.Limit
	}
	for _, scope := range c.counted {
		key := userScope{user, scope}
		s.shown[key] = append(s.shown[key], v)
	}
	return v
}

// reported notes what came of it. One that failed in another way than by being refused
// may have been counted.
func (o *loadOracle) reported(user int, v *showing, accepted, refused bool) {
	s := o.of(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	v.refused = refused
	if !accepted {
		return
	}
	v.acked = o.now()
	s.found.Impressions++
	if v.over {
		s.found.OverLimit++
	}
}

// recount is what was found so far.
func (o *loadOracle) recount() *LoadRecount {
	sum := &LoadRecount{Caps: o.caps}
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		f := &s.found
		sum.Decisions += f.Decisions
		sum.Shown += f.Shown
		sum.Capped += f.Capped
		sum.OverDelivered += f.OverDelivered
		sum.FalseNegatives += f.FalseNegatives
		sum.Racing += f.Racing
		sum.Impressions += f.Impressions
		sum.OverLimit += f.OverLimit
		for _, text := range f.Sample {
			sum.sample(text)
		}
		s.mu.Unlock()
	}
	sum.OverDeliveredPerMille = perMille(sum.OverDelivered, sum.Shown)
	sum.FalseNegativesPerMille = perMille(sum.FalseNegatives, sum.Capped)
	sum.OverLimitPerMille = perMille(sum.OverLimit, sum.Impressions)
	return sum
}

func (r *LoadRecount) sample(text string) {
	if len(r.Sample) < maxSampled {
		r.Sample = append(r.Sample, text)
	}
}

func perMille(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return 1000 * float64(n) / float64(of)
}
