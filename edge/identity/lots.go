package identity

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// LotPercent is how many lots there are: a share of N percent is those who drew a
// lot below N, so whoever is in a share is in every larger one.
const LotPercent = 100

// Lots draws lots for people: the same person always draws the same one, on every
// node and after every start. It is safe for concurrent use and never allocates.
//
// A lot is XXH3 of the whole user key under a seed of the secret. The user key is a
// keyed hash of the identifier, and shards, partitions and records go by bits of it;
// a lot depends on all its bits, so it says nothing of any of them. Lots for different
// purposes say nothing of each other.
type Lots struct {
	seeds hidden[lotSeeds]
}

type lotSeeds struct{ pilot, holdout, part uint64 }

// NewLots returns the lots of the secret's cluster.
func NewLots(s Secret) *Lots {
	b := s.derive("lots", 24)
	return &Lots{seeds: hide(lotSeeds{
		pilot: binary.LittleEndian.Uint64(b), holdout: binary.LittleEndian.Uint64(b[8:]), part: binary.LittleEndian.Uint64(b[16:]),
	})}
}

// Pilot is the lot of a person, from 0 to 99, in the draw of that number.
func (l *Lots) Pilot(draw int, k Key) uint8 {
	return draw100(l.seeds.get().pilot^uint64(draw)*0x9e3779b97f4a7c15, k) // 2^64 divided by the golden ratio
}

// Holdout is the lot of a person, from 0 to 99, in the one draw for the holdout.
func (l *Lots) Holdout(k Key) uint8 { return draw100(l.seeds.get().holdout, k) }

// Part is which of so many equal parts of all people a person is in, counted from 0.
func (l *Lots) Part(parts int, k Key) int { return int(draw(l.seeds.get().part, k, uint64(parts))) }

func draw100(seed uint64, k Key) uint8 { return uint8(draw(seed, k, LotPercent)) }

// draw is one of n numbers, each as likely as another but for one in 2^32.
func draw(seed uint64, k Key, n uint64) uint64 {
	return xxh3.HashSeed(k[:], seed) >> 32 * n >> 32
}
