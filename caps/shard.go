package caps

import (
	"slices"
	"sync"
)

// A shard holds everything about the users whose keys hash to it.
type shard struct {
	mu        sync.Mutex
	exposures table
	refusals  table
	cuts      []uint32 // default cuts of keys without a record, by hash; nil until one is needed
	next      int      // segment that eviction looked at last
	sweeps    [2]round // of exposures and refusals
	random    uint64
	cutOnly   int  // records that are nothing but a cut
	writing   bool // the tables are being changed: see unlock

	exposureBudget int64
	refusalBudget  int64

	counts counts
	delta  draft // what happens
	event  view  // of the delta
	out    draft // what becomes of it
	refuse refusalDraft

	_ [64]byte // shards do not share cache lines
}

// counts are of one shard, guarded by its mutex.
type counts struct {
	counters      int
	refusals      int
	evicted       uint64
	evictedUsers  uint64
	evictedCuts   uint64
	droppedScopes uint64
	erased        uint64
	exposed       uint64
	overLimit     uint64
}

func (sh *shard) init(exposures, refusals int64, p *pool) {
	sh.exposureBudget, sh.refusalBudget = max(exposures, MinShardMemory), refusals
	sh.exposures.init(sh.exposureBudget, p)
	sh.refusals.init(max(refusals, MinShardMemory), p)
	sh.random = 1
	sh.sweeps[0].at, sh.sweeps[1].at = -1, -1
}

func (s *Store) shardOf(hash uint64) *shard { return &s.shards[hash>>s.shift] }

// view loads a key's record of exposures, or what stands for it.
func (sh *shard) view(v *view, hash uint64, key *keyWords) (slot int) {
	slot, record := sh.exposures.find(hash, key)
	if slot >= 0 {
		v.load(record)
	} else {
		*v = view{multiplier: multiplierOf(key), cut: sh.bucket(hash)}
	}
	return slot
}

// applyLocked joins the event into the key's record.
func (sh *shard) applyLocked(hash uint64, key *keyWords, event *view, r rules) {
	sh.writing = true
	sh.makeRoom(r.forAll())
	sh.writing = false
	var held view
	slot := sh.view(&held, hash, key)
	before, wasCut := held.n, slot >= 0 && held.cutOnly()
	sh.out.join(key, &held, event, r, sh.exposures.maxWords())
	record := sh.out.encode()
	sh.writing = true
	sh.counts.droppedScopes += uint64(sh.out.dropped)
	sh.counts.counters += len(sh.out.entries) - before
	if wasCut {
		sh.cutOnly--
	}
	if len(record) == headWords {
		sh.cutOnly++
	}
	switch {
	case record != nil:
		sh.exposures.put(slot, hash, record)
	case slot >= 0:
		sh.exposures.delete(slot)
	}
	sh.writing = false
}

// makeRoom evicts until the next change fits the budget.
func (sh *shard) makeRoom(r rules) {
	t := &sh.exposures
	for i := 0; ; i++ {
		need := t.bytes() + int64(len(sh.cuts))*4
		if t.room() < t.maxWords() {
			need += t.segmentBytes() // to append to
		}
		if (t.used+1)*4 > len(t.slots)*3 {
			need += int64(t.grown()-len(t.slots)) * 8
		}
		if need+t.segmentBytes() <= sh.exposureBudget { // and one to move records to
			return
		}
		sh.evict(r, i > 4*len(t.segments))
		for n := 0; n < 4 && t.gaps*8 > t.words && t.clean(); n++ {
		}
		if t.used == 0 {
			t.release()
			return
		}
	}
}

// evict goes through one segment. What has expired goes; of the rest, the users idle longest leave their cut only, and where such cuts take
// more than a quarter of the live memory, the older of them go into the buckets. Who is idle longest is estimated from a sample (as
// Redis does it): the idlest quarter of it. When all is set, everyone is idle.
func (sh *shard) evict(r rules, all bool) {
	t := &sh.exposures
	idle, oldCut := sh.sample()
	if all {
		idle, oldCut = Never, Never
	}
	t.advance(&sh.next)
	t.walk(sh.next, func(record []uint32, ref uint32) {
		if sh.expire(record, ref, r) {
			sh.evictRecord(t.at(ref), ref, idle, oldCut, r)
		}
	})
}

func (sh *shard) evictRecord(record []uint32, ref uint32, idle, oldCut Second, r rules) {
	t := &sh.exposures
	var v view
	v.load(record[:record[0]&sizeMask])
	last := v.activity()
	key := keyWords(record[1:5])
	switch {
	case v.cutOnly() && last <= oldCut || last == 0: // without activity there are only releases
		sh.counts.counters -= v.n
		if v.cutOnly() {
			sh.raiseBucket(hashOf(&key), last)
			sh.counts.evictedCuts++
			sh.cutOnly--
		}
		slot := t.slotOf(record, ref)
		t.free(ref)
		t.remove(slot)
	case !v.cutOnly() && last <= idle:
		sh.counts.evicted += uint64(v.exposuresSince(r.own(v.retention()).floor))
		sh.counts.evictedUsers++
		sh.counts.counters -= v.n
		sh.cutOnly++
		t.rewrite(ref, []uint32{headWords | uint32(v.retention())<<retentionShift, key[0], key[1], key[2], key[3], uint32(last), 0, 0})
	}
}

func (v *view) exposuresSince(floor Second) (n int) {
	for i := range v.n {
		k := v.entry(i)
		for j := 0; j < k.len() && k.second(j) >= floor; j++ {
			n++
		}
	}
	return n
}

// sampled users give the threshold of eviction; they are looked for among eight times as many records. Chosen.
const sampled = 32

// sample estimates below which activity a user is among the idlest quarter, and below which a cut is among the older half, if cuts must
// go. Zero: none.
func (sh *shard) sample() (idle, oldCut Second) {
	t := &sh.exposures
	if t.used == 0 {
		return 0, 0
	}
	var users [sampled]Second
	var cuts [8 * sampled]Second
	nu, nc := 0, 0
	for try := 0; try < 8*sampled && nu < sampled; try++ {
		sh.random = sh.random*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
		i := int((sh.random >> 32) * uint64(len(t.slots)) >> 32)
		for t.slots[i] == 0 {
			if i++; i == len(t.slots) {
				i = 0
			}
		}
		var v view
		w := t.at(uint32(t.slots[i]) - 1)
		v.load(w[:w[0]&sizeMask])
		if v.cutOnly() {
			cuts[nc] = v.cut
			nc++
		} else {
			users[nu] = v.activity()
			nu++
		}
	}
	if nu > 0 {
		slices.Sort(users[:nu])
		idle = users[nu/4]
	}
	if nc > 0 && (nu == 0 || sh.cutOnly*headWords*4 > t.live()) {
		slices.Sort(cuts[:nc])
		oldCut = cuts[nc/2]
	}
	return idle, oldCut
}

// bucket is the default cut of a key that has no record. A bucket is a word for each 256 bytes of the budget; all keys of a bucket that
// have no record share the newest cut that was put there, until no window reaches back to it. It is nobody's own: an erasure leaves it, and
// AppendExposures does not encode it.
func (sh *shard) bucket(hash uint64) Second {
	if sh.cuts == nil {
		return 0
	}
	return Second(sh.cuts[uint64(uint32(hash))*uint64(len(sh.cuts))>>32])
}

func (sh *shard) raiseBucket(hash uint64, cut Second) {
	if sh.cuts == nil {
		sh.cuts = make([]uint32, sh.exposureBudget/256)
	}
	at := uint64(uint32(hash)) * uint64(len(sh.cuts)) >> 32
	sh.cuts[at] = max(sh.cuts[at], uint32(cut))
}
