package caps

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
)

// A merger joins the records of a snapshot into a store. It keeps the lock of a shard for as long as the records are of that shard.
type merger struct {
	store  *Store
	rules  rules
	locked *shard
	join   *Join // nil: the store has no records of other origin
	words  []uint32
	event  refusalDraft
	keys   []keyWords
}

var mergers = sync.Pool{New: func() any { return new(merger) }}

// MergeSnapshot joins what AppendSnapshot appended, in one step or several, into the store. Steps of one kind may be
// merged at the same time, in any order; the kinds go one after the other, as AppendSnapshot gives them. The store may have other shards and budgets than the one that the
// snapshot is of; it is then the more careful for it, as the cut of a bucket goes to every bucket that shares a hash with it.
//
// The cut of a bucket stands for keys that have no record here when it comes. So merge a snapshot before the changes made since, and into a
// store that has records of other origin by a Join.
//
// Refusals go in also over their budget, since they must not be lost. It returns ErrFull when one user's record of them is too large for
// this store, and ErrMalformed for what AppendSnapshot cannot have written. What came before that has been merged.
func (s *Store) MergeSnapshot(enc []byte, now Second) error { return s.mergeSnapshot(enc, now, nil) }

func (s *Store) mergeSnapshot(enc []byte, now Second, j *Join) error {
	m := mergers.Get().(*merger)
	m.store, m.rules, m.join = s, s.rules(now), j
	defer func() {
		m.lock(nil)
		m.store, m.join = nil, nil
		mergers.Put(m)
	}()
	for len(enc) > 0 {
		size, err := snapshotRecord(enc)
		if err != nil {
			return err
		}
		switch enc[1] {
		case wireExposures:
			err = m.exposures(enc[:size])
		case wireRefusals:
			err = m.refusals(enc[:size])
		case wireBeside:
			m.lock(nil) // nothing of a shard is locked while others are waited for
			err = s.mergeBeside(enc[:size])
		default:
			err = m.cuts(enc[:size])
		}
		if err != nil {
			return err
		}
		enc = enc[size:]
	}
	return nil
}

// snapshotRecord returns the size of the record that enc begins with.
func snapshotRecord(enc []byte) (size int, err error) {
	if len(enc) < wireHead+4 {
		return 0, fmt.Errorf("%w: %d bytes", ErrMalformed, len(enc))
	}
	switch enc[1] {
	case wireExposures, wireRefusals:
		size = wireHead + 4*int(binary.LittleEndian.Uint32(enc[wireHead:])&sizeMask)
	case wireBeside:
		n := binary.LittleEndian.Uint32(enc[4:])
		if n > MaxBeside {
			return 0, fmt.Errorf("%w: %d bytes of what is kept beside", ErrMalformed, n)
		}
		size = wireBesideHead + int(n)
	case wireCuts:
		if len(enc) < wireCutsHead {
			return 0, fmt.Errorf("%w: %d bytes of cuts", ErrMalformed, len(enc))
		}
		if n := binary.LittleEndian.Uint32(enc[16:]); n == 0 || uint64(n) > uint64(len(enc)-wireCutsHead)/4 {
			return 0, fmt.Errorf("%w: %d cuts", ErrMalformed, n)
		} else {
			size = wireCutsHead + 4*int(n)
		}
	default:
		return 0, fmt.Errorf("%w: record of kind %d", ErrMalformed, enc[1])
	}
	if size > len(enc) || size < wireHead+4 {
		return 0, fmt.Errorf("%w: record of %d bytes, there are %d", ErrMalformed, size, len(enc))
	}
	return size, nil
}

// lock locks the shard, nil for none, and unlocks the one before.
func (m *merger) lock(sh *shard) {
	if m.locked == sh {
		return
	}
	if m.locked != nil {
		m.locked.unlock()
	}
	if m.locked = sh; sh != nil {
		sh.mu.Lock()
	}
}

// exposures merges a record. One of a key of which nothing is known here is put as it is: it was a record in another store, so it may be
// one in this.
func (m *merger) exposures(enc []byte) (err error) {
	if m.words, err = parseWords(m.words[:0], wireExposures, enc); err != nil {
		return err
	}
	if err := checkExposures(m.words); err != nil {
		return err
	}
	key := keyWords(m.words[1:5])
	hash := hashOf(&key)
	sh := m.store.shardOf(hash)
	m.lock(sh)
	if m.join != nil {
		m.join.meet(hash)
	}
	erased := sh.erased(hash, &key)
	if slot, _ := sh.exposures.find(hash, &key); slot < 0 && erased == 0 && sh.bucket(hash) == 0 && len(m.words) <= sh.exposures.maxWords() {
		sh.putNew(hash, m.words, m.rules)
		return nil
	}
	sh.event.load(m.words)
	sh.applyLocked(hash, &key, &sh.event, m.rules.under(erased))
	sh.event = view{}
	return nil
}

// putNew puts the record of a key that has none.
func (sh *shard) putNew(hash uint64, record []uint32, r rules) {
	sh.writing = true
	sh.makeRoom(r.forAll())
	sh.exposures.put(-1, hash, record)
	sh.counts.counters += int(record[0] >> countShift & countMask)
	if len(record) == headWords {
		sh.cutOnly++
	}
	sh.writing = false
}

func (m *merger) refusals(enc []byte) (err error) {
	if m.words, err = parseWords(m.words[:0], wireRefusals, enc); err != nil {
		return err
	}
	if err := checkRefusals(m.words); err != nil {
		return err
	}
	key := keyWords(m.words[1:5])
	m.event.erased, m.event.entries = Second(m.words[wordErased]), m.event.entries[:0]
	for i := range refusalCount(m.words) {
		m.event.entries = append(m.event.entries, refusalAt(m.words, i))
	}
	hash := hashOf(&key)
	sh := m.store.shardOf(hash)
	m.lock(sh)
	if !sh.holdsRefusals(hash, &key, &m.event, m.rules) {
		m.store.refused.Add(1)
		return ErrFull
	}
	sh.refuseLocked(hash, &key, &m.event, m.rules)
	return nil
}

// cutsWord is the i-th word after the four bytes that a record begins with.
func cutsWord(enc []byte, i int) uint32 { return binary.LittleEndian.Uint32(enc[wireHead+4*i:]) }

// cuts raises the buckets of this store that share a hash with one of the record's.
func (m *merger) cuts(enc []byte) error {
	h, err := parseCuts(enc)
	if err != nil {
		return err
	}
	shardBits, number, buckets, first, n := h.shardBits, h.number, h.buckets, h.first, h.n
	word := func(i int) uint32 { return cutsWord(enc, i) }
	// The shard is the highest bits of a hash: one of ours covers several of theirs, or the other way round.
	from, to := int(number), int(number)
	theirs := theirCuts{
		shift: uint(64 - shardBits), shard: uint64(number), buckets: uint64(buckets), first: uint64(first), n: uint64(n),
		cut: func(i uint64) Second { return Second(word(4 + int(i))) },
	}
	ours := bits.TrailingZeros(uint(len(m.store.shards)))
	if ours >= shardBits {
		from, to = from<<(ours-shardBits), (to+1)<<(ours-shardBits)-1
	} else {
		from = from >> (shardBits - ours)
		to = from
	}
	for i := from; i <= to; i++ {
		m.lock(&m.store.shards[i])
		for k := range int(n) {
			if cut := word(4 + k); cut != 0 {
				low, end := firstOf(int(first)+k, int(buckets)), firstOf(int(first)+k+1, int(buckets))
				m.locked.raiseBuckets(low, end-1, Second(cut))
			}
		}
		if m.join != nil {
			m.cutRecords(&theirs)
		}
	}
	return nil
}

// raiseBuckets raises every bucket that holds one of the fragments, of which high is the last. With more buckets than fragments high may
// lie before low; then there is none.
func (sh *shard) raiseBuckets(low, high uint64, cut Second) {
	if high < low {
		return
	}
	sh.raiseBucket(high, cut)
	n := uint64(len(sh.cuts))
	for i := low * n >> 32; i < high*n>>32; i++ {
		sh.cuts[i] = max(sh.cuts[i], uint32(cut))
	}
}
