package backup

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Writer writes a file. It belongs to one goroutine. After an error every call returns that error.
type Writer struct {
	out      io.Writer
	seal     cipher.AEAD
	all      hash.Hash
	at       int64
	sections uint64
	open     *section
	frame    []byte
	err      error
}

// section is the one that is being written.
type section struct {
	w     *Writer
	with  []byte
	sum   hash.Hash
	bytes uint64
}

// NewWriter draws a salt, which h has then, and writes the head. key gives the key of 32 bytes for a salt.
func NewWriter(out io.Writer, h *Head, key func(salt []byte) ([]byte, error)) (*Writer, error) {
	h.Salt = make([]byte, SaltSize)
	_, _ = rand.Read(h.Salt) // never fails; it ends the process instead
	secret, err := key(h.Salt)
	if err != nil {
		return nil, err
	}
	seal, err := sealing(secret)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode head of snapshot: %w", err)
	}
	if len(text) > maxHead {
		return nil, fmt.Errorf("encode head of snapshot: it has %d bytes; at most %d are read", len(text), maxHead)
	}
	b := append([]byte(magic), make([]byte, headFixed-len(magic))...)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(text)))
	b = append(b, text...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	w := &Writer{out: out, seal: seal, all: sha256.New(), frame: make([]byte, 0, frameHead+clearBytes+tagSize)}
	return w, w.write(b)
}

// Bytes is how many have been written.
func (w *Writer) Bytes() int64 { return w.at }

// Section ends the section before and begins another, which is written to until the next call of the Writer. What is written is not kept.
func (w *Writer) Section(kind, name string) (io.Writer, error) {
	if err := (Section{Kind: kind, Name: name}).check(); err != nil {
		return nil, err
	}
	if err := w.end(); err != nil {
		return nil, err
	}
	b := w.begin(frameSection)
	b = append(b, byte(len(kind)))
	b = append(append(b, kind...), name...)
	if err := w.finish(b); err != nil {
		return nil, err
	}
	w.sections++
	w.open = &section{w: w, with: Section{Kind: kind, Name: name}.with(), sum: sha256.New()}
	return w.open, nil
}

// Close ends the file: without it the file is not whole. It does not close what is written to.
func (w *Writer) Close() error {
	if err := w.end(); err != nil {
		return err
	}
	all := w.all.Sum(nil)
	b := w.begin(frameLast)
	b = binary.LittleEndian.AppendUint64(b, w.sections)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.at))
	b = append(b, all...)
	return w.finish(w.seal.Seal(b, nonce(w.at), nil, b[frameHead:]))
}

// Write implements io.Writer.
func (s *section) Write(p []byte) (n int, err error) {
	if s.w.open != s {
		panic("BUG: a section that has ended is written to")
	}
	for len(p) > 0 {
		part := p[:min(len(p), clearBytes)]
		b := s.w.seal.Seal(s.w.begin(frameBytes), nonce(s.w.at), part, s.with)
		if err := s.w.finish(b); err != nil {
			return n, err
		}
		s.sum.Write(b[frameHead:])
		s.bytes += uint64(len(b) - frameHead)
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

// end ends the section that is open.
func (w *Writer) end() error {
	s := w.open
	if s == nil || w.err != nil {
		return w.err
	}
	w.open = nil
	b := binary.LittleEndian.AppendUint64(w.begin(frameEnd), s.bytes)
	return w.finish(s.sum.Sum(b))
}

func (w *Writer) begin(what byte) []byte {
	return append(w.frame[:0], what, 0, 0, 0, 0, 0, 0, 0, 0)
}

// finish writes a frame that begin began.
func (w *Writer) finish(b []byte) error {
	w.frame = b
	binary.LittleEndian.PutUint32(b[1:], uint32(len(b)-frameHead))
	binary.LittleEndian.PutUint32(b[5:], frameChecksum(b))
	return w.write(b)
}

// frameChecksum is that of a whole frame.
func frameChecksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:5], castagnoli), castagnoli, b[frameHead:])
}

func (w *Writer) write(b []byte) error {
	if w.err != nil {
		return w.err
	}
	n, err := w.out.Write(b)
	w.at += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write snapshot: %w", err)
		return w.err
	}
	w.all.Write(b)
	return nil
}
