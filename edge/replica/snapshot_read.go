package replica

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"restraint/caps"
)

// ErrSnapshot says that a file is no snapshot, or a damaged one.
var ErrSnapshot = errors.New("damaged snapshot")

// ErrFingerprint says that files were made under another identifier secret: their keys are of nobody here.
var ErrFingerprint = errors.New("made under another identifier secret")

// parseSnapshotHead reads the head that b begins with, of which there are at least snapshotBase bytes and as many more as the version has,
// and returns its length.
func parseSnapshotHead(b []byte) (h snapshotFrom, length int, err error) {
	le := binary.LittleEndian
	if len(b) < snapshotBase || string(b[:4]) != snapshotMagic || crc32.Checksum(b[:100], castagnoli) != le.Uint32(b[100:]) {
		return h, 0, fmt.Errorf("%w: its head cannot be read", ErrSnapshot)
	}
	h = snapshotFrom{fingerprint: le.Uint64(b[8:]), position: Position(le.Uint64(b[16:])), created: caps.Second(le.Uint32(b[24:]))}
	h.published = Position(le.Uint64(b[28:]))
	for i, p := range [...]*StreamPosition{&h.events, &h.refusals} {
		at := b[36+32*i:]
		p.Created, p.Next, p.Time, p.Known = int64(le.Uint64(at)), le.Uint64(at[8:]), int64(le.Uint64(at[16:])), int64(le.Uint64(at[24:]))
	}
	switch version := le.Uint32(b[4:]); version {
	case 2:
		return h, snapshotBase, nil
	case 3, snapshotVersion:
	case snapshotBeside:
		h.beside = true
	case snapshotSealed:
		h.sealed = true
	default:
		return snapshotFrom{}, 0, fmt.Errorf("%w: version %d, this program reads 2 to %d", ErrVersion, version, snapshotSealed)
	}
	if len(b) < snapshotHead || crc32.Checksum(b[snapshotBase:snapshotHead-4], castagnoli) != le.Uint32(b[snapshotHead-4:]) {
		return snapshotFrom{}, 0, fmt.Errorf("%w: its head cannot be read", ErrSnapshot)
	}
	for i, p := range [...]*StreamPosition{&h.events, &h.refusals} {
		at := b[snapshotBase+16*i:]
		p.Missed, p.Hole = le.Uint64(at), le.Uint64(at[8:])
	}
	if !h.sealed {
		return h, snapshotHead, nil
	}
	if len(b) < sealedHead || crc32.Checksum(b[snapshotHead:sealedHead-4], castagnoli) != le.Uint32(b[sealedHead-4:]) {
		return snapshotFrom{}, 0, fmt.Errorf("%w: its head cannot be read", ErrSnapshot)
	}
	copy(h.salt[:], b[snapshotHead:])
	return h, sealedHead, nil
}

// ErrVersion says that a file was written by a later program.
var ErrVersion = errors.New("unknown version")

// section is where a section of a snapshot stands.
type section struct {
	at     int64
	kind   uint32
	length uint32
}

// verified is a snapshot of which every byte has been checked.
type verified struct {
	snapshotFrom
	sections []section
	seal     cipher.AEAD // of a sealed one, once it was opened (see Codec.openSnapshot)
}

// verify reads a whole snapshot and checks it. Errors wrap ErrSnapshot, ErrVersion, or what the file returned.
func verify(f io.ReaderAt) (v verified, err error) {
	var head [sealedHead]byte
	n, err := f.ReadAt(head[:], 0) // one of an earlier version can be shorter than this
	if err != nil && !errors.Is(err, io.EOF) {
		return v, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	var length int
	if v.snapshotFrom, length, err = parseSnapshotHead(head[:n]); err != nil {
		return v, err
	}
	checksum := crc32.Checksum(head[:length], castagnoli)
	buffer := make([]byte, 0, sectionHead+stepBytes)
	for at := int64(length); ; {
		buffer = buffer[:sectionHead]
		if err := readFull(f, buffer, at); err != nil {
			return v, err
		}
		length := binary.LittleEndian.Uint32(buffer)
		if length == 0 {
			return v, v.checkFooter(f, at, checksum)
		}
		if length > maxSection {
			return v, fmt.Errorf("%w: section of %d bytes at %d", ErrSnapshot, length, at)
		}
		buffer = growBy(buffer, int(length))
		if err := readFull(f, buffer[sectionHead:], at+sectionHead); err != nil {
			return v, err
		}
		if sectionChecksum(buffer) != binary.LittleEndian.Uint32(buffer[8:]) {
			return v, fmt.Errorf("%w: checksum of the section at %d", ErrSnapshot, at)
		}
		checksum = crc32.Update(checksum, castagnoli, buffer)
		v.sections = append(v.sections, section{at: at, kind: binary.LittleEndian.Uint32(buffer[4:]), length: length})
		at += int64(len(buffer))
	}
}

// checkFooter checks the footer, and that nothing follows it.
func (v *verified) checkFooter(f io.ReaderAt, at int64, checksum uint32) error {
	var b [footerSize + 1]byte
	n, err := f.ReadAt(b[:], at)
	if n != footerSize || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it does not end with its footer", ErrSnapshot)
	}
	le := binary.LittleEndian
	if string(b[4:8]) != footerMagic || le.Uint64(b[8:]) != uint64(len(v.sections)) || le.Uint64(b[16:]) != uint64(at) ||
		le.Uint32(b[24:]) != crc32.Update(checksum, castagnoli, b[:24]) {
		return fmt.Errorf("%w: its footer is of another file", ErrSnapshot)
	}
	return nil
}

func readFull(f io.ReaderAt, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it ends at %d", ErrSnapshot, at+int64(n))
	}
	return fmt.Errorf("%w: %w", ErrSnapshot, err)
}

// merge joins a snapshot that was verified into the store, which is empty.
func (v *verified) merge(f io.ReaderAt, s *caps.Store, now caps.Second) error {
	return v.mergeBy(f, func(records []byte) error { return s.MergeSnapshot(records, now) })
}

// join joins it into a store that has records of its own.
func (v *verified) join(f io.ReaderAt, s *caps.Store, now caps.Second) error {
	for _, x := range v.sections {
		if caps.HasCuts(byte(x.kind)) {
			j := s.NewJoin()
			return v.mergeBy(f, func(records []byte) error { return j.Merge(records, now) })
		}
	}
	return v.merge(f, s, now)
}

// mergeBy gives all sections to merge: one kind of records after the other, the sections of a kind in as many parts
// as there are processors, which are of different shards but for where they meet.
func (v *verified) mergeBy(f io.ReaderAt, merge func(records []byte) error) error {
	workers := min(runtime.GOMAXPROCS(0), maxMergers)
	for rest := v.sections; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].kind == rest[0].kind {
			n++
		}
		faults := make([]error, workers)
		var running sync.WaitGroup
		for i := range workers {
			part := rest[n*i/workers : n*(i+1)/workers]
			running.Go(func() { faults[i] = v.mergeSections(f, part, merge) })
		}
		running.Wait()
		if err := errors.Join(faults...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// maxMergers bounds the goroutines of a merge. Chosen: a disk gives no more.
const maxMergers = 8

func (v *verified) mergeSections(f io.ReaderAt, sections []section, merge func(records []byte) error) error {
	var buffer []byte
	if v.sealed && v.seal == nil {
		panic("BUG: a sealed snapshot that was not opened")
	}
	for _, x := range sections {
		buffer = growBy(buffer[:0], int(x.length))
		if err := readFull(f, buffer, x.at+sectionHead); err != nil {
			return err
		}
		records, err := v.openSection(x, buffer)
		if err != nil {
			return err
		}
		if err := merge(records); err != nil {
			return fmt.Errorf("merge section at %d: %w", x.at, err)
		}
	}
	return nil
}
