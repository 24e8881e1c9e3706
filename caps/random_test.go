package caps

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the model test; 0: the time")
	stepsFlag = flag.Int("steps", 6000, "operations of the model test")
)

// walker drives a store and the model with the same random operations.
type walker struct {
	t       *testing.T
	rand    *rand.Rand
	store   *Store
	model   *model
	keys    []Key
	now     Second
	showing []showing // past ones, to be reported again
	keep    func(scope uint64) uint8
	own     []Retention // that showings come with; none: no showing does
	exact   bool
	checked int
	fuller  int // verdicts fuller than the model's
	unseen  int // scopes that the person had never seen
	person  Person
}

type showing struct {
	identity           uint32
	campaign, creative int
	issued             Second
	keys               []Key
}

const (
	walkRetention = 4 * 24 * 3600
	walkPurchases = 6 * 24 * 3600
)

func newWalker(t *testing.T, o Options, users int) *walker {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d -steps=%d", seed, *stepsFlag)
	o.Retention, o.PurchaseRetention = walkRetention, walkPurchases
	w := &walker{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), store: New(o), now: 1_700_000_000,
		model: &model{retention: walkRetention, purchases: walkPurchases, users: map[Key]*modelUser{}},
		keep:  func(uint64) uint8 { return 6 },
	}
	for range users {
		w.keys = append(w.keys, randomKey(w.rand))
	}
	return w
}

func randomKey(r *rand.Rand) (k Key) {
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	return k
}

// scopeTag spreads small numbers as the hash of a name would.
func scopeTag(kind, n int) uint64 {
	return (uint64(kind)<<32 | uint64(n+1)) * 0x9e3779b97f4a7c15
}

func campaignScope(c int) uint64    { return scopeTag(1, c) }
func creativeScope(c, n int) uint64 { return scopeTag(2, c*10+n) }

func (w *walker) scopes(s *showing) []Counted {
	tags := []uint64{campaignScope(s.campaign), creativeScope(s.campaign, s.creative), scopeTag(3, s.campaign/2), scopeTag(4, 0)}
	var scopes []Counted
	for _, tag := range tags {
		scopes = append(scopes, Counted{tag, w.keep(tag)})
	}
	return scopes
}

// pick returns one to three keys, the first ones more often.
func (w *walker) pick() []Key {
	var keys []Key
	for range 1 + w.rand.IntN(3) {
		i := min(w.rand.IntN(len(w.keys)), w.rand.IntN(len(w.keys)))
		keys = append(keys, w.keys[i])
	}
	return keys
}

func (w *walker) newShowing() *showing {
	w.showing = append(w.showing, showing{
		identity: w.rand.Uint32(), campaign: w.rand.IntN(6), creative: w.rand.IntN(3), issued: w.now, keys: w.pick(),
	})
	return &w.showing[len(w.showing)-1]
}

func (w *walker) oldShowing() *showing {
	if len(w.showing) == 0 {
		return w.newShowing()
	}
	back := min(w.rand.IntN(len(w.showing)), w.rand.IntN(len(w.showing)), 200)
	return &w.showing[len(w.showing)-1-back]
}

// retention is none for most, also where some have one.
func (w *walker) retention() Retention {
	if len(w.own) == 0 || w.rand.IntN(3) > 0 {
		return 0
	}
	return w.own[w.rand.IntN(len(w.own))]
}

// second is mostly now, sometimes late, very late, or slightly ahead.
func (w *walker) second() Second {
	switch w.rand.IntN(10) {
	case 0:
		return w.now - Second(w.rand.IntN(walkRetention+7200))
	case 1, 2, 3:
		return w.now - Second(w.rand.IntN(600))
	case 4:
		return w.now + Second(w.rand.IntN(300))
	}
	return w.now
}

func (w *walker) step() {
	switch w.rand.IntN(12) {
	case 0: // the clock goes on
		w.now += Second(w.rand.IntN([]int{3, 600, 7200, 40000}[w.rand.IntN(4)]))
	case 1: // the clock steps back
		if w.rand.IntN(20) == 0 {
			w.now -= Second(w.rand.IntN(7200))
		}
	case 2, 3, 4:
		w.expose(w.newShowing())
	case 5:
		w.expose(w.oldShowing())
	case 6:
		s := w.oldShowing()
		until := w.model.now + MaxHold - Second(w.rand.IntN(600))
		if w.model.now == 0 {
			return
		}
		w.store.Release(s.keys, s.identity, until, w.now)
		w.model.release(s.keys, s.identity, until, w.now)
	case 7:
		w.refuse()
	default:
		w.decide()
	}
}

func (w *walker) expose(s *showing) {
	keys := slices.Clone(s.keys)
	if w.rand.IntN(4) == 0 {
		keys = w.pick()
	}
	e := Exposure{Identity: s.identity, At: w.second(), Retention: w.retention()}
	if w.rand.IntN(3) == 0 {
		e.Issued = s.issued
	}
	var beats []uint32
	if w.rand.IntN(5) == 0 {
		beats = append(beats, w.oldShowing().identity)
	}
	scopes := w.scopes(s)
	w.model.expose(keys, e, beats, scopes, w.now)
	w.store.Expose(keys, e, beats, scopes, w.now)
	for i := range keys { // the store must have kept none of it
		keys[i] = Key{}
	}
	clear(beats)
	clear(scopes)
}

func (w *walker) refuse() {
	keys, tag, at := w.pick(), scopeTag(5, w.rand.IntN(4)), w.second()
	var err error
	switch w.rand.IntN(12) {
	case 0:
		if w.rand.IntN(10) == 0 {
			until := w.model.now + Second(w.rand.IntN(300))
			err = w.store.Erase(keys, until, w.now)
			w.model.erase(keys, until, w.now)
		}
	case 1, 2, 3, 4:
		err = w.store.Purchase(keys, []uint64{tag}, at, w.now)
		w.model.buy(keys, tag&^1, at, w.now, false)
	case 5, 6, 7:
		err = w.store.Return(keys, []uint64{tag}, at, w.now)
		w.model.buy(keys, tag&^1, at, w.now, true)
	default:
		value := uint32(w.rand.IntN(3))
		if w.rand.IntN(2) == 0 { // one that passes, about when it does
			tag &^= FieldLasts
			at -= Second(w.rand.IntN(2)) * PassingRetention
		}
		err = w.store.Choose(keys, tag, at, value, w.now)
		w.model.choose(keys, tag|1, at, value, w.now)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *walker) decide() {
	keys := w.pick()
	w.model.tick(w.now)
	m := &modelPerson{m: w.model, keys: slices.Clone(keys)}
	for _, k := range keys {
		w.model.forget(w.model.user(k))
	}
	w.store.Lock(&w.person, keys, w.now)
	clear(keys)
	w.check(m)
	if w.rand.IntN(3) == 0 {
		until := w.model.now + 1 + Second(w.rand.IntN(1200))
		for range 1 + w.rand.IntN(2) {
			s := w.newShowing()
			s.keys = m.keys
			scopes := w.scopes(s)
			w.person.Take(s.identity, until, scopes)
			for _, c := range scopes {
				m.taken = append(m.taken, modelPlace{c.Scope, s.identity})
			}
			clear(scopes)
			w.check(m)
		}
		if w.rand.IntN(2) == 0 {
			own := w.retention()
			w.person.Hold(own)
			w.model.hold(m.keys, m.taken, until, own.Seconds())
			m.taken = nil
			w.check(m)
		}
	}
	w.person.Unlock()
}

// verdict compares what may differ only towards full.
func (w *walker) verdict(what string, got, want bool) {
	w.checked++
	if got == want {
		return
	}
	if want || w.exact {
		w.t.Fatalf("%s: %v, want %v", what, got, want)
	}
	w.fuller++
}

func (w *walker) check(m *modelPerson) {
	p, c := &w.person, w.rand.IntN(6)
	creative, n := w.rand.IntN(3), 1+w.rand.IntN(4)
	for _, scope := range []uint64{campaignScope(c), creativeScope(c, creative), scopeTag(3, c/2), scopeTag(4, 0)} {
		w.checkScope(m, scope)
	}
	w.verdict("run", p.Run(campaignScope(c), creativeScope(c, creative), n), m.run(campaignScope(c), creativeScope(c, creative), n))
	tag := scopeTag(5, w.rand.IntN(4))
	at, ok := p.Purchase(tag)
	if wantAt, want := m.purchase(tag &^ 1); at != wantAt || ok != want {
		w.t.Fatalf("purchase: %d %v, want %d %v", at, ok, wantAt, want)
	}
	if w.rand.IntN(2) == 0 {
		tag &^= FieldLasts
	}
	stamp, value, ok := p.Choice(tag)
	if choice, want := m.choice(tag | 1); stamp != choice.stamp || value != choice.value || ok != want {
		w.t.Fatalf("choice: %d %d %v, want %+v %v", stamp, value, ok, choice, want)
	}
}

func (w *walker) checkScope(m *modelPerson, scope uint64) {
	now := w.model.now
	limit, span := 1+w.rand.IntN(6), uint32(1+w.rand.IntN([]int{900, 7200, walkRetention * 2}[w.rand.IntN(3)]))
	win := Window{Since: now - Second(span), Span: span}
	switch w.rand.IntN(4) {
	case 0: // calendar
		win = Window{Since: now - now%86400, Next: now - now%86400 + 86400}
	case 1: // lifetime
		win = Window{}
	}
	full := w.person.Full(scope, limit, win.Since)
	count := m.count(scope, win.Since, now)
	w.verdict("full", full, count >= limit)
	at, _ := w.person.Newest(scope)
	if want := m.newest(scope); at < want || w.exact && at != want {
		w.t.Fatalf("newest: %d, want %d, now %d", at, want, now)
	}
	u := w.person.Usage(scope, limit, win)
	if free := w.person.Free(scope, limit, win); free != u.Free {
		w.t.Fatalf("free: %d, want %d as in %+v, limit %d", free, u.Free, u, limit)
	}
	if w.person.Unseen(scope) {
		w.unseen++
		if full || at != 0 {
			w.t.Fatalf("unseen, but full %v or shown at %d", full, at)
		}
	}
	if full != (u.Count >= limit || u.Unknown) || full != (u.Free != 0) {
		w.t.Fatalf("usage %+v, full %v, limit %d", u, full, limit)
	}
	if !w.exact {
		return
	}
	if u.Count != count && u.Count < int(w.keep(scope)) {
		w.t.Fatalf("count %d, want %d", u.Count, count)
	}
	if full && (win.Next == 0 || w.now < win.Next-600) {
		w.checkFree(m, scope, limit, win, u.Free)
	}
}

// checkFree: at Free the limit passes, and a second before it does not.
func (w *walker) checkFree(m *modelPerson, scope uint64, limit int, win Window, free Second) {
	since := func(f Second) Second {
		switch {
		case win.Span != 0:
			return f - Second(win.Span)
		case win.Next != 0 && f >= win.Next:
			return win.Next
		}
		return win.Since
	}
	if at, before := m.count(scope, since(free), free), m.count(scope, since(free-1), free-1); at >= limit || before < limit {
		w.t.Fatalf("free at %d (now %d): %d count then and %d a second before, limit %d, %+v", free, w.model.now, at, before, limit, win)
	}
}

func (w *walker) run() {
	for i := range *stepsFlag {
		w.step()
		if i%16 == 0 {
			w.store.Sweep(w.now, 1)
			w.model.tick(w.now)
		}
		if i%256 == 0 {
			for k := range w.store.shards {
				checkTable(w.t, &w.store.shards[k].exposures)
				checkTable(w.t, &w.store.shards[k].refusals)
			}
		}
	}
	w.t.Logf("%d verdicts, %d fuller than the model's, %d scopes unseen; %+v", w.checked, w.fuller, w.unseen, w.store.Stats())
}

// With enough memory, the same Keep throughout and no bound met, no verdict differs from the model's.
func TestModelExact(t *testing.T) { walkExact(t, nil) }

// So it is where showings come with retentions of their own: shorter than the store's, as long, and longer.
func TestModelOwnRetention(t *testing.T) { walkExact(t, []Retention{1, 1, 2, 3, 4, 45}) }

func walkExact(t *testing.T, own []Retention) {
	w := newWalker(t, Options{Memory: 64 << 20, RefusalMemory: 64 << 20, Shards: 4}, 8)
	w.exact, w.own = true, own
	w.run()
	if s := w.store.Stats(); s.EvictedUsers+s.EvictedCuts+s.DroppedScopes != 0 {
		t.Fatalf("something was dropped: %+v", s)
	}
}

// Under eviction, in a memory far too small, verdicts differ towards full only.
func TestModelEviction(t *testing.T) {
	for _, own := range [][]Retention{nil, {3, 4, 45}} {
		walkEviction(t, own)
	}
}

func walkEviction(t *testing.T, own []Retention) {
	w := newWalker(t, Options{Memory: MinShardMemory, RefusalMemory: 64 << 20, Shards: 1}, 1500)
	w.own, w.model.slack = own, 10
	w.run()
	s := w.store.Stats()
	if s.EvictedUsers == 0 || s.Bytes > MinShardMemory {
		t.Fatalf("nothing evicted, or over the budget: %+v", s)
	}
	if w.fuller == 0 {
		t.Fatal("no verdict was fuller: eviction was not seen")
	}
}

// When policies raise and lower what is kept, verdicts differ towards full only.
func TestModelKeepChanges(t *testing.T) {
	w := newWalker(t, Options{Memory: 64 << 20, RefusalMemory: 64 << 20, Shards: 2}, 8)
	w.keep = func(uint64) uint8 { return uint8(1 + w.rand.IntN(6)) }
	w.own, w.model.slack = []Retention{1, 2, 3}, 10
	w.run()
}
