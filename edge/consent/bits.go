package consent

// bitReader reads numbers off text in base64url without padding (RFC 4648 section 5),
// in which each character is six bits, the highest first. It reads the text
// itself, so that nothing is copied and a hostile string costs no memory.
type bitReader struct {
	text []byte
	pos  int // of the next bit
	end  int // bits there are
	// short: more was asked for than there is. What was read since then is 0.
	short bool
	// reads counts the numbers read: the work that a string has caused.
	reads int
}

// sextets are the values of base64url's characters; 255 for all others.
var sextets = func() (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		t[c] = uint8(i)
	}
	return t
}()

// newBits returns a reader of text. ok is false where a character is not of the
// alphabet; padding is not, as no decoder of the field takes it.
func newBits(text []byte) (b bitReader, ok bool) {
	for _, c := range text {
		if sextets[c] == 255 {
			return b, false
		}
	}
	return bitReader{text: text, end: 6 * len(text)}, true
}

// newBytes is newBits for text that stands for whole bytes, as the TCF's does:
// bits after the last whole byte are padding.
func newBytes(text []byte) (b bitReader, ok bool) {
	b, ok = newBits(text)
	b.end &^= 7
	return b, ok && len(text)%4 != 1
}

// take reads a number of n bits, 0 to 36.
func (b *bitReader) take(n int) uint64 {
	b.reads++
	if b.pos+n > b.end {
		b.pos, b.short = b.end, true
		return 0
	}
	v, got := uint64(0), 0
	for got < n {
		in := b.pos % 6
		m := min(6-in, n-got)
		six := uint64(sextets[b.text[b.pos/6]])
		v = v<<m | six>>(6-in-m)&(1<<m-1)
		b.pos += m
		got += m
	}
	return v
}

// flag reads one bit.
func (b *bitReader) flag() bool { return b.take(1) == 1 }

// at returns the bit i places on, without reading it.
func (b *bitReader) at(i int) bool {
	b.reads++
	if i += b.pos; i >= b.end {
		return false
	}
	return sextets[b.text[i/6]]>>(5-i%6)&1 == 1
}

// skip passes over n bits.
func (b *bitReader) skip(n int) {
	if b.pos+n > b.end {
		b.pos, b.short = b.end, true
		return
	}
	b.pos += n
}

// left is how many bits have not been read.
func (b *bitReader) left() int { return b.end - b.pos }

// maxFibonacci is more than any number of a GPP string, which are section ids,
// vendor ids and the gaps between them.
const maxFibonacci = 1<<16 - 1

// fibonacci reads a number in Fibonacci coding: bit i stands for the i-th of
// 1, 2, 3, 5, 8, ...; a second 1 after a 1 ends it. A number above maxFibonacci
// is as good as a missing one. (GPP Core, Consent String Specification, "Fibonacci
// coding".)
func (b *bitReader) fibonacci() int {
	v, f, next, last := 0, 1, 2, false
	for !b.short && v <= maxFibonacci && f <= 2*maxFibonacci {
		bit := b.flag()
		if bit && last {
			return v
		}
		if last = bit; bit {
			v += f
		}
		f, next = next, f+next
	}
	b.pos, b.short = b.end, true
	return 0
}

// padded says that nothing but padding is left: zeros, and fewer than a group of
// 24, the largest that encoders fill up to.
func (b *bitReader) padded() bool {
	if b.short || b.left() >= 24 {
		return false
	}
	for i := range b.left() {
		if b.at(i) {
			return false
		}
	}
	return true
}
