package suppress

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"

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

// blockBits bits of a bloom filter are one block, two cache lines, and all bits
// of a key are in one block: a look-up costs one place in memory instead of one
// for each bit, and no division. The filter is a few per cent larger for it
// (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom
// Filters", 2009); the benchmark beside plain bloom/v3 is BenchmarkContains.
const (
	blockBits  = 1024
	blockWords = blockBits / 64
)

// filter is one immutable filter over the keys of a base. Without words and
// fingerprints it is of an empty base. There is no interface: the calls of the
// decision are direct.
type filter struct {
	// words are the bits of bloom, which is a bloom/v3 filter whose places are
	// ours: its TestLocations gives the same answers, slower.
	words  []uint64
	blocks uint64
	probes int
	// fuse16 is built by FastFilter/xorfilter and asked by inFuse, whose answers
	// are those of its Contains.
	fuse16 xorfilter.BinaryFuse[uint16]

	bloom  *bloom.BloomFilter
	fuse32 *xorfilter.BinaryFuse[uint32]

	rate  float64 // expected false positives, from the bits that are set
	bytes int64   // memory
}

// maybe says whether the key of p can be a member; false is certain.
func (f *filter) maybe(p *Probe) bool {
	switch {
	case f.blocks != 0:
		return f.inBlock(p)
	case len(f.fuse16.Fingerprints) != 0:
		return inFuse(&f.fuse16, p.fuse)
	case f.fuse32 != nil:
		return f.fuse32.Contains(p.fuse)
	}
	return false
}

// prefetch brings nearer what maybe reads first.
func (f *filter) prefetch(p *Probe) {
	switch {
	case f.blocks != 0:
		n, _ := bits.Mul64(p.x, f.blocks)
		prefetch(unsafe.Pointer(&f.words[n*blockWords]))
	case len(f.fuse16.Fingerprints) != 0:
		_, h0, h1, h2 := fusePlaces(&f.fuse16, p.fuse)
		prints := f.fuse16.Fingerprints
		prefetch(unsafe.Pointer(&prints[h0]))
		prefetch(unsafe.Pointer(&prints[h1]))
		prefetch(unsafe.Pointer(&prints[h2]))
	}
}

// inBlock looks at the bits of p in its block, without a branch for each: six
// first, which let one stranger in 64 pass, then the rest.
func (f *filter) inBlock(p *Probe) bool {
	n, _ := bits.Mul64(p.x, f.blocks)
	block := (*[blockWords]uint64)(f.words[n*blockWords:])
	if p.n == 0 {
		p.extend(stirPlaces)
	}
	all := uint64(1)
	for _, off := range p.off[:min(stirPlaces, f.probes)] {
		all &= block[off/64%blockWords] >> (off % 64)
	}
	if all == 0 || f.probes <= stirPlaces {
		return all != 0
	}
	if f.probes > p.n {
		p.extend(f.probes)
	}
	for _, off := range p.off[stirPlaces:f.probes] {
		all &= block[off/64%blockWords] >> (off % 64)
	}
	return all != 0
}

// inFuse is BinaryFuse.Contains for one width, without the cost of a generic
// method (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor
// Filters", 2022). The three fingerprints are read at the same time.
func inFuse(f *xorfilter.BinaryFuse[uint16], key uint64) bool {
	h, h0, h1, h2 := fusePlaces(f, key)
	prints := f.Fingerprints
	return uint16(h^h>>32)^prints[h0]^prints[h1]^prints[h2] == 0
}

// fusePlaces are the hash of a key and the places of its three fingerprints.
func fusePlaces(f *xorfilter.BinaryFuse[uint16], key uint64) (h uint64, h0, h1, h2 uint32) {
	h = key + f.Seed // MurmurHash3's finaliser
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	at, _ := bits.Mul64(h, uint64(f.SegmentCountLength))
	h0 = uint32(at)
	h1 = h0 + f.SegmentLength
	h2 = h1 + f.SegmentLength
	h1 ^= uint32(h>>18) & f.SegmentLengthMask
	h2 ^= uint32(h) & f.SegmentLengthMask
	return h, h0, h1, h2
}

// buildFilter reads the keys, of which there are n, from the start for each try.
//
// A small filter has few blocks, and they may happen to be filled unevenly
// enough to miss the rate; then it is built again with a sixth more.
func buildFilter(kind string, rate float64, n uint64, keys func() keyStream) (*filter, error) {
	if n == 0 {
		return &filter{}, nil
	}
	if kind == FilterFuse {
		return newFuse(rate, n, keys())
	}
	for grow := 1.0; ; grow *= 7.0 / 6 {
		f, err := newBloom(rate, grow, n, keys())
		if err != nil || f.rate <= rate || grow > maxGrow {
			return f, err
		}
	}
}

// maxGrow is reached by keys that are not uniform, which then have the rate that
// Status tells (chosen).
const maxGrow = 4

// bloomSize gives blocks and bits a key for n keys at a rate: the smallest
// filter, or one of at most 1 % more that has fewer bits to look at. It aims at
// nine tenths of the rate, so that what is measured stays within it: 21.0 bits
// and 11 probes a key at 1e-4.
func bloomSize(n uint64, rate float64) (blocks uint64, probes int) {
	least := math.Inf(1)
	for k := 3; k <= maxProbes; k++ {
		// Bits a key by bisection; the rate falls as they grow.
		lo, hi := 2.0, 200.0
		for range 40 {
			if mid := (lo + hi) / 2; blockedRate(mid, k) > 0.9*rate {
				lo = mid
			} else {
				hi = mid
			}
		}
		if hi < 0.99*least && hi < 199 {
			least, probes = hi, k
		}
	}
	return max(1, uint64(math.Ceil(float64(n)*least/blockBits))), probes
}

// blockedRate is the false-positive rate at c bits and k probes a key: blocks
// hold a Poisson number of keys, and each is a bloom filter of its own.
func blockedRate(c float64, k int) float64 {
	mean := blockBits / c
	weight, sum := math.Exp(-mean), 0.0
	for keys := 1; keys < 1000; keys++ {
		weight *= mean / float64(keys)
		full := 1 - math.Pow(1-1.0/blockBits, float64(keys*k))
		sum += weight * math.Pow(full, float64(k))
		if float64(keys) > mean && weight < 1e-14 {
			break
		}
	}
	return sum
}

func newBloom(rate, grow float64, n uint64, stream keyStream) (*filter, error) {
	f := new(filter)
	f.blocks, f.probes = bloomSize(n, rate)
	f.blocks = uint64(math.Ceil(float64(f.blocks) * grow))
	f.words = make([]uint64, f.blocks*blockWords)
	adviseHugePages(f.words)
	f.bloom = bloom.FromWithM(f.words, uint(f.blocks*blockBits), uint(f.probes))
	var p Probe
	for {
		key, ok, err := stream.next()
		if err != nil {
			return nil, fmt.Errorf("build bloom filter: %w", err)
		}
		if !ok {
			break
		}
		// The keys come in order, and so do their blocks.
		p.Reset(key.key())
		p.extend(f.probes)
		at, _ := bits.Mul64(p.x, f.blocks)
		for _, off := range p.off[:f.probes] {
			f.words[at*blockWords+uint64(off/64)] |= 1 << (off % 64)
		}
	}
	for b := uint64(0); b < f.blocks; b++ {
		ones := 0
		for _, w := range f.words[b*blockWords : (b+1)*blockWords] {
			ones += bits.OnesCount64(w)
		}
		f.rate += math.Pow(float64(ones)/blockBits, float64(f.probes))
	}
	f.rate /= float64(f.blocks)
	f.bytes = int64(f.bloom.Cap() / 8)
	return f, nil
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
		var built *xorfilter.BinaryFuse[uint16]
		if built, err = xorfilter.NewBinaryFuse[uint16](keys); err == nil {
			f.fuse16, f.rate, f.bytes = *built, 1.0/(1<<16), int64(len(built.Fingerprints))*2
			f.fuse16.Fingerprints = inHugePages(built.Fingerprints)
		}
	} else {
		if f.fuse32, err = xorfilter.NewBinaryFuse[uint32](keys); err == nil {
			f.rate, f.bytes = 1.0/(1<<32), int64(len(f.fuse32.Fingerprints))*4
			f.fuse32.Fingerprints = inHugePages(f.fuse32.Fingerprints)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("build fuse filter of %d keys: %w", n, err)
	}
	return f, nil
}

// inHugePages is a copy of what was built where no advice could be given.
func inHugePages[T uint16 | uint32](built []T) []T {
	b := make([]T, len(built))
	adviseHugePages(b)
	copy(b, built)
	return b
}
