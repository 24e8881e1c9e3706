package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// readExport reads a snapshot as a stream. begin is called with its head, each with every section, opened, behind room for a head; it is used
// again.
func readExport(r io.Reader, codec *Codec, begin func(snapshotFrom) error, each func(section []byte) error) (from snapshotFrom, x Exported, err error) {
	in := exportReader{in: r}
	if from, err = in.head(); err != nil {
		return from, x, err
	}
	v := verified{snapshotFrom: from}
	if err := codec.openSnapshot(&v); err != nil {
		return from, x, fmt.Errorf("%w: it says %016x, this secret has %016x", err, from.fingerprint, codec.Fingerprint)
	}
	x = Exported{Begun: from.created, Missing: from.events.Hole != 0 || from.refusals.Hole != 0}
	if err := begin(from); err != nil {
		return from, x, err
	}
	buffer := make([]byte, 0, sectionHead+stepBytes)
	for count := uint64(0); ; count++ {
		s := section{at: in.at}
		buffer = buffer[:sectionHead]
		if err := in.fill(buffer[:8]); err != nil {
			return from, x, err
		}
		if s.length = binary.LittleEndian.Uint32(buffer); s.length == 0 {
			err := in.footer(buffer[:8], s.at, count)
			x.Bytes = in.at
			return from, x, err
		}
		if s.length > maxSection {
			return from, x, fmt.Errorf("%w: section of %d bytes at %d", ErrSnapshot, s.length, s.at)
		}
		buffer = growBy(buffer, int(s.length))
		if err := in.fill(buffer[8:]); err != nil {
			return from, x, err
		}
		if sectionChecksum(buffer) != binary.LittleEndian.Uint32(buffer[8:]) {
			return from, x, fmt.Errorf("%w: checksum of the section at %d", ErrSnapshot, s.at)
		}
		s.kind = binary.LittleEndian.Uint32(buffer[4:])
		records, err := v.openSection(s, buffer[sectionHead:])
		if err == nil && (len(records) < 2 || uint32(records[1]) != s.kind) {
			err = fmt.Errorf("%w: the section at %d is not of the kind that it says", ErrSnapshot, s.at)
		}
		if err == nil {
			err = each(buffer[:sectionHead+len(records)])
		}
		if err != nil {
			return from, x, err
		}
	}
}

// exportReader counts and sums what it reads.
type exportReader struct {
	in       io.Reader
	at       int64
	checksum uint32
}

func (r *exportReader) fill(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.at += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends at %d", ErrSnapshot, r.at)
	}
	r.checksum = crc32.Update(r.checksum, castagnoli, b)
	return err
}

// head reads a head of any version.
func (r *exportReader) head() (from snapshotFrom, err error) {
	b := make([]byte, snapshotBase, sealedHead)
	if err := r.fill(b); err != nil {
		return from, err
	}
	length := snapshotHead
	switch binary.LittleEndian.Uint32(b[4:]) {
	case 2:
		length = snapshotBase
	case snapshotSealed:
		length = sealedHead
	}
	b = b[:length]
	if err := r.fill(b[snapshotBase:]); err != nil {
		return from, err
	}
	from, _, err = parseSnapshotHead(b)
	return from, err
}

// footer reads what follows the eight bytes of the footer that begins at a place.
func (r *exportReader) footer(begun []byte, at int64, sections uint64) error {
	b := append(append(make([]byte, 0, footerSize), begun...), make([]byte, footerSize-8)...)
	if err := r.fill(b[8:24]); err != nil {
		return err
	}
	checksum := r.checksum
	if err := r.fill(b[24:]); err != nil {
		return err
	}
	le := binary.LittleEndian
	if string(b[4:8]) != footerMagic || le.Uint64(b[8:]) != sections || le.Uint64(b[16:]) != uint64(at) || le.Uint32(b[24:]) != checksum {
		return fmt.Errorf("%w: its footer is of another file", ErrSnapshot)
	}
	if n, err := io.ReadFull(r.in, make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("%w: something follows its footer", ErrSnapshot), err)
	}
	return nil
}
