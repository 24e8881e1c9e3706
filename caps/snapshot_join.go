package caps

import "slices"

// A Join merges the snapshot of another store into one that has records of its own.
//
// The cut of a bucket there stands for every key of the bucket that has no record there: somebody of them was evicted whole. One of these
// keys may have a record here, made since or before, that knows nothing of what was evicted, and a record hides the bucket. So the cut goes
// into each record here whose key had none there. Keys that had one there are as they were joined: nothing of them was in the bucket
// without being in the record too, since a record that is made takes the cut of its bucket along.
//
// To tell the two apart a Join keeps 8 bytes of hash for each key in the snapshot; two keys of one hash would be taken for one, of
// a billion keys any two with a probability of 3 %, and then it must be these that matter. It belongs to one snapshot, and is let go after it.
type Join struct {
	store *Store
	met   []met // by shard, guarded by the shard's mutex
}

// met are the hashes of a shard's keys that had a record in the snapshot.
type met struct {
	hashes []uint64
	sorted bool
}

// NewJoin begins a Join into the store.
func (s *Store) NewJoin() *Join {
	return &Join{store: s, met: make([]met, len(s.shards))}
}

// Merge is Store.MergeSnapshot for a store that has records of its own. All exposures of the snapshot are to be merged before its first
// cuts, as AppendSnapshot gives them.
func (j *Join) Merge(enc []byte, now Second) error { return j.store.mergeSnapshot(enc, now, j) }

// HasCuts reports whether the kind, byte 1 of a record in a snapshot, is that of cuts of buckets, for which alone a Join does what
// Store.MergeSnapshot does not.
func HasCuts(kind byte) bool { return kind == wireCuts }

// meet notes that the key with the hash had a record. Its shard is locked.
func (j *Join) meet(hash uint64) {
	m := &j.met[hash>>j.store.shift]
	m.hashes, m.sorted = append(m.hashes, hash), false
}

// has reports whether the key with the hash had a record. Its shard is locked.
func (j *Join) has(hash uint64) bool {
	m := &j.met[hash>>j.store.shift]
	if !m.sorted {
		slices.Sort(m.hashes)
		m.sorted = true
	}
	_, found := slices.BinarySearch(m.hashes, hash)
	return found
}

// theirCuts are the cuts of one record of a snapshot: those of some buckets of a shard there.
type theirCuts struct {
	shift   uint   // of a hash, to its shard there
	shard   uint64 // there
	buckets uint64 // of the shard
	first   uint64 // the bucket of cut 0
	n       uint64
	cut     func(i uint64) Second
}

// of is the cut that stands for a hash; 0: none here.
func (c *theirCuts) of(hash uint64) Second {
	i := uint64(uint32(hash))*c.buckets>>32 - c.first
	if hash>>c.shift != c.shard || i >= c.n {
		return 0
	}
	return c.cut(i)
}

// cutRecords puts the cuts into the records of the locked shard whose keys had no record there.
func (m *merger) cutRecords(c *theirCuts) {
	sh := m.locked
	t := &sh.exposures
	if t.used == 0 {
		return
	}
	// What is put moves records and may evict others: the keys are gathered first.
	low, high := firstOf(int(c.first), int(c.buckets)), firstOf(int(c.first+c.n), int(c.buckets))-1
	m.keys = m.keys[:0]
	var buffer [16]uint64
	for home := t.home(uint32(low)); home <= t.home(uint32(high)); home++ {
		for _, slot := range t.slotsBetween(buffer[:0], home, low, high) {
			key := keyWords(t.at(uint32(slot) - 1)[1:5])
			if hash := hashOf(&key); c.of(hash) >= m.rules.floor && !m.join.has(hash) {
				m.keys = append(m.keys, key)
			}
		}
	}
	for i := range m.keys {
		key := &m.keys[i]
		hash := hashOf(key)
		sh.applyLocked(hash, key, &view{multiplier: multiplierOf(key), cut: c.of(hash)}, m.rules.under(sh.erased(hash, key)))
	}
}
