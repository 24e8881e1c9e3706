package suppress

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/FastFilter/xorfilter"
	"github.com/bits-and-blooms/bloom/v3"
)

// Filter kinds, as the policy writes them.
const (
	FilterBloom = "bloom" // bits-and-blooms/bloom/v3, built in place
	FilterFuse  = "fuse"  // FastFilter/xorfilter binary fuse: smaller and faster, about 35 bytes a key while it is built
)

// DefaultRate is the share of strangers that a list may take for members
// (chosen: one in ten thousand).
const DefaultRate = 1e-4

// Bounds of Declaration.Rate.
const (
	minRate = 1e-9
	maxRate = 0.1
)

// filter is one immutable filter over the keys of a base. At most one of the
// pointers is set; none means an empty base. There is no interface: the calls
// of the decision are direct.
type filter struct {
	bloom  *bloom.BloomFilter
	fuse16 *xorfilter.BinaryFuse[uint16]
	fuse32 *xorfilter.BinaryFuse[uint32]
	probes int // of bloom

	rate  float64 // expected false positives, from the bits that are set
	bytes int64   // memory
}

// maybe says whether the key of p can be a member; false is certain.
func (f *filter) maybe(p *Probe) bool {
	switch {
	case f.bloom != nil:
		if f.probes > p.n {
			p.extend(f.probes)
		}
		return f.bloom.TestLocations(p.pos[:f.probes])
	case f.fuse16 != nil:
		return f.fuse16.Contains(p.fuse)
	case f.fuse32 != nil:
		return f.fuse32.Contains(p.fuse)
	}
	return false
}

// buildFilter reads the keys of stream, of which there are n.
func buildFilter(kind string, rate float64, n uint64, stream keyStream) (*filter, error) {
	if n == 0 {
		return &filter{}, nil
	}
	if kind == FilterFuse {
		return newFuse(rate, n, stream)
	}
	return newBloom(rate, n, stream)
}

// bloomSize gives bits and probes for n keys at a rate.
//
// The optimum of log2(1/rate) probes costs a cache miss for each; at 0.6 of it
// the filter is about a tenth larger (21.4 instead of 19.2 bits a key at 1e-4),
// and a hit costs 8 misses instead of 14. The size aims at nine tenths of the
// rate, so that what is measured stays within it.
func bloomSize(n uint64, rate float64) (m uint64, k int) {
	rate *= 0.9
	k = max(1, int(math.Round(0.6*math.Log2(1/rate))))
	bitsEach := -float64(k) / math.Log(1-math.Pow(rate, 1/float64(k)))
	m = uint64(math.Ceil(float64(n) * bitsEach))
	return max(1024, (m+63)&^63), min(k, maxProbes)
}

func newBloom(rate float64, n uint64, stream keyStream) (*filter, error) {
	m, k := bloomSize(n, rate)
	words := make([]uint64, m/64)
	for {
		key, ok, err := stream.next()
		if err != nil {
			return nil, fmt.Errorf("build bloom filter: %w", err)
		}
		if !ok {
			break
		}
		x, y := key.hi, key.lo
		for i := range k {
			at := x % m
			words[at>>6] |= 1 << (at & 63)
			x += y
			y += uint64(i) + 1
		}
	}
	ones := 0
	for _, w := range words {
		ones += bits.OnesCount64(w)
	}
	return &filter{
		bloom:  bloom.FromWithM(words, uint(m), uint(k)),
		probes: k,
		rate:   math.Pow(float64(ones)/float64(m), float64(k)),
		bytes:  int64(m / 8),
	}, nil
}

func newFuse(rate float64, n uint64, stream keyStream) (*filter, error) {
	if n > math.MaxUint32 {
		return nil, fmt.Errorf("build fuse filter: %d keys are more than it can hold; declare filter: bloom", n)
	}
	keys := make([]uint64, 0, n)
	for {
		key, ok, err := stream.next()
		if err != nil {
			return nil, fmt.Errorf("build fuse filter: %w", err)
		}
		if !ok {
			break
		}
		keys = append(keys, key.hi^bits.RotateLeft64(key.lo, 32))
	}
	f := new(filter)
	var err error
	if rate >= 1.0/(1<<16) {
		f.rate = 1.0 / (1 << 16)
		if f.fuse16, err = xorfilter.NewBinaryFuse[uint16](keys); err == nil {
			f.bytes = int64(len(f.fuse16.Fingerprints)) * 2
		}
	} else {
		f.rate = 1.0 / (1 << 32)
		if f.fuse32, err = xorfilter.NewBinaryFuse[uint32](keys); err == nil {
			f.bytes = int64(len(f.fuse32.Fingerprints)) * 4
		}
	}
	if err != nil {
		return nil, fmt.Errorf("build fuse filter of %d keys: %w", n, err)
	}
	return f, nil
}
