package loadtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ExpectedCap is one cap that a recount holds the node to: at most Limit
// showings to one user of one campaign (or item, creative, or of all) within a
// rolling window.
type ExpectedCap struct {
	// Per is campaign, creative, item or all. Creative and item are counted by
	// name across campaigns, as one advertiser's own.
	Per    string        `json:"per"`
	Limit  int           `json:"limit"`
	Within time.Duration `json:"within_ns"`
}

func (c ExpectedCap) String() string {
	return fmt.Sprintf("%s:%d/%s", c.Per, c.Limit, short(c.Within))
}

// short writes a duration as a policy does, in its largest whole unit up to days.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d > day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// ParseExpectedCap reads [PER:]LIMIT/WITHIN, such as 3/24h, item:5/30d or
// all:30/7d; a day has 24 hours.
func ParseExpectedCap(text string) (ExpectedCap, error) {
	wrong := fmt.Errorf("read cap %q: want [campaign:|creative:|item:|all:]LIMIT/WITHIN, such as 3/24h or item:5/30d, in whole seconds", text)
	per, rest, ok := strings.Cut(text, ":")
	if !ok {
		per, rest = "campaign", text
	}
	limit, within, ok := strings.Cut(rest, "/")
	n, err := strconv.Atoi(limit)
	if !ok || err != nil || n < 1 {
		return ExpectedCap{}, wrong
	}
	switch per {
	case "campaign", "creative", "item", "all":
	default:
		return ExpectedCap{}, wrong
	}
	var w time.Duration
	if days, isDays := strings.CutSuffix(within, "d"); isDays {
		d, err := strconv.Atoi(days)
		if err != nil || d < 1 || d > 36500 {
			return ExpectedCap{}, wrong
		}
		w = time.Duration(d) * 24 * time.Hour
	} else if w, err = time.ParseDuration(within); err != nil || w < time.Second || w%time.Second != 0 {
		return ExpectedCap{}, wrong
	}
	return ExpectedCap{Per: per, Limit: n, Within: w}, nil
}

// Asked is one candidate asked of the node, as the Oracle needs it.
type Asked struct {
	User                     string
	Campaign, Creative, Item string
	At                       int64 // seconds
}

// Recount is what an Oracle found.
type Recount struct {
	Caps      []ExpectedCap `json:"caps"`
	Decisions int           `json:"decisions"`
	Shown     int           `json:"shown"`
	// OverDelivered showings were let through although a cap was full.
	OverDelivered int `json:"over_delivered"`
	// Unexplained skips gave the reason cap although no given cap was full:
	// the policy has a cap that was not given, or the node counts too many.
	Unexplained int `json:"unexplained_skips"`
	// Sample holds the first few findings; no user in it.
	Sample []string `json:"sample,omitempty"`
}

// Oracle recounts verdicts with full histories in plain maps and shares no
// code with a node. A window of W is free again when more than W has passed
// since the showing, to the second. Not for concurrent use: one for each
// worker, each user at one worker only, then merge.
type Oracle struct {
	caps []ExpectedCap
	// history holds the seconds of every showing, by scope, in order asked.
	history map[scopeOf][]int64
	found   Recount
}

type scopeOf struct{ per, user, name string }

// NewOracle recounts these caps, all of which must hold.
func NewOracle(caps ...ExpectedCap) *Oracle {
	return &Oracle{caps: caps, history: map[scopeOf][]int64{}, found: Recount{Caps: caps}}
}

// Full returns the first cap that forbids the showing.
func (o *Oracle) Full(a Asked) (ExpectedCap, bool) {
	for _, c := range o.caps {
		scope, ok := a.scope(c.Per)
		if !ok {
			continue
		}
		inside := 0
		for _, at := range o.history[scope] {
			if a.At-at <= int64(c.Within/time.Second) {
				inside++
			}
		}
		if inside >= c.Limit {
			return c, true
		}
	}
	return ExpectedCap{}, false
}

// Check recounts one verdict and, where it is show, remembers the showing.
func (o *Oracle) Check(a Asked, show bool, reason string) {
	o.found.Decisions++
	c, full := o.Full(a)
	switch {
	case show && full:
		o.found.OverDelivered++
		o.sample(fmt.Sprintf("shown at %d although %s is full (campaign %q, item %q)", a.At, c, a.Campaign, a.Item))
	case !show && reason == "cap" && !full:
		o.found.Unexplained++
		o.sample(fmt.Sprintf("skipped at %d for a cap although none that was given is full (campaign %q, item %q)", a.At, a.Campaign, a.Item))
	}
	if !show {
		return
	}
	o.found.Shown++
	done := map[string]bool{}
	for _, c := range o.caps {
		if scope, ok := a.scope(c.Per); ok && !done[c.Per] {
			done[c.Per] = true
			o.history[scope] = append(o.history[scope], a.At)
		}
	}
}

func (o *Oracle) sample(text string) {
	if len(o.found.Sample) < maxSampled {
		o.found.Sample = append(o.found.Sample, text)
	}
}

// Recount returns what was found so far.
func (o *Oracle) Recount() Recount { return o.found }

func (r *Recount) merge(other Recount) {
	r.Decisions += other.Decisions
	r.Shown += other.Shown
	r.OverDelivered += other.OverDelivered
	r.Unexplained += other.Unexplained
	r.Sample = append(r.Sample, other.Sample...)
	r.Sample = r.Sample[:min(len(r.Sample), maxSampled)]
}

// scope is false where the candidate does not name what the cap is per.
func (a *Asked) scope(per string) (scopeOf, bool) {
	s := scopeOf{per: per, user: a.User}
	switch per {
	case "campaign":
		s.name = a.Campaign
	case "creative":
		s.name = a.Creative
	case "item":
		s.name = a.Item
	case "all":
		return s, true
	}
	return s, s.name != ""
}
