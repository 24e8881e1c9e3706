package caps

// Stats is what the store holds and what it had to give up.
type Stats struct {
	// Users is the number of keys with exposures, holds or a cut; CutOnly, how many of them have a cut and nothing else.
	Users, CutOnly int
	// Counters is the number of scopes of all users.
	Counters int
	// RefusalUsers and Refusals are the number of keys with refusals, and of their purchases and choices.
	RefusalUsers, Refusals int
	// Bytes and RefusalBytes are in use, all in. Pooled is of emptied segments kept for the next.
	Bytes, RefusalBytes, Pooled int64
	// Exposed are exposures that a key's record did not have, as they came, and OverLimit those of them that were too many: see Limits.
	Exposed, OverLimit uint64
	// EvictedExposures were still within the retention when their user made room for another; EvictedUsers are these users.
	EvictedExposures, EvictedUsers uint64
	// EvictedCuts are users of whom not even the cut has a record any more.
	EvictedCuts uint64
	// DroppedScopes went by the bounds of one record: scopes, holds and releases.
	DroppedScopes uint64
	// Late exposures were older than the retention; Erased ones were of a user who was erased later. They were ignored.
	Late, Erased uint64
	// Oldest is what the last full round of Sweep found, before it let go of anything: a round over all that is held lasts some minutes.
	Oldest Oldest
	// Refused is how often ErrFull was returned.
	Refused uint64
}

// Stats adds up all shards, one after the other.
func (s *Store) Stats() (t Stats) {
	for i := range s.shards {
		s.shards[i].addTo(&t)
	}
	t.Pooled = s.pool.bytes()
	t.Late, t.Refused = s.late.Load(), s.refused.Load()
	return t
}

func (sh *shard) addTo(t *Stats) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.sweeps {
		t.Oldest.join(&sh.sweeps[i].last)
	}
	t.Users += sh.exposures.used
	t.CutOnly += sh.cutOnly
	t.Counters += sh.counts.counters
	t.RefusalUsers += sh.refusals.used
	t.Refusals += sh.counts.refusals
	t.Bytes += sh.exposures.bytes() + int64(len(sh.cuts))*4
	t.RefusalBytes += sh.refusals.bytes()
	t.EvictedExposures += sh.counts.evicted
	t.EvictedUsers += sh.counts.evictedUsers
	t.EvictedCuts += sh.counts.evictedCuts
	t.DroppedScopes += sh.counts.droppedScopes
	t.Erased += sh.counts.erased
	t.Exposed += sh.counts.exposed
	t.OverLimit += sh.counts.overLimit
}

// Held is everything that is held about a key.
type Held struct {
	Counters []Counter
	Holds    []Hold
	// Retention is that of the counters and holds, where it is not the store's.
	Retention Retention
	// Cut is the newest second of what was dropped of scopes that have no counter; 0: nothing was. What many users without a record share
	// as theirs is nobody's own and not given.
	Cut Second
	// Erased is the second up to which the user was erased; 0: never.
	Erased    Second
	Purchases []Purchase
	Choices   []Choice
}

// Newest is the newest second of anything but choices, which are stamped and not timed; 0: there is nothing.
func (h *Held) Newest() (at Second) {
	at = h.Cut
	for i := range h.Counters {
		c := &h.Counters[i]
		at = max(at, c.Cut)
		if len(c.Exposures) > 0 {
			at = max(at, c.Exposures[0].At)
		}
	}
	for _, x := range h.Holds {
		if at = max(at, x.Issued); x.Tag == 0 {
			at = max(at, before(x.End, MaxHold))
		}
	}
	for _, x := range h.Purchases {
		at = max(at, x.Bought, x.Returned)
	}
	return at
}

// Counter is the exposures of one scope, newest first.
type Counter struct {
	// Tag is the scope as this user's record has it: TagOf(key, scope).
	Tag       uint32
	Keep      int
	Cut       Second
	Exposures []Exposure
}

// Hold is a place held, or the trace of one that was given back (Tag 0, Issued 0).
type Hold struct {
	Tag, Identity uint32
	Issued, End   Second
}

// Purchase is the last purchase and the last return of a tag, without its lowest bit; 0: none.
type Purchase struct {
	Tag              uint64
	Bought, Returned Second
}

// Choice is the register of a field; the lowest bit of the field is 1.
type Choice struct {
	Field uint64
	Stamp Second
	Value uint32
}

// TagOf is how the key's record names the scope.
func TagOf(key Key, scope uint64) uint32 {
	w := wordsOf(&key)
	return tagOf(scope, multiplierOf(&w))
}

// Lookup returns a copy of everything held about the key at the time.
func (s *Store) Lookup(key Key, now Second) (h Held) {
	r := s.rules(now)
	k := wordsOf(&key)
	hash := hashOf(&k)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var v view
	if sh.view(&v, hash, &k) < 0 {
		v = view{}
	}
	sh.out.join(&k, &v, &view{}, r, sh.exposures.maxWords())
	h.Cut, h.Retention = sh.out.cut, sh.out.own
	for _, e := range sh.out.entries {
		if e.n == 0 && e.cut == sh.out.cut {
			continue // all that it had has expired
		}
		c := Counter{Tag: e.tag, Keep: int(e.keep), Cut: e.cut}
		for i := range e.n {
			at := e.at + 2*i
			c.Exposures = append(c.Exposures, Exposure{At: Second(sh.out.shown[at]), Identity: sh.out.shown[at+1]})
		}
		h.Counters = append(h.Counters, c)
	}
	for _, x := range sh.out.rows {
		h.Holds = append(h.Holds, Hold{Tag: x.tag, Identity: x.identity, Issued: x.issued, End: x.end})
	}
	_, record := sh.refusals.find(hash, &k)
	sh.refuse.join(record, &refusalDraft{}, r)
	h.Erased = sh.refuse.erased
	for _, e := range sh.refuse.entries {
		if e.tag&1 == kindChoice {
			h.Choices = append(h.Choices, Choice{e.tag, e.a, uint32(e.b)})
		} else {
			h.Purchases = append(h.Purchases, Purchase{e.tag, e.a, e.b})
		}
	}
	return h
}
