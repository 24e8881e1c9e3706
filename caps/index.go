package caps

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// keyWords is a key as it stands in a record: four little-endian words.
type keyWords = [4]uint32

func wordsOf(k *Key) keyWords {
	return keyWords{
		binary.LittleEndian.Uint32(k[0:]), binary.LittleEndian.Uint32(k[4:]),
		binary.LittleEndian.Uint32(k[8:]), binary.LittleEndian.Uint32(k[12:]),
	}
}

func keyOf(w *keyWords) (k Key) {
	for i, x := range w {
		binary.LittleEndian.PutUint32(k[4*i:], x)
	}
	return k
}

// hashOf mixes a key by one wide multiplication (as wyhash does; the odd constants are its). The high bits give the shard, the low 32
// the fragment kept in the index.
func hashOf(k *keyWords) uint64 {
	lo := uint64(k[0]) | uint64(k[1])<<32
	hi := uint64(k[2]) | uint64(k[3])<<32
	h, l := bits.Mul64(lo^0xa0761d6478bd642f, hi^0xe7037ed1a0b428db)
	return h ^ l
}

// An index finds records by open addressing with linear probing. A slot is 0 (empty), or
//
//	63..32  fragment of the key's hash
//	31..0   1 + the record's reference
//
// A fragment's home is fragment*len/2^32, so the length needs not be a power of two: it grows by a quarter at a time, which keeps the
// load between 0.6 and 0.75, 12 bytes a user.
type index struct {
	slots []uint64
	used  int
}

func (x *index) home(fragment uint32) int {
	return int(uint64(fragment) * uint64(len(x.slots)) >> 32)
}

// prefetch has the processor fetch the home of a hash.
func (x *index) prefetch(hash uint64) {
	if x.used > 0 {
		prefetch(unsafe.Pointer(&x.slots[x.home(uint32(hash))]))
	}
}

func (x *index) insert(slot uint64) {
	if (x.used+1)*4 > len(x.slots)*3 {
		x.resize(x.grown())
	}
	x.place(slot)
	x.used++
}

// grown is the length after the next growth.
func (x *index) grown() int { return max(16, len(x.slots)+len(x.slots)/4) }

func (x *index) place(slot uint64) {
	i := x.home(uint32(slot >> 32))
	for x.slots[i] != 0 {
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	x.slots[i] = slot
}

func (x *index) resize(n int) {
	old := x.slots
	grown := append([]uint64(nil), make([]uint64, n)...) // append rounds up to what the allocator gives anyway
	x.slots = grown[:cap(grown)]
	clear(x.slots)
	for _, slot := range old {
		if slot != 0 {
			x.place(slot)
		}
	}
}

// remove empties slot i and moves back whatever had been pushed past it.
func (x *index) remove(i int) {
	x.used--
	for j := i; ; {
		if j++; j == len(x.slots) {
			j = 0
		}
		slot := x.slots[j]
		if slot == 0 {
			break
		}
		// The slot at j may fill the gap at i only if its home is not between them.
		home := x.home(uint32(slot >> 32))
		stays := i < home && home <= j
		if j < i {
			stays = i < home || home <= j
		}
		if stays {
			continue
		}
		x.slots[i] = slot
		i = j
	}
	x.slots[i] = 0
	if x.used*4 < len(x.slots) && len(x.slots) > 64 {
		x.resize(x.used * 3 / 2)
	}
}
