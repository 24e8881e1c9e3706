package caps

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A snapshot is encoded records (see codec.go), one after the other, of four kinds: refusals, exposures, pieces of the buckets'
// cuts (see shard.bucket), and what is kept beside the store (see beside.go):
//
//	0      version, 1
//	1      what it is: 3 cuts
//	2      the number of shards is 1 << this
//	3      zero
//	4      shard
//	8      number of the shard's buckets
//	12     number of the first bucket here
//	16     n, at least 1
//	20     n cuts, the last not zero
//
// It is taken in steps while writes go on. Every step copies records of one kind of one shard under that shard's lock. What it has copied
// is true of that moment, and as all is joined, it does not matter that the moments differ: a snapshot holds at least what the store held
// when its first step began, and of what came later some. Its reader needs the changes made since then too.
//
// No record is missed. A table is walked by the 32-bit fragments of the keys' hashes, in a fixed order, and the cursor is a place in that
// order: all records with a fragment before it have been met. A record keeps its fragment wherever cleaning moves it in the log and growth in the index, and
// the slots of one fragment are looked for anew in every step. So a record that was there when the walk began, and still is, is met when
// its fragment's turn comes. The one way for what is known about a user to leave without leaving a record is into the bucket, when his
// cut is evicted: so the buckets come last, and whoever was not met as a record is met there.
const (
	wireCuts     = 3
	wireCutsHead = wireHead + 16
)

// A Cursor is how far a snapshot of a store has come. The zero Cursor is the beginning. It belongs to one goroutine and one store.
type Cursor struct {
	// Alone leaves out what is kept beside the store, for readers that know of nothing beside it.
	Alone bool

	phase  int // refusals, exposures, cuts, beside, end
	shard  int
	next   uint64 // place of the fragment (see turn), or bucket, that is next
	beside any    // of Beside.AppendNext
}

// The phases of a snapshot.
const (
	phaseRefusals = iota
	phaseExposures
	phaseCuts
	phaseBeside
	phaseEnd
)

// AppendSnapshot appends the next step of a snapshot to dst: at most limit bytes of records, but at least one record, all of one kind and one
// shard, copied under its lock; byte 1 of each says which kind. more says that there may be another. Call it until it is false; the last call may append nothing.
func (s *Store) AppendSnapshot(dst []byte, at *Cursor, limit int) (out []byte, more bool) {
	from, r := len(dst), s.rules(s.Now())
	for at.phase != phaseEnd {
		done := false
		if at.phase == phaseBeside {
			if dst, done = s.appendBeside(dst, at); done {
				at.phase = phaseEnd
			}
			break
		}
		if dst, done = s.shards[at.shard].appendStep(dst, at, limit, bits.TrailingZeros(uint(len(s.shards))), r); done {
			at.next = 0
			if at.shard++; at.shard == len(s.shards) {
				at.phase, at.shard = at.phase+1, 0
			}
		}
		if len(dst) > from {
			break
		}
	}
	return dst, at.phase != phaseEnd
}

func (sh *shard) appendStep(dst []byte, at *Cursor, limit, shardBits int, r rules) ([]byte, bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch at.phase {
	case phaseRefusals:
		return sh.refusals.appendFrom(dst, at, limit, wireRefusals, func(w []uint32) []uint32 { return sh.unexpiredRefusals(w, r) })
	case phaseExposures:
		return sh.exposures.appendFrom(dst, at, limit, wireExposures, func(w []uint32) []uint32 { return sh.unexpired(w, r) })
	}
	return sh.appendCuts(dst, at, limit, shardBits)
}

// turn is the fragment whose turn comes at the n-th place of a walk. The 256 parts of all fragments take turns in the order of their bits
// reversed: 0, 128, 64, 192, ... Who merges a snapshot then fills an index everywhere alike. In ascending order all of it would crowd in
// the first slots of an index that has yet to grow, one long probe after the other.
func turn(n uint64) uint64 {
	return uint64(bits.Reverse8(uint8(n>>24)))<<24 | n&(1<<24-1)
}

// appendFrom appends the records from the cursor's fragment on, as many as fit. Records of one fragment stay together, since the cursor
// cannot tell them apart; two of a shard have the same one in a million. left is what is to be copied of a record; nil: nothing.
func (t *table) appendFrom(dst []byte, at *Cursor, limit int, what byte, left func(record []uint32) []uint32) (out []byte, done bool) {
	if t.used == 0 {
		return dst, true
	}
	from, last := len(dst), uint64(1)<<32
	var buffer [16]uint64
	for at.next < 1<<32 {
		first := turn(at.next)
		end := first | (1<<24 - 1) // of the part
		home := t.home(uint32(first))
		for _, slot := range t.slotsBetween(buffer[:0], home, first, end) {
			w := t.at(uint32(slot) - 1)
			fragment := slot >> 32
			if w = left(w[:w[0]&sizeMask]); w == nil {
				continue
			}
			if len(dst) > from && fragment != last && len(dst)-from+wireHead+4*len(w) > limit {
				at.next += fragment - first
				return dst, false
			}
			dst, last = appendWords(dst, what, w), fragment
		}
		at.next += min(t.firstAt(home+1), end+1) - first
	}
	return dst, true
}

// unexpired is the record without what has expired, valid until the next change of the shard; nil if nothing is left. A snapshot is a
// file, and what has to be gone is not to be found in one that was made later.
func (sh *shard) unexpired(record []uint32, r rules) []uint32 {
	var held view
	held.load(record)
	if !held.hasExpired(r) {
		return record
	}
	key := keyWords(record[1:5])
	sh.out.join(&key, &held, &view{}, r, sh.exposures.maxWords())
	return sh.out.encode()
}

// unexpiredRefusals is unexpired of a record of refusals.
func (sh *shard) unexpiredRefusals(record []uint32, r rules) []uint32 {
	if !refusalsExpired(record, r) {
		return record
	}
	key := keyWords(record[1:5])
	sh.refuse.join(record, &refusalDraft{}, r)
	return sh.refuse.encode(&key)
}

// slotsBetween appends the slots of the home whose fragment is one of these, by fragment. By linear probing they lie between their home
// and the first empty slot after it.
func (x *index) slotsBetween(dst []uint64, home int, first, last uint64) []uint64 {
	for i := home; x.slots[i] != 0; {
		if fragment := x.slots[i] >> 32; first <= fragment && fragment <= last && x.home(uint32(fragment)) == home {
			dst = append(dst, x.slots[i])
		}
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	if len(dst) > 1 {
		slices.Sort(dst)
	}
	return dst
}

// firstAt is the first fragment whose home is i.
func (x *index) firstAt(i int) uint64 { return firstOf(i, len(x.slots)) }

// firstOf is the first fragment in the i-th of n equal parts of all fragments, the one for which fragment*n>>32 is i.
func firstOf(i, n int) uint64 {
	return min(1<<32, (uint64(i)<<32+uint64(n)-1)/uint64(n))
}

// appendCuts appends the next cuts of the buckets, without the zeros around them.
func (sh *shard) appendCuts(dst []byte, at *Cursor, limit, shardBits int) (out []byte, done bool) {
	first := int(at.next)
	for first < len(sh.cuts) && sh.cuts[first] == 0 {
		first++
	}
	end := min(len(sh.cuts), first+max(0, limit-wireCutsHead-4)/4+1)
	at.next = uint64(end)
	n := end - first
	for n > 0 && sh.cuts[first+n-1] == 0 {
		n--
	}
	if n > 0 {
		dst = append(dst, wireVersion, wireCuts, byte(shardBits), 0)
		for _, w := range []int{at.shard, len(sh.cuts), first, n} {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(w))
		}
		for _, cut := range sh.cuts[first : first+n] {
			dst = binary.LittleEndian.AppendUint32(dst, cut)
		}
	}
	return dst, end == len(sh.cuts)
}
