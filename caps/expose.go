package caps

import (
	"cmp"
	"slices"
)

// Exposure is one showing.
type Exposure struct {
	// Identity is 32 bits of a hash of what makes the showing this one. The same identity is the same exposure.
	Identity uint32
	// At is when it was shown.
	At Second
	// Issued is when it was decided, if that is known (from a token), else 0. An exposure issued at or before the user's erasure is ignored.
	Issued Second
	// Retention is that of where it was shown; 0: the store's. The records it goes into have it from then on (see Retention).
	Retention Retention
}

// Counted names a counter that an exposure goes into.
type Counted struct {
	// Scope is the tag of the campaign, advertiser, group, ...
	Scope uint64
	// Keep is how many of the newest exposures the counter keeps: no less than the largest limit asked of it, and no less than the n that
	// Run is asked of it. Zero is taken as 1.
	Keep uint8
}

// Exposed says what became of an exposure.
type Exposed struct {
	// Late: it is older than the retention, the store's or its own, and was ignored.
	Late bool
	// Erased is for how many of the keys it was ignored, because the user was erased later.
	Erased int
	// Known: the counter of the first scope has it already, for one of the keys.
	Known bool
	// Untold: it had dropped something as late as this, for one of the keys, so it cannot tell.
	Untold bool
}

// Expose counts one showing to the person with these keys. beats are the identities of holds that it uses up, besides its own. It is safe
// to call again with the same exposure, in any order with others; of two times the later stands.
func (s *Store) Expose(keys []Key, e Exposure, beats []uint32, scopes []Counted, now Second) (x Exposed) {
	return s.expose(keys, e, beats, Never, scopes, now)
}

// expose is Expose where the holds that are used up are those that end at or before until, at most MaxHold from now.
func (s *Store) expose(keys []Key, e Exposure, beats []uint32, until Second, scopes []Counted, now Second) (x Exposed) {
	r := s.rules(now)
	until = min(until, after(r.now, MaxHold))
	if e.At < r.own(e.Retention).floor {
		s.late.Add(1)
		return Exposed{Late: true}
	}
	for i := range keys {
		key := wordsOf(&keys[i])
		hash := hashOf(&key)
		of := s.shardOf(hash).expose(hash, &key, &e, beats, until, scopes, s.limits.Load(), r)
		x.Erased += of.Erased
		x.Known, x.Untold = x.Known || of.Known, x.Untold || of.Untold
	}
	return x
}

// expose counts the showing to one key, unless the user was erased later.
func (sh *shard) expose(hash uint64, key *keyWords, e *Exposure, beats []uint32, until Second, scopes []Counted, limits *Limits, r rules) (x Exposed) {
	sh.mu.Lock()
	defer sh.unlock()
	since := sh.erased(hash, key)
	if since != 0 && (e.At <= since || e.Issued != 0 && e.Issued <= since) {
		sh.counts.erased++
		return Exposed{Erased: 1}
	}
	if len(scopes) > 0 {
		var held view
		sh.view(&held, hash, key)
		k := held.find(scopes[0].Scope)
		x.Known, x.Untold = k.has(e.Identity, k.len()), e.At <= k.cut
		if !x.Known && !x.Untold {
			sh.counts.exposed++
			if limits != nil && limits.exceeded(&held, scopes, e.At) {
				sh.counts.overLimit++
			}
		}
	}
	sh.delta.reset(key)
	sh.delta.own = e.Retention
	sh.delta.addShown(e, scopes)
	for _, identity := range beats {
		sh.delta.rows = append(sh.delta.rows, row{identity: identity, end: until})
	}
	sh.applyDeltaLocked(hash, key, r.under(since))
	return x
}

// Release gives back the places held under the identity: its holds that end at or before until, now and whenever they come. An until
// later than now+MaxHold, or 0, is taken as that.
func (s *Store) Release(keys []Key, identity uint32, until, now Second) {
	r := s.rules(now)
	latest := after(r.now, MaxHold)
	if until == 0 || until > latest {
		until = latest
	}
	for i := range keys {
		key := wordsOf(&keys[i])
		hash := hashOf(&key)
		s.shardOf(hash).release(hash, &key, identity, until, r)
	}
}

func (sh *shard) release(hash uint64, key *keyWords, identity uint32, until Second, r rules) {
	sh.mu.Lock()
	defer sh.unlock()
	sh.delta.reset(key)
	sh.delta.rows = append(sh.delta.rows, row{identity: identity, end: until})
	sh.applyDeltaLocked(hash, key, r.under(sh.erased(hash, key)))
}

// hold places a hold that Person.Hold took in another store, at the second now and with the own retention. A late one that has ended, or was beaten, comes to nothing.
func (s *Store) hold(keys []Key, identity uint32, until Second, scopes []Counted, own Retention, now Second) {
	r := s.rules(now)
	until = min(until, after(now, MaxHold))
	if until <= r.now {
		return
	}
	for i := range keys {
		key := wordsOf(&keys[i])
		hash := hashOf(&key)
		s.shardOf(hash).hold(hash, &key, identity, until, scopes, own, now, r)
	}
}

func (sh *shard) hold(hash uint64, key *keyWords, identity uint32, until Second, scopes []Counted, own Retention, now Second, r rules) {
	multiplier := multiplierOf(key)
	sh.mu.Lock()
	defer sh.unlock()
	sh.delta.reset(key)
	sh.delta.own = own
	for _, c := range scopes {
		sh.delta.rows = append(sh.delta.rows, row{tag: tagOf(c.Scope, multiplier), identity: identity, end: until, issued: now})
	}
	sh.applyDeltaLocked(hash, key, r.under(sh.erased(hash, key)))
}

// applyDeltaLocked joins sh.delta into the key's record.
func (sh *shard) applyDeltaLocked(hash uint64, key *keyWords, r rules) {
	words := sh.delta.encode()
	if words == nil {
		return
	}
	sh.event.load(words)
	sh.applyLocked(hash, key, &sh.event, r)
}

// addShown adds an entry of one exposure for each scope.
func (d *draft) addShown(e *Exposure, scopes []Counted) {
	multiplier := multiplierOf(&d.key)
	for _, c := range scopes {
		tag := tagOf(c.Scope, multiplier)
		at, found := slices.BinarySearchFunc(d.entries, tag, func(x draftEntry, tag uint32) int { return cmp.Compare(x.tag, tag) })
		if found {
			d.entries[at].keep = max(d.entries[at].keep, c.Keep)
			continue
		}
		d.entries = slices.Insert(d.entries, at, draftEntry{tag: tag, at: 0, n: 1, keep: max(1, c.Keep)})
	}
	d.shown = append(d.shown, uint32(e.At), e.Identity)
}
