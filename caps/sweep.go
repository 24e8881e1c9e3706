package caps

// Sweep lets go of what has expired, in the next so many segments of exposures and of refusals (at most 64 KiB each, one shard at a
// time, under its lock for some tens of us, longer where much has expired). Call it regularly: nothing else forgets users who never come back, unless memory runs short.
// Stats.Bytes/64 KiB calls of one segment are a full round, or somewhat more.
func (s *Store) Sweep(now Second, segments int) {
	r := s.rules(now)
	for range segments {
		sh := &s.shards[(s.cursor.Add(1)-1)%uint64(len(s.shards))]
		sh.sweep(r)
	}
}

func (sh *shard) sweep(r rules) {
	sh.mu.Lock()
	defer sh.unlock()
	sh.writing = true
	sh.sweepExposures(r)
	sh.sweepRefusals(r)
	sh.writing = false
}

func (sh *shard) sweepExposures(r rules) {
	way := &sh.sweeps[0]
	way.next(sh.exposures.advance(&way.at))
	sh.exposures.walk(way.at, func(record []uint32, ref uint32) {
		var held view
		held.load(record)
		way.found.addExposures(&held)
		sh.expire(record, ref, r)
	})
	sh.exposures.tidy()
}

// expire takes what has expired out of a record. It reports whether anything is left.
func (sh *shard) expire(record []uint32, ref uint32, r rules) bool {
	t := &sh.exposures
	var held view
	held.load(record)
	if !held.hasExpired(r) {
		return true
	}
	key := keyWords(record[1:5])
	sh.out.join(&key, &held, &view{}, r, t.maxWords())
	left := sh.out.encode()
	sh.counts.counters += len(sh.out.entries) - held.n
	if held.cutOnly() {
		sh.cutOnly--
	}
	if left == nil {
		slot := t.slotOf(record, ref)
		t.free(ref)
		t.remove(slot)
		return false
	}
	if len(left) == headWords {
		sh.cutOnly++
	}
	t.rewrite(ref, left)
	return true
}

func (sh *shard) sweepRefusals(r rules) {
	t, way := &sh.refusals, &sh.sweeps[1]
	way.next(t.advance(&way.at))
	t.walk(way.at, func(record []uint32, ref uint32) {
		way.found.addRefusals(record)
		if !refusalsExpired(record, r) {
			return
		}
		key := keyWords(record[1:5])
		sh.refuse.join(record, &refusalDraft{}, r)
		sh.counts.refusals += len(sh.refuse.entries) - refusalCount(record)
		if left := sh.refuse.encode(&key); left == nil {
			slot := t.slotOf(record, ref)
			t.free(ref)
			t.remove(slot)
		} else {
			t.rewrite(ref, left)
		}
	})
	t.tidy()
}

// advance moves *at to the next segment in use, and reports whether it begins anew.
func (t *table) advance(at *int) (anew bool) {
	for range t.segments {
		if *at++; *at >= len(t.segments) {
			*at, anew = 0, true
		}
		if t.segments[*at].words != nil {
			return anew
		}
	}
	return true // none is in use
}

// walk visits the records of a segment. visit may shorten or free the record that it is given, no other.
func (t *table) walk(at int, visit func(record []uint32, ref uint32)) {
	if at < 0 || at >= len(t.segments) {
		return
	}
	g := &t.segments[at]
	for i := 0; i < g.end; {
		size := int(g.words[i] & sizeMask)
		if g.words[i]&gapBit == 0 {
			visit(g.words[i:i+size], uint32(at)<<t.bits|uint32(i))
		}
		i += size
	}
}
