package suppress

import (
	"math/bits"
)

// maxProbes bounds the positions of one key: 24 reach a rate of 1e-12 at 0.6
// probes for each halving (see newBloom).
const maxProbes = 24

// eagerProbes positions are computed by Reset; the default rate asks for 8.
const eagerProbes = 12

// Probe holds the filter positions of one key, computed once and used for every
// list of a request, whatever the lists' sizes. The zero Probe is of the zero
// key after Reset only. It is for one goroutine at a time and holds no pointer.
type Probe struct {
	key  Key
	fuse uint64 // what a binary fuse filter is asked for
	x, y uint64 // state from which position n follows
	n    int
	pos  [maxProbes]uint64
}

// Reset makes p the probe of key. It does not allocate.
//
// The positions follow by enhanced double hashing (Dillinger and Manolios,
// "Bloom Filters in Probabilistic Verification", 2004) from the two halves of
// the key, which is a keyed hash already. A filter takes them modulo its size.
func (p *Probe) Reset(key Key) {
	k := pairOf(&key)
	p.key = key
	p.fuse = k.hi ^ bits.RotateLeft64(k.lo, 32)
	x, y := k.hi, k.lo
	for i := range eagerProbes {
		p.pos[i] = x
		x += y
		y += uint64(i) + 1
	}
	p.x, p.y, p.n = x, y, eagerProbes
}

// Key is the key that p was reset to.
func (p *Probe) Key() Key { return p.key }

// extend computes the positions up to n, for rates that need more than Reset gave.
func (p *Probe) extend(n int) {
	for ; p.n < n; p.n++ {
		p.pos[p.n] = p.x
		p.x += p.y
		p.y += uint64(p.n) + 1
	}
}

// ItemKey is the member that stands for (user, item) in a list of items: the
// user's key stirred with the item's tag. For one item it is a bijection of the
// user keys, so it collides no more often than the keys themselves.
func ItemKey(user Key, item uint64) Key {
	k := pairOf(&user)
	k.hi = mix(k.hi ^ item)
	k.lo = mix(k.lo ^ k.hi ^ mix(item+0x9e3779b97f4a7c15))
	k.hi += k.lo
	return k.key()
}

// mix is the 64-bit finaliser of SplitMix64 (Stafford's variant 13), a bijection.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
