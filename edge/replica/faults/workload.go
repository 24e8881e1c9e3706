package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The campaigns of the suite; see suitePolicy. Each serves one check, so that no reason hides another.
const (
	countedCampaigns = 3 // count-0...: a cap of 255 in 30 days, so that the count can be read
	hiddenCampaigns  = 4 // hide-0...: no rule of their own
	boughtItems      = 4 // of the campaign bought
	countLimit       = 255
	tightCampaign    = "tight"
	tightLimit       = 3
	boughtCampaign   = "bought"
	listedCampaign   = "listed"
	memberList       = "members" // replaced whole
	addedCampaign    = "added"
	addedList        = "late" // added to
)

// maxPerPair bounds the events of a person and a campaign well under the cap, where a count would stop to say how many there are. With so
// few, the chance that two of the 32-bit identities of exposures are the same is under 1 in 200,000 a pair; such a pair counts one too few.
const maxPerPair = 120

func suitePolicy(extra string) string {
	var b strings.Builder
	b.WriteString("markets: [{name: all, require: none}]\nretention: {exposures: 90d, purchases: 400d}\n")
	fmt.Fprintf(&b, "lists:\n  %s: {id: [user.id], source: first_party, basis: contract}\n  %s: {id: [user.id], source: first_party, basis: contract}\ncampaigns:\n", memberList, addedList)
	for i := range countedCampaigns {
		fmt.Fprintf(&b, "  count-%d: {advertiser: counts, caps: [{per: campaign, limit: %d, within: 30d}]}\n", i, countLimit)
	}
	for i := range hiddenCampaigns {
		fmt.Fprintf(&b, "  hide-%d: {advertiser: hides}\n", i)
	}
	fmt.Fprintf(&b, "  %s: {advertiser: tight, hold: 5s, caps: [{per: campaign, limit: %d, within: 24h}]}\n", tightCampaign, tightLimit)
	fmt.Fprintf(&b, "  %s: {advertiser: shop, purchased: {item: 90d}}\n", boughtCampaign)
	fmt.Fprintf(&b, "  %s: {advertiser: lists, purpose: acquisition, suppress: [%s]}\n", listedCampaign, memberList)
	fmt.Fprintf(&b, "  %s: {advertiser: lists, purpose: acquisition, suppress: [%s]}\n", addedCampaign, addedList)
	return b.String() + extra
}

// action is what a worker does next.
type action int

const (
	report action = iota // events to a node
	serve                // ask for the tight campaign with a hold; where it may be shown, report the impression with the token
	look                 // read one count
)

// step is one request, or for serve two.
type step struct {
	action action
	events []event // report: one, or several in one body
	pair   pair    // serve, look
	node   int     // which node is asked
	second int     // serve: which node hears of the impression
	alone  bool    // serve: with an id beside the token
}

// workload yields the steps of one worker: a pure function of its seed. Each worker has people of its own, so what is said about one
// person comes in order unless the workload means it not to.
type workload struct {
	random *rand.Rand
	prefix string
	users  int
	nodes  int
	sticky bool // a person's serve goes to one node always
	there  bool // an impression is reported to the node that showed it, and to no other
	base   int  // people who had enough of something and went; as many came
	made   int
	counts map[pair]int
	after  []event // events sent before, which are sent again some time
	late   []event // events that wait, so that later ones are sent first
}

func newWorkload(seed uint64, worker, users, nodes int) *workload {
	return &workload{
		random: rand.New(rand.NewPCG(seed, uint64(worker))), prefix: fmt.Sprintf("%x-%d", seed, worker),
		users: users, nodes: nodes, counts: map[pair]int{},
	}
}

func (w *workload) next() step {
	node := w.random.IntN(w.nodes)
	switch n := w.random.IntN(100); {
	case n < 12:
		user := w.user()
		second := w.random.IntN(w.nodes)
		if w.sticky {
			node = len(user) * int(user[len(user)-1]) % w.nodes
			second = node
		}
		if w.there {
			second = node
		}
		return step{action: serve, pair: pair{user, tightCampaign}, node: node, second: second, alone: w.random.IntN(2) == 0}
	case n < 25:
		return step{action: look, pair: pair{w.user(), w.counted()}, node: node}
	case n < 40: // again, doubled, at any node
		if len(w.after) > 0 {
			return step{events: []event{w.after[w.random.IntN(len(w.after))]}, node: node}
		}
	case n < 50: // what was held back comes late, after what happened later
		if len(w.late) > 0 {
			i := w.random.IntN(len(w.late))
			e := w.late[i]
			w.late = append(w.late[:i], w.late[i+1:]...)
			return step{events: []event{e}, node: node}
		}
	}
	s := step{node: node}
	size := 1
	if w.random.IntN(4) == 0 {
		size += w.random.IntN(8)
	}
	for range size {
		e, ok := w.event()
		if !ok {
			continue
		}
		if w.random.IntN(12) == 0 && len(w.late) < 20 {
			w.late = append(w.late, e)
			continue
		}
		s.events = append(s.events, e)
	}
	if len(s.events) == 0 {
		return step{action: look, pair: pair{w.user(), w.counted()}, node: node}
	}
	return s
}

// event makes a new event; false when the pair it came to has had enough.
func (w *workload) event() (event, bool) {
	w.made++
	e := event{kind: impression, id: fmt.Sprintf("%s-%d", w.prefix, w.made), pair: pair{w.user(), w.counted()}}
	if w.random.IntN(5) == 0 {
		e.late = w.random.IntN(3600)
	}
	switch w.random.IntN(20) {
	case 0:
		e.kind, e.pair.of, e.late = hide, fmt.Sprintf("hide-%d", w.random.IntN(hiddenCampaigns)), 0
	case 1:
		e.kind, e.pair.of, e.late = purchase, fmt.Sprintf("item-%d", w.random.IntN(boughtItems)), 0
	}
	if w.counts[e.pair]++; w.counts[e.pair] > maxPerPair {
		w.base++
		return e, false
	}
	if w.random.IntN(4) == 0 {
		if w.after = append(w.after, e); len(w.after) > 60 {
			w.after = w.after[1:]
		}
	}
	return e, true
}

func (w *workload) user() string {
	// Few people get much, many little: a bounded Pareto, as with people and pages.
	n := int(float64(w.users) * w.random.Float64() * w.random.Float64())
	return fmt.Sprintf("u-%s-%d", w.prefix, w.base+n)
}

func (w *workload) counted() string { return fmt.Sprintf("count-%d", w.random.IntN(countedCampaigns)) }

// questions are the candidates that a person is asked about after a run, as JSON, and by what name each is known to the checks.
func questions() (candidates string, of []string) {
	var b strings.Builder
	add := func(name, campaign, item string) {
		if len(of) > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"campaign":%q,"item":%q}`, campaign, item)
		of = append(of, name)
	}
	for i := range countedCampaigns {
		add(fmt.Sprintf("count-%d", i), fmt.Sprintf("count-%d", i), "")
	}
	for i := range hiddenCampaigns {
		add(fmt.Sprintf("hide-%d", i), fmt.Sprintf("hide-%d", i), "")
	}
	for i := range boughtItems {
		add(fmt.Sprintf("item-%d", i), boughtCampaign, fmt.Sprintf("item-%d", i))
	}
	add(tightCampaign, tightCampaign, "")
	return b.String(), of
}

// body writes the event as the API takes it; now is the time in Unix seconds.
func (e *event) body(now int64) string {
	switch e.kind {
	case hide:
		return fmt.Sprintf(`{"type":"hide","id":%q,"user":{"id":%q},"campaign":%q,"why":"repeats"}`, e.id, e.pair.user, e.pair.of)
	case purchase:
		return fmt.Sprintf(`{"type":"purchase","id":%q,"user":{"id":%q},"advertiser":"shop","item":%q,"at":%d}`, e.id, e.pair.user, e.pair.of, now)
	}
	return fmt.Sprintf(`{"type":"impression","id":%q,"user":{"id":%q},"campaign":%q,"channel":"web","at":%d}`, e.id, e.pair.user, e.pair.of, now-int64(e.late))
}
