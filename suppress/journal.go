package suppress

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

// The journal of a list is an append-only file of changes. Numbers are
// big-endian; checksums are CRC-32C.
//
//	head    8  magic "restrchg"
//	        4  version: 2 where it is sealed, else 1
//	        4  1 of identifiers, 2 of identifiers and items, 0 not known
//	       32  fingerprint of the identifier secret; in version 2 that of its epoch,
//	           and a salt (seal.go)
//	       16  first half of SHA-256 of the list's name
//	        4  checksum of the 64 bytes before
//	frame   4  magic "CHNG"
//	        1  1 add, 2 remove, 3 add until a second
//	        3  zero
//	        8  sequence
//	        4  number of keys, 1 to 1<<20
//	        4  checksum of what follows the head
//	        4  checksum of the 24 bytes before
//	        4  where members are added until a second: that, in Unix seconds
//	           the keys, 16 bytes each
//
// In version 2 what follows the head of a frame is a random nonce of 12 bytes and
// AES-256-GCM of that, the first 20 bytes of the head authenticated with it, and its
// tag of 16 bytes.
//
// A frame is one change: it counts whole or not at all. Programs that do not know
// the third kind take it for damage, and the list as one that is not trusted.
const (
	journalMagic   = "restrchg"
	journalVersion = 2
	journalHead    = 68
	frameMagic     = "CHNG"
	frameHead      = 28
	maxFrameKeys   = 1 << 20
	frameAddUntil  = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendJournalHead(dst []byte, list string, form sealing, of shape) []byte {
	from := len(dst)
	dst = append(dst, journalMagic...)
	version := uint32(1)
	if form.sealed {
		version = 2
	}
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(of))
	dst = form.append(dst)
	tag := nameTag(list)
	dst = append(dst, tag[:]...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

func parseJournalHead(b []byte, list string) (of shape, form sealing, err error) {
	if len(b) < journalHead || string(b[:8]) != journalMagic ||
		crc32.Checksum(b[:64], castagnoli) != binary.BigEndian.Uint32(b[64:]) {
		return 0, form, fmt.Errorf("%w: its head cannot be read", ErrDamaged)
	}
	v := binary.BigEndian.Uint32(b[8:])
	if v == 0 || v > journalVersion {
		return 0, form, fmt.Errorf("%w: version %d, this program reads %d", ErrDamaged, v, journalVersion)
	}
	if tag := nameTag(list); !bytes.Equal(b[48:64], tag[:]) {
		return 0, form, fmt.Errorf("%w: it belongs to another list than %q", ErrDamaged, list)
	}
	if of = shape(binary.BigEndian.Uint32(b[12:])); of > shapeItems {
		return 0, form, fmt.Errorf("%w: members of form %d", ErrDamaged, uint32(of))
	}
	return of, parseSealing(b[16:48], v == 2), nil
}

// frame is one decoded change; keys alias what was parsed, unless it was sealed.
type frame struct {
	change
	keys []byte
}

func (f *frame) key(i int) Key { return Key(f.keys[i*keySize:]) }
func (f *frame) len() int      { return len(f.keys) / keySize }

func appendFrame(dst []byte, seal cipher.AEAD, c change, keys []Key) []byte {
	from, op := len(dst), byte(c.op)
	if c.op == Add && c.leaves != never {
		op = frameAddUntil
	}
	dst = append(dst, frameMagic...)
	dst = append(dst, op, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, c.seq)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(keys)))
	dst = append(dst, make([]byte, 8)...)
	if seal != nil {
		dst = append(dst, make([]byte, sealNew)...)
	}
	if op == frameAddUntil {
		dst = binary.BigEndian.AppendUint32(dst, c.leaves)
	}
	for i := range keys {
		dst = append(dst, keys[i][:]...)
	}
	if seal != nil {
		dst = sealFrame(dst, from, seal)
	}
	head := dst[from : from+frameHead]
	binary.BigEndian.PutUint32(head[20:], crc32.Checksum(dst[from+frameHead:], castagnoli))
	binary.BigEndian.PutUint32(head[24:], crc32.Checksum(head[:24], castagnoli))
	return dst
}

// sealFrame seals what follows the head of the frame, and a nonce, in its place.
func sealFrame(dst []byte, from int, seal cipher.AEAD) []byte {
	end := len(dst)
	dst = append(dst, make([]byte, sealTag)...)
	body := dst[from+frameHead:]
	_, _ = rand.Read(body[:sealNew]) // never fails; it ends the process instead
	seal.Seal(body[sealNew:sealNew], body[:sealNew], dst[from+frameHead+sealNew:end], dst[from:from+20])
	return dst
}

// parseFrame decodes the frame at the start of b. It reports false for anything
// but a whole frame.
func parseFrame(b []byte, seal cipher.AEAD) (f frame, size int, ok bool) {
	if len(b) < frameHead || string(b[:4]) != frameMagic ||
		crc32.Checksum(b[:24], castagnoli) != binary.BigEndian.Uint32(b[24:]) {
		return f, 0, false
	}
	n := binary.BigEndian.Uint32(b[16:])
	if b[4] < byte(Add) || b[4] > frameAddUntil || n == 0 || n > maxFrameKeys || len(b) < frameSize(b, seal != nil) {
		return f, 0, false
	}
	size = frameSize(b, seal != nil)
	body := b[frameHead:size]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[20:]) {
		return f, 0, false
	}
	if seal != nil {
		var err error
		if body, err = seal.Open(nil, body[:sealNew], body[sealNew:], b[:20]); err != nil {
			return f, 0, false
		}
	}
	f.keys = body[len(body)-int(n)*keySize:]
	f.change = newChange(binary.BigEndian.Uint64(b[8:]), Op(b[4]), 0)
	if b[4] == frameAddUntil {
		f.op, f.leaves = Add, binary.BigEndian.Uint32(body)
	}
	if b[4] == frameAddUntil && (f.leaves == 0 || f.leaves == never) {
		return f, 0, false
	}
	return f, size, true
}

// frameSize is how many bytes the frame takes whose head is at the start of b.
func frameSize(b []byte, sealed bool) int {
	size := frameHead + int(binary.BigEndian.Uint32(b[16:]))*keySize
	if b[4] == frameAddUntil {
		size += 4
	}
	if sealed {
		size += sealNew + sealTag
	}
	return size
}

// parsedJournal says how far a journal could be read.
type parsedJournal struct {
	good   int // bytes up to the end of the last whole frame
	lost   int // bytes of damage before that, between whole frames
	frames int
	// torn says that what follows good is the beginning of one frame, as the end
	// of a process leaves it. Anything else there is damage.
	torn bool
}

// parseJournal gives every whole frame to emit. Damage in the middle is stepped
// over and counted: a change behind it must not be lost with it.
func parseJournal(b []byte, seal cipher.AEAD, emit func(*frame)) parsedJournal {
	p := parsedJournal{good: journalHead}
	for at := journalHead; at < len(b); {
		f, size, ok := parseFrame(b[at:], seal)
		if ok {
			p.lost += at - p.good
			at += size
			p.good = at
			p.frames++
			emit(&f)
			continue
		}
		next := bytes.Index(b[at+1:], []byte(frameMagic))
		if next < 0 {
			break
		}
		at += 1 + next
	}
	p.torn = tornFrame(b[p.good:], seal != nil)
	return p
}

// tornFrame says that b is cut off before the end that its head tells. The
// checksum of the head keeps a damaged count from passing for that.
func tornFrame(b []byte, sealed bool) bool {
	if len(b) < frameHead {
		n := min(len(b), len(frameMagic))
		return string(b[:n]) == frameMagic[:n]
	}
	if string(b[:4]) != frameMagic || crc32.Checksum(b[:24], castagnoli) != binary.BigEndian.Uint32(b[24:]) {
		return false
	}
	n := binary.BigEndian.Uint32(b[16:])
	return n <= maxFrameKeys && len(b) < frameSize(b, sealed)
}

// journal is the open file, at its end.
type journal struct {
	file  File
	shape shape
	size  int64
	buf   []byte
	// unsynced is the directory in which the file's place does not yet outlive a
	// power cut; "" when it does.
	unsynced string
	syncDir  func(dir string) error
	// fingerprint is of the epoch in which it is written, seal its key; nil: none.
	fingerprint string
	seal        cipher.AEAD
}

// sync makes what was written outlive a power cut.
func (j *journal) sync() error {
	if err := j.file.Sync(); err != nil {
		return err
	}
	if j.unsynced == "" {
		return nil
	}
	if err := j.syncDir(j.unsynced); err != nil {
		return err
	}
	j.unsynced = ""
	return nil
}

// append writes one frame. On failure the file is cut back to what it was, so
// that a later frame does not stand behind half a one.
func (j *journal) append(c change, keys []Key, sync bool) error {
	j.buf = appendFrame(j.buf[:0], j.seal, c, keys)
	_, err := j.file.WriteAt(j.buf, j.size)
	if err == nil && sync {
		err = j.sync()
	}
	if err != nil {
		j.file.Truncate(j.size)
		return fmt.Errorf("write change: %w", err)
	}
	j.size += int64(len(j.buf))
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return nil
}

// encodeJournal writes the changes as few frames as they allow, by sequence.
func encodeJournal(list string, form sealing, seal cipher.AEAD, of shape, c *changes) []byte {
	type said struct {
		pair
		change
	}
	all := make([]said, 0, len(c.m))
	for k, d := range c.all {
		all = append(all, said{pairOf(&k), d})
	}
	slices.SortFunc(all, func(a, b said) int {
		switch {
		case b.later(a.change):
			return -1
		case a.later(b.change):
			return 1
		case a.leaves != b.leaves:
			return cmp.Compare(a.leaves, b.leaves)
		}
		return comparePairs(a.pair, b.pair)
	})
	out := appendJournalHead(nil, list, form, of)
	var keys []Key
	for i, e := range all {
		keys = append(keys, e.key())
		if i+1 == len(all) || all[i+1].change != e.change || len(keys) == maxFrameKeys {
			out = appendFrame(out, seal, e.change, keys)
			keys = keys[:0]
		}
	}
	return out
}
