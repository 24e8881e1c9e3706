package backup

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Reader reads a file from its beginning to its end, and checks it on the way. It belongs to one goroutine. What a section says is not to be
// relied on before Next has returned the one after it, or io.EOF: only then its sum was compared, and with io.EOF that of the whole file.
type Reader struct {
	// Head is the file's.
	Head Head

	in       io.Reader
	seal     cipher.AEAD // nil: sections are read as they stand there
	all      hash.Hash
	at       int64
	sections uint64

	open  bool // a section is being read
	of    Section
	sum   hash.Hash
	bytes uint64
	frame []byte // that was read last
	rest  []byte // of its payload
	err   error  // io.EOF once all was read
}

// NewReader reads the head. The error wraps ErrDamaged or ErrVersion, or is the one of reading.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: in, all: sha256.New()}
	b := make([]byte, headFixed)
	if err := r.read(b); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(b[12:])
	switch v := binary.LittleEndian.Uint32(b[8:]); {
	case string(b[:8]) != magic:
		return nil, fmt.Errorf("%w: it does not begin as a file of restraint snapshot export", ErrDamaged)
	case n > maxHead:
		return nil, fmt.Errorf("%w: its head says that it has %d bytes", ErrDamaged, n)
	case v > version && v < 1<<16: // more than that is damage
		return nil, fmt.Errorf("%w: version %d, this one reads %d; use the restraint that wrote it, or a later one", ErrVersion, v, version)
	case v != version:
		return nil, fmt.Errorf("%w: its head says version %d", ErrDamaged, v)
	}
	b = append(b, make([]byte, n+4)...)
	if err := r.read(b[headFixed:]); err != nil {
		return nil, err
	}
	text, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(text, castagnoli) != sum {
		return nil, fmt.Errorf("%w: the checksum of its head differs", ErrDamaged)
	}
	if err := json.Unmarshal(text[headFixed:], &r.Head); err != nil {
		return nil, fmt.Errorf("%w: its head: %w", ErrDamaged, err)
	}
	return r, nil
}

// Open has sections opened with the key of 32 bytes for Head.Salt, before the first Next; without it they are read as they stand in the file. The
// errors of reading then wrap ErrSeal, too.
func (r *Reader) Open(key []byte) (err error) {
	r.seal, err = sealing(key)
	return err
}

// Bytes is how many have been read.
func (r *Reader) Bytes() int64 { return r.at }

// Sections is how many have begun.
func (r *Reader) Sections() uint64 { return r.sections }

// Next reads what is left of the section before, and returns the next one; io.EOF after the last one of a whole file.
func (r *Reader) Next() (Section, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return Section{}, err
	}
	if r.err != nil {
		return Section{}, r.err
	}
	s, err := r.next()
	if err != nil {
		r.err = err
		return Section{}, err
	}
	return s, nil
}

func (r *Reader) next() (s Section, err error) {
	at := r.at
	before := r.all.Sum(nil)
	what, err := r.nextFrame()
	if err != nil {
		return s, err
	}
	b := r.rest
	switch {
	case what == frameSection && len(b) > 0 && len(b) >= 1+int(b[0]) && r.sections < maxSections:
		s = Section{Kind: string(b[1 : 1+b[0]]), Name: string(b[1+b[0]:]), At: at}
		if err := s.check(); err != nil {
			return s, fmt.Errorf("%w: at byte %d: %w", ErrDamaged, at, err)
		}
		r.sections++
		r.open, r.of, r.sum, r.bytes, r.rest = true, s, sha256.New(), 0, nil
		return s, nil
	case what == frameLast && len(b) == lastSize:
		said, tag := b[:lastSize-tagSize], b[lastSize-tagSize:]
		if binary.LittleEndian.Uint64(said) != r.sections || binary.LittleEndian.Uint64(said[8:]) != uint64(at) || !bytes.Equal(said[16:], before) {
			return s, fmt.Errorf("%w: its end at byte %d is of another file", ErrDamaged, at)
		}
		if r.seal != nil {
			if _, err := r.seal.Open(nil, nonce(at), tag, said); err != nil {
				return s, fmt.Errorf("%w: that of its end at byte %d", ErrSeal, at)
			}
		}
		return s, r.nothingFollows()
	}
	return s, fmt.Errorf("%w: at byte %d, a section or the end must begin", ErrDamaged, at)
}

// lastSize is the length of the payload of the last frame.
const lastSize = 16 + sha256.Size + tagSize

// nothingFollows returns io.EOF.
func (r *Reader) nothingFollows() error {
	n, err := io.ReadFull(r.in, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("%w: something follows its end at byte %d", ErrDamaged, r.at)
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return fmt.Errorf("read snapshot: %w", err)
}

// Read reads the section that Next returned.
func (r *Reader) Read(b []byte) (n int, err error) {
	if len(r.rest) == 0 && r.open && r.err == nil {
		r.err = r.more()
	}
	switch {
	case len(r.rest) > 0:
		n = copy(b, r.rest)
		r.rest = r.rest[n:]
		return n, nil
	case r.err != nil && !errors.Is(r.err, io.EOF):
		return 0, r.err
	}
	return 0, io.EOF
}

// more reads the next frame of the section, which may be its end.
func (r *Reader) more() error {
	at := r.at
	what, err := r.nextFrame()
	if err != nil {
		return err
	}
	b := r.rest
	switch {
	case what == frameBytes && len(b) > tagSize:
		r.sum.Write(b)
		r.bytes += uint64(len(b))
		if r.seal == nil {
			return nil
		}
		if r.rest, err = r.seal.Open(b[:0], nonce(at), b, r.of.with()); err != nil {
			r.rest = nil
			return fmt.Errorf("%w: section %s from byte %d: that of the %d bytes at byte %d", ErrSeal, r.of, r.of.At, len(b), at)
		}
		return nil
	case what == frameEnd && len(b) == 8+sha256.Size:
		r.open, r.rest = false, nil
		if binary.LittleEndian.Uint64(b) != r.bytes || !bytes.Equal(b[8:], r.sum.Sum(nil)) {
			return fmt.Errorf("%w: section %s from byte %d: its length or its SHA-256 differs from what its end at byte %d says", ErrDamaged, r.of, r.of.At, at)
		}
		return nil
	}
	r.rest = nil
	return fmt.Errorf("%w: section %s from byte %d: at byte %d, its bytes or its end must follow", ErrDamaged, r.of, r.of.At, at)
}

// nextFrame reads a frame; its payload is in rest until the next one.
func (r *Reader) nextFrame() (what byte, err error) {
	at := r.at
	if r.frame == nil {
		r.frame = make([]byte, frameHead, 64<<10)
	}
	r.rest = nil
	b := r.frame[:frameHead]
	if err := r.read(b); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(b[1:])
	if n > maxFrame {
		return 0, fmt.Errorf("%w: at byte %d, a frame of %d bytes", ErrDamaged, at, n)
	}
	if need := frameHead + int(n); need > cap(b) {
		b = append(make([]byte, 0, need), b...)
	}
	b = b[:frameHead+int(n)]
	r.frame = b
	if err := r.read(b[frameHead:]); err != nil {
		return 0, err
	}
	if frameChecksum(b) != binary.LittleEndian.Uint32(b[5:]) {
		where := ""
		if r.open {
			where = fmt.Sprintf("section %s from byte %d: ", r.of, r.of.At)
		}
		return 0, fmt.Errorf("%w: %sthe checksum of the %d bytes at byte %d differs", ErrDamaged, where, len(b), at)
	}
	r.rest = b[frameHead:]
	return b[0], nil
}

// read fills b.
func (r *Reader) read(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.at += int64(n)
	switch {
	case err == nil:
		r.all.Write(b)
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends at byte %d", ErrCut, r.at)
	}
	return fmt.Errorf("read snapshot: %w", err)
}
