package faults

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// kind of an event.
type kind string

const (
	impression kind = "impression"
	purchase   kind = "purchase"
	hide       kind = "hide"
)

// pair is what is counted: a person and a campaign, or for purchases a person and an item.
type pair struct{ user, of string }

// event is one thing that happened, with an identity: however often and wherever it is reported, it is one.
type event struct {
	kind kind
	id   string // unique in the run
	pair pair
	late int // seconds before it is sent first
}

// outcome of one report of an event, in the words of Jepsen: ok, fail and info.
type outcome int

const (
	unknown      outcome = iota // the connection was lost, or the time was up: it may have happened or not
	refused                     // it did not happen: a 503 that promises so, or nothing was ever sent
	acknowledged                // 202
)

// bounds are the least and the most that a right count may be.
type bounds struct{ least, most int }

// history is what was sent and what came of it. Its methods may be called concurrently.
type history struct {
	mu     sync.Mutex
	events map[string]*past
	counts map[kind]map[pair]*tally
	shows  []shown
	sum    totals
}

// past is what came of all reports of one event.
type past struct {
	event
	under        int // reports that have begun and not ended
	acknowledged bool
	unknown      bool            // a report is, and none is acknowledged
	at           map[string]bool // the nodes that acknowledged it
}

// tally is what is known of a pair.
type tally struct {
	tried, acknowledged int            // distinct events
	at                  map[string]int // acknowledged, by node: those it must know of whatever the others do
}

// shown is one verdict that an advertisement may be shown.
type shown struct {
	pair         pair
	node         string
	acknowledged int // impressions of the pair acknowledged anywhere before the question was asked
	own          int // those of them that this node acknowledged
}

// totals sum up a run.
type totals struct {
	events, reports, acknowledged, refused, unknown int
	reads, asked                                    int // of counts, whether something may be shown
}

func newHistory() *history {
	return &history{events: map[string]*past{}, counts: map[kind]map[pair]*tally{impression: {}, purchase: {}, hide: {}}}
}

// begin records that a report of the event is about to be sent.
func (h *history) begin(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum.reports++
	p := h.events[e.id]
	if p == nil {
		p = &past{event: e, at: map[string]bool{}}
		h.events[e.id] = p
		h.sum.events++
		h.tallyLocked(e).tried++
	}
	p.under++
}

// end records what came of a report.
func (h *history) end(e event, node string, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, t := h.events[e.id], h.tallyLocked(e)
	p.under--
	switch o {
	case unknown:
		h.sum.unknown++
		p.unknown = !p.acknowledged
	case refused:
		h.sum.refused++
	case acknowledged:
		h.sum.acknowledged++
		if !p.acknowledged {
			t.acknowledged++
		}
		p.acknowledged, p.unknown = true, false
		if !p.at[node] {
			p.at[node] = true
			t.at[node]++
		}
	}
}

func (h *history) tallyLocked(e event) *tally {
	t := h.counts[e.kind][e.pair]
	if t == nil {
		t = &tally{at: map[string]int{}}
		h.counts[e.kind][e.pair] = t
	}
	return t
}

// tried is how many events of the pair were ever sent.
func (h *history) tried(k kind, p pair) int { return h.tally(k, p).tried }

// acknowledged is how many events of the pair were acknowledged by any node.
func (h *history) acknowledged(k kind, p pair) int { return h.tally(k, p).acknowledged }

// acknowledgedBy is how many the node itself acknowledged.
func (h *history) acknowledgedBy(node string, k kind, p pair) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.counts[k][p]; t != nil {
		return t.at[node]
	}
	return 0
}

func (h *history) tally(k kind, p pair) tally {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.counts[k][p]; t != nil {
		return *t
	}
	return tally{}
}

// bounds of a count after the run, when nothing is under way: what was acknowledged must be there, what is unknown may be, and what was
// refused, or never sent, must not.
func (h *history) bounds(k kind) map[pair]bounds {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[pair]bounds{}
	for _, p := range h.events {
		if p.kind != k {
			continue
		}
		b := all[p.pair]
		if p.acknowledged {
			b.least++
		}
		if p.acknowledged || p.unknown || p.under > 0 {
			b.most++
		}
		all[p.pair] = b
	}
	return all
}

// byNode is how many distinct events of each pair each node acknowledged.
func (h *history) byNode(k kind) map[pair]map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[pair]map[string]int{}
	for p, t := range h.counts[k] {
		all[p] = maps.Clone(t.at)
	}
	return all
}

// show records a verdict to show.
func (h *history) show(s shown) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shows = append(h.shows, s)
}

func (h *history) shownAll() []shown {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.shows)
}

func (h *history) read() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum.reads++
}

func (h *history) ask() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum.asked++
}

func (h *history) totals() totals {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum
}

// users returns whoever anything was sent about, sorted.
func (h *history) users() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]bool{}
	for _, counts := range h.counts {
		for p := range counts {
			seen[p.user] = true
		}
	}
	users := make([]string, 0, len(seen))
	for u := range seen {
		users = append(users, u)
	}
	slices.SortFunc(users, cmp.Compare[string])
	return users
}

// all returns every event that was ever sent.
func (h *history) all() []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := make([]event, 0, len(h.events))
	for _, p := range h.events {
		events = append(events, p.event)
	}
	return events
}
