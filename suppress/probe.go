package suppress

import (
	"math/bits"
)

// maxProbes bounds the filter bits of one key; 1e-9 needs 22.
const maxProbes = 24

// stirPlaces places come of one stirring.
const stirPlaces = 6

// Probe holds the filter places of one key, computed once, when the first list
// asks for them, and used for every list of a request, whatever the lists' sizes. Reset it before its first use.
// It is for one goroutine at a time and holds no pointer.
type Probe struct {
	key  Key
	x, y uint64 // the halves of the key
	fuse uint64 // what a binary fuse filter is asked for
	z    uint64 // state from which the places after n follow
	n    int
	off  [maxProbes]uint16 // bit within a block of the filter
}

// Reset makes p the probe of key. It does not allocate.
//
// The key is a keyed hash already: its first half chooses the block of a filter
// by multiplication (Lemire, "Fast Random Integer Generation in an Interval",
// 2019), its second half, stirred, gives the bits within the block.
func (p *Probe) Reset(key Key) {
	k := pairOf(&key)
	p.key, p.x, p.y = key, k.hi, k.lo
	p.fuse = k.hi ^ bits.RotateLeft64(k.lo, 32)
	p.z, p.n = k.lo, 0
}

// extend computes at least n places.
func (p *Probe) extend(n int) {
	for p.n < n {
		p.z = mix(p.z + 0x9e3779b97f4a7c15)
		z := p.z
		off := p.off[p.n : p.n+stirPlaces : p.n+stirPlaces]
		for i := range off {
			off[i] = uint16(z % blockBits)
			z /= blockBits
		}
		p.n += stirPlaces
	}
}

// Key is the key that p was reset to.
func (p *Probe) Key() Key { return p.key }

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
