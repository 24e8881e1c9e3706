package caps

import "slices"

// A Person is one person's records, locked: what a decision reads and where it takes places. The zero value is ready; used again, it
// allocates nothing after warm-up. It belongs to one goroutine. Between Lock and Unlock no other call about these keys gets through, so
// that what was read still holds when a place is taken; do nothing slow there and call no method of the Store.
type Person struct {
	store *Store
	rules rules
	locks
	views      [MaxKeys]view // of the keys of which anything is known
	n          int
	holds      []liveHold // by view
	fates      []fate
	taken      []place
	takenSig   uint64
	unseen     filter
	multiplier uint64 // of the tags in unseen
	seen       []uint32
	held       int // of seen: holds and places taken
	leaves     []Second
	refusals   [MaxKeys][]uint32
	nrefusals  int // -1: not looked up yet
}

// liveHold is a hold that no record of the person beats.
type liveHold struct {
	view int
	row
}

// fate is whether a hold of the identity that ends then is beaten.
type fate struct {
	identity uint32
	end      Second
	beaten   bool
}

// place is a showing of this answer in one scope.
type place struct {
	scope    uint64
	identity uint32
	until    Second
}

// Lock locks the records of the person with these keys, of which there are at most MaxKeys (it panics on more); a key that comes twice
// counts once. The keys are copied.
func (s *Store) Lock(p *Person, keys []Key, now Second) {
	s.Acquire(p, keys, now)
	read := false
	defer func() { // the caller does not unlock what was not locked for it
		if !read {
			p.Unlock()
		}
	}()
	p.Load()
	read = true
}

// Acquire is the first half of Lock, Load the second. Acquire locks, and has the processor fetch where the records will be looked for;
// what the caller does in between, which should be little, is not spent waiting for memory.
func (s *Store) Acquire(p *Person, keys []Key, now Second) {
	p.store, p.rules = s, s.rules(now)
	p.lock(s, keys)
	for i := range p.nkeys {
		sh := s.shardOf(p.hashes[i])
		sh.exposures.prefetch(p.hashes[i])
		sh.refusals.prefetch(p.hashes[i])
	}
}

// Load looks the records up.
func (p *Person) Load() { p.read() }

// Unlock lets go of the records.
func (p *Person) Unlock() {
	p.unlock(p.store)
	clear(p.views[:p.n])
	clear(p.refusals[:max(0, p.nrefusals)])
	p.n, p.nrefusals = 0, 0
	p.holds, p.taken, p.takenSig = p.holds[:0], p.taken[:0], 0
}

// read looks the records up.
func (p *Person) read() {
	p.n, p.nrefusals = 0, -1
	p.holds, p.taken, p.takenSig = p.holds[:0], p.taken[:0], 0
	held := false
	for i := range p.nkeys {
		v := &p.views[p.n]
		p.store.shardOf(p.hashes[i]).view(v, p.hashes[i], &p.keys[i])
		if v.words != nil || v.cut >= p.rules.floor {
			v.floor = max(p.rules.floor, v.retention().floor(p.rules.now))
			p.n++
			held = held || len(v.rows()) > 0
		}
	}
	if held {
		p.readHolds()
	}
	switch {
	case p.n == 0:
		p.unseen, p.multiplier = filter{}, 1
	case p.n == 1 && len(p.holds) == 0 && p.views[0].cut < p.views[0].floor:
		p.unseen, p.multiplier = filter{}, p.views[0].multiplier
		for i := range p.views[0].n {
			p.unseen.add(p.views[0].tag(i))
		}
	default:
		p.unseen = anything
	}
}

// filter is a set of tags with false positives: for a user with 20 scopes, one scope in 50 that is none of them. The signature in a
// record, which takes less memory, lets one in four pass.
type filter [16]uint64

func (f *filter) add(tag uint32)      { f[tag>>6&15] |= 1 << (tag & 63) }
func (f *filter) has(tag uint32) bool { return f[tag>>6&15]>>(tag&63)&1 != 0 }

// anything is the filter of a person of whom one record does not say everything.
var anything = func() (f filter) {
	for i := range f {
		f[i] = ^uint64(0)
	}
	return f
}()

// Unseen reports whether nothing at all counts in the scope, so that every limit of at least 1 and every spacing passes. False says
// nothing: ask. It is one bit test, for the many scopes that a person has never seen.
func (p *Person) Unseen(scope uint64) bool { return !p.unseen.has(tagOf(scope, p.multiplier)) }

// readHolds gathers the live holds that no record beats. Within its own record a hold that is beaten has gone already.
func (p *Person) readHolds() {
	p.fates = p.fates[:0]
	for i := range p.n {
		rows := p.views[i].rows()
		for k := range len(rows) / rowWords {
			h := rowAt(rows, k)
			if h.tag != 0 && h.end > p.rules.now && h.issued >= p.views[i].floor && !p.beaten(h.identity, h.end) {
				p.holds = append(p.holds, liveHold{view: i, row: h})
			}
		}
	}
}

// beaten reports whether a record of the person beats a hold of the identity that ends then. One hold stands under several scopes in
// several records, so what was found is kept.
func (p *Person) beaten(identity uint32, end Second) bool {
	for i := range p.fates {
		if f := &p.fates[i]; f.identity == identity && f.end == end {
			return f.beaten
		}
	}
	beaten := false
	for i := 0; i < p.n && p.n > 1 && !beaten; i++ {
		beaten = p.views[i].beats(identity, end)
	}
	p.fates = append(p.fates, fate{identity, end, beaten})
	return beaten
}

// beats reports whether the record has a release of the identity, or an exposure, that a hold which ends then does not outlast.
func (v *view) beats(identity uint32, end Second) bool {
	rows := v.rows()
	for i := range len(rows) / rowWords {
		if x := rowAt(rows, i); x.tag != 0 {
			break
		} else if x.identity == identity && x.end >= end {
			return true
		}
	}
	for i := range v.n {
		k := v.entry(i)
		for j := 0; j < k.len() && k.second(j) >= v.floor && after(k.second(j), MaxHold) >= end; j++ {
			if k.identity(j) == identity {
				return true
			}
		}
	}
	return false
}

// Full reports whether at least limit showings of the scope count from the second since on: exposures (also future ones), united by
// identity over the person's keys, live holds, and the places taken in this answer. It is also full when something at or after since had
// to be dropped.
func (p *Person) Full(scope uint64, limit int, since Second) bool {
	if p.n == 1 && len(p.holds) == 0 && len(p.taken) == 0 {
		since = max(since, p.views[0].floor)
		k := p.views[0].find(scope)
		return k.cut >= since || limit <= 0 || k.len() >= limit && k.second(limit-1) >= since
	}
	return p.fullUnited(scope, limit, since)
}

// fullUnited is Full for several records, holds and places. Showings are told apart by identity only where the sum could reach the limit.
func (p *Person) fullUnited(scope uint64, limit int, since Second) bool {
	if limit <= 0 {
		return true
	}
	sum := 0
	for i := range p.n {
		k, since := p.views[i].find(scope), max(since, p.views[i].floor)
		if k.cut >= since || k.len() >= limit && k.second(limit-1) >= since {
			return true
		}
		sum += k.len()
	}
	if sum+len(p.holds)+len(p.taken) < limit {
		return false
	}
	p.gather(scope, since, limit, nil)
	return len(p.seen) >= limit
}

// gather puts the identities of the showings that count into p.seen, at least limit of them if there are as many, and what leave says of
// each into p.leaves.
func (p *Person) gather(scope uint64, since Second, limit int, w *Window) {
	p.seen, p.leaves, p.held = p.seen[:0], p.leaves[:0], 0
	for i := range p.n {
		k, since := p.views[i].find(scope), max(since, p.views[i].floor)
		others := len(p.seen) // an identity comes once in a record
		for j := 0; j < k.len() && k.second(j) >= since && len(p.seen) < limit; j++ {
			at := slices.Index(p.seen[:others], k.identity(j))
			if at < 0 {
				p.seen = append(p.seen, k.identity(j))
				if w != nil {
					p.leaves = append(p.leaves, p.leave(w, i, k.second(j)))
				}
			} else if w != nil {
				p.leaves[at] = max(p.leaves[at], p.leave(w, i, k.second(j)))
			}
		}
	}
	tag, of := uint32(0), -1
	for i := range p.holds {
		h := &p.holds[i]
		if h.view != of {
			tag, of = p.views[h.view].tagOf(scope), h.view
		}
		if h.tag == tag && len(p.seen) < limit {
			p.count(h.identity, h.end, w)
		}
	}
	if p.takenSig>>(scope&63)&1 == 0 {
		return
	}
	for i := range p.taken {
		if x := &p.taken[i]; len(p.seen) < limit && x.scope == scope {
			leaves := Second(0)
			if w != nil {
				leaves = w.leave(p.rules.now, p.rules.now, p.store.retention.Load())
			}
			p.count(x.identity, leaves, w)
		}
	}
}

// count adds a hold or a place taken to what gather gathers.
func (p *Person) count(identity uint32, leaves Second, w *Window) {
	at := slices.Index(p.seen, identity)
	if at < 0 {
		p.seen = append(p.seen, identity)
		p.held++
		if w != nil {
			p.leaves = append(p.leaves, leaves)
		}
	} else if w != nil {
		p.leaves[at] = max(p.leaves[at], leaves)
	}
}

// Newest returns when the scope was shown last: the newest exposure, issue of a live hold, or cut. Places taken in this answer do not
// count: the ads of one answer are one moment.
func (p *Person) Newest(scope uint64) (at Second, ok bool) {
	for i := range p.n {
		k := p.views[i].find(scope)
		newest := k.cut
		if k.len() > 0 {
			newest = max(newest, k.second(0))
		}
		if newest >= p.views[i].floor {
			at = max(at, newest)
		}
	}
	for i := range p.holds {
		if h := &p.holds[i]; h.issued > at && h.tag == p.views[h.view].tagOf(scope) {
			at = h.issued
		}
	}
	return at, at != 0
}

// Take takes a place in this answer for a showing under the scopes (of which Keep is not used). until is how long Hold keeps it: at most
// MaxHold from now, or 0 for not at all.
func (p *Person) Take(identity uint32, until Second, scopes []Counted) {
	until = min(until, after(p.rules.now, MaxHold))
	p.unseen = anything
	for _, c := range scopes {
		p.taken = append(p.taken, place{c.Scope, identity, until})
		p.takenSig |= 1 << (c.Scope & 63)
	}
}

// Hold turns the places taken into holds, each until the second that Take gave it, in every record of the person. The places that are
// not held are free again. own is the retention of where the places are to be shown, as of an Exposure; 0: the store's.
func (p *Person) Hold(own Retention) {
	if len(p.taken) == 0 {
		return
	}
	for i := range p.nkeys {
		sh := p.store.shardOf(p.hashes[i])
		sh.delta.reset(&p.keys[i])
		sh.delta.own = own
		multiplier := multiplierOf(&p.keys[i])
		for _, x := range p.taken {
			if x.until > p.rules.now {
				h := row{tag: tagOf(x.scope, multiplier), identity: x.identity, end: x.until, issued: p.rules.now}
				sh.delta.rows = append(sh.delta.rows, h)
			}
		}
		sh.applyDeltaLocked(p.hashes[i], &p.keys[i], p.rules.under(sh.erased(p.hashes[i], &p.keys[i])))
	}
	p.read()
}

// readRefusals looks the records of refusals up, when they are first asked for.
func (p *Person) readRefusals() {
	p.nrefusals = 0
	for i := range p.nkeys {
		if _, record := p.store.shardOf(p.hashes[i]).refusals.find(p.hashes[i], &p.keys[i]); record != nil {
			p.refusals[p.nrefusals] = record
			p.nrefusals++
		}
	}
}

// Refused reports whether anything is held that Purchase, Choice or Erased could return.
func (p *Person) Refused() bool {
	if p.nrefusals < 0 {
		p.readRefusals()
	}
	return p.nrefusals > 0
}

// Purchase returns when the person last bought what the tag stands for, unless it was given back since, over all keys: a return under
// one identifier undoes a purchase under another.
func (p *Person) Purchase(tag uint64) (at Second, ok bool) {
	if p.nrefusals < 0 {
		p.readRefusals()
	}
	back := Second(0)
	for _, record := range p.refusals[:p.nrefusals] {
		e, _ := findRefusal(record, tag&^1|kindPurchase)
		at, back = max(at, e.a), max(back, e.b)
	}
	if at <= back || at < p.rules.purchaseFloor {
		return 0, false
	}
	return at, true
}

// Choice returns the register of the field, with the largest value over all keys.
func (p *Person) Choice(field uint64) (stamp Second, value uint32, ok bool) {
	if p.nrefusals < 0 {
		p.readRefusals()
	}
	for _, record := range p.refusals[:p.nrefusals] {
		e, found := findRefusal(record, field|kindChoice)
		if found && field&FieldLasts == 0 && e.a < p.rules.passingFloor {
			continue
		}
		if found && (!ok || uint32(e.b) > value || uint32(e.b) == value && e.a > stamp) {
			stamp, value, ok = e.a, uint32(e.b), true
		}
	}
	return stamp, value, ok
}

// Erased is the second up to which the person was erased, over all keys; 0: never. What was issued at or before it is to be ignored.
func (p *Person) Erased() (until Second) {
	if p.nrefusals < 0 {
		p.readRefusals()
	}
	for _, record := range p.refusals[:p.nrefusals] {
		until = max(until, Second(record[wordErased]))
	}
	return until
}
