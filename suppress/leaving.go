package suppress

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// leaving says when keys of a generation leave that do so at another second than
// the rest of them: 20 bytes of memory each. Immutable once it is built.
//
// It stands behind the keys of a key file whose flags say so. Numbers are
// big-endian.
//
//	offset size
//	     0    4  magic "LEAV"
//	     4    4  zero
//	     8    8  number of entries, at least 1, at most that of the keys
//	    16   32  SHA-256 of the 160 bytes of the head and of what follows
//	    48       entries by ascending key: 16 bytes of key, 4 of the Unix second
//	             at which it leaves (all ones: never); sealed where the keys are
type leaving struct {
	keys []pair
	at   []uint32
}

const (
	leavingMagic = "LEAV"
	leavingHead  = 48
	leavingEntry = keySize + 4
)

func (l *leaving) len() int {
	if l == nil {
		return 0
	}
	return len(l.keys)
}

// memory is what it takes, in bytes.
func (l *leaving) memory() int64 { return int64(l.len()) * leavingEntry }

// size is what it takes in a file, in bytes.
func leavingSize(entries uint64) int64 {
	if entries == 0 {
		return 0
	}
	return leavingHead + int64(entries)*leavingEntry
}

// of is the second at which the key leaves; all is that of the keys which are not
// in l, which may be nil. Keys are uniform, so the place is guessed first: the
// place of the k-th of n is off by about the root of n.
func (l *leaving) of(p pair, all uint32) uint32 {
	n := l.len()
	if n == 0 {
		return all
	}
	guess, _ := bits.Mul64(p.hi, uint64(n))
	reach := 4*int(math.Sqrt(float64(n))) + 1
	lo, hi := max(0, int(guess)-reach), min(n, int(guess)+reach)
	if lo > 0 && !l.keys[lo-1].less(p) {
		lo = 0
	}
	if hi < n && l.keys[hi].less(p) {
		hi = n
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if l.keys[mid].less(p) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < n && l.keys[lo] == p {
		return l.at[lo]
	}
	return all
}

func (l *leaving) add(m member) {
	l.keys = append(l.keys, m.pair)
	l.at = append(l.at, m.leaves)
}

// writeTo writes the section behind the keys whose head is given.
func (l *leaving) writeTo(w io.Writer, head []byte, seal cipher.Block) error {
	sum := sha256.New()
	sum.Write(head)
	if err := l.entries(sealedTo(sum, seal)); err != nil {
		return err
	}
	b := append(make([]byte, 0, leavingHead), leavingMagic...)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(l.len()))
	if _, err := w.Write(sum.Sum(b)); err != nil {
		return err
	}
	return l.entries(sealedTo(w, seal))
}

// sealedTo seals entries on their way; with seal nil it is w itself.
func sealedTo(w io.Writer, seal cipher.Block) io.Writer {
	if seal == nil {
		return w
	}
	return cipher.StreamWriter{S: leavingFrom(seal), W: w}
}

func (l *leaving) entries(w io.Writer) error {
	buf := make([]byte, 0, 3200*leavingEntry)
	for i, p := range l.keys {
		buf = binary.BigEndian.AppendUint64(buf, p.hi)
		buf = binary.BigEndian.AppendUint64(buf, p.lo)
		buf = binary.BigEndian.AppendUint32(buf, l.at[i])
		if len(buf) == cap(buf) || i == l.len()-1 {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	return nil
}

// readLeaving reads the section and verifies it. It reads no byte behind it.
func readLeaving(r io.Reader, head []byte, keys uint64, seal cipher.Block) (*leaving, error) {
	b := make([]byte, leavingHead)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, cutLeaving(err)
	}
	n := binary.BigEndian.Uint64(b[8:])
	if string(b[:4]) != leavingMagic || binary.BigEndian.Uint32(b[4:]) != 0 || n == 0 || n > keys {
		return nil, fmt.Errorf("%w: what stands behind its %d keys does not say when they leave", ErrDamaged, keys)
	}
	sum := sha256.New()
	sum.Write(head)
	l := new(leaving)
	r = unsealed(io.TeeReader(r, sum), seal, leavingFrom)
	entries := make([]byte, 3200*leavingEntry)
	for left := n; left > 0; {
		part := entries[:min(left, 3200)*leavingEntry]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, cutLeaving(err)
		}
		left -= uint64(len(part) / leavingEntry)
		for ; len(part) > 0; part = part[leavingEntry:] {
			key := Key(part)
			l.add(member{pairOf(&key), binary.BigEndian.Uint32(part[keySize:])})
		}
	}
	if !bytes.Equal(sum.Sum(nil), b[16:]) {
		return nil, fmt.Errorf("%w: the checksum of when its keys leave differs", ErrDamaged)
	}
	for i := 1; i < l.len(); i++ {
		if !l.keys[i-1].less(l.keys[i]) {
			return nil, fmt.Errorf("%w: when its keys leave is out of order", ErrDamaged)
		}
	}
	return l, nil
}

func cutLeaving(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends before it says when its keys leave", ErrDamaged)
	}
	return fmt.Errorf("read when keys leave: %w", err)
}

// leavingKeys are the keys of a generation with the seconds at which they leave.
type leavingKeys struct {
	keys keyStream
	all  uint32
	l    *leaving
	at   int
}

func (k *leavingKeys) nextMember() (member, bool, error) {
	p, ok, err := k.keys.next()
	m := member{p, k.all}
	for ; ok && k.at < k.l.len(); k.at++ {
		if q := k.l.keys[k.at]; q == p {
			m.leaves = k.l.at[k.at]
		} else if p.less(q) {
			break
		}
	}
	return m, ok, err
}
