package consent

import bitops "math/bits"

// A field is a number in a fixed place of a segment, or a list of numbers of
// equal width, read as one.
type field struct {
	name string // as the specification spells it
	each int    // bits of one number
	n    int    // numbers
}

// one is a field of a single number of so many bits.
func one(name string, bits int) field { return field{name, bits, 1} }

// two is a field of two bits, which is what most of the US sections are made of.
func two(name string) field { return field{name, 2, 1} }

// pairs is a list of n fields of two bits.
func pairs(name string, n int) field { return field{name, 2, n} }

// maxFields is how many fields the longest layout has.
const maxFields = 16

// values are what the fields of a layout hold, in its order. A list is one
// number, its first element highest.
type values [maxFields]uint64

// read reads the fields of the layout, one after another.
func (b *bitReader) read(layout []field, v *values) {
	for i, f := range layout {
		v[i] = b.take(f.each * f.n)
	}
}

// purposeBits turns a list of 24 purposes, the first highest, into a set whose bit
// n-1 stands for purpose n.
func purposeBits(list uint64) uint32 { return bitops.Reverse32(uint32(list)) >> 8 }
