package replica

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"restraint/caps"
)

// A snapshot is a file of all records of a caps.Store. Numbers are little-endian, checksums CRC-32C.
//
//	head      0  4  magic "rssn"
//	          4  4  version: 6 where it is sealed, else 5 where it has records of what is kept beside the store (see caps.Beside), else 4
//	          8  8  fingerprint of the epoch of the identifier secret in which it was written; that of the cluster where it is not sealed
//	         16  8  place in the outbox, from before the first record was copied
//	         24  4  second in which it was begun, by the store's clock
//	         28  8  place in the outbox before which the broker had acknowledged everything
//	         36 32  position in the stream of events from before the first record was copied: 8 its stream's making, 8 the lowest sequence
//	                that was not applied, 8 when the message before it was stored, 8 until when nothing was missing; all times in ns
//	         68 32  the same of the stream of refusals
//	        100  4  checksum of the 100 bytes before
//	        104 16  what had gone from the stream of events unapplied: 8 its first sequence, 8 the first after it (0: nothing had)
//	        120 16  the same of the stream of refusals
//	        136  4  checksum of the 32 bytes before
//	        140 16  in version 6: salt of the file
//	        156  4  in version 6: checksum of the 16 bytes before
//	section   0  4  length of what follows the checksum, at most 1 MiB
//	          4  4  kind: byte 1 of each record
//	          8  4  checksum of the 8 bytes before and of what follows
//	         12     encoded records of one kind and one shard (see package caps): one step of caps.AppendSnapshot; in version 6 AES-256-GCM of
//	                them, under a key of epoch and salt, its nonce the place of the section in the file, its kind authenticated with it
//	footer    0  4  zero
//	          4  4  "end."
//	          8  8  number of sections
//	         16  8  length of all before the footer
//	         24  4  checksum of all before, the footer's 24 bytes included
//
// Versions 2 and 3 are read too. They have no records with a retention of their own, and version 2 has no bytes 104 to 139. The file ends with the footer. It appears under its name when it is complete and synced.
const (
	snapshotMagic   = "rssn"
	snapshotVersion = 4
	snapshotBeside  = 5 // with what is kept beside the store
	snapshotSealed  = 6
	snapshotBase    = 104 // bytes that the head has in every version, so that a later one is told from a damaged one
	snapshotHead    = 140
	sealedHead      = snapshotHead + sealSalt + 4
	sectionHead     = 12
	maxSection      = 1 << 20
	footerMagic     = "end."
	footerSize      = 28

	// stepBytes are copied under one lock of a shard: some 80 us (BenchmarkAppendSnapshot in package caps). Chosen.
	stepBytes = 64 << 10
)

// snapshotName is the file of the snapshot with that number.
func snapshotName(number uint32) string { return fmt.Sprintf("%08x.snap", number) }

// snapshotFrom is what the head of a snapshot says.
type snapshotFrom struct {
	fingerprint uint64
	position    Position
	created     caps.Second
	positions
	// beside: it has records of what is kept beside the store.
	beside bool
	// sealed: with the key of the epoch and this salt.
	sealed bool
	salt   [sealSalt]byte
}

func (h *snapshotFrom) append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, snapshotMagic...)
	version := uint32(snapshotVersion)
	if h.beside {
		version = snapshotBeside
	}
	if h.sealed {
		version = snapshotSealed
	}
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint64(dst, h.fingerprint)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.position))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.created))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.published))
	for _, p := range [...]*StreamPosition{&h.events, &h.refusals} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Created))
		dst = binary.LittleEndian.AppendUint64(dst, p.Next)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Time))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Known))
	}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
	for _, p := range [...]*StreamPosition{&h.events, &h.refusals} {
		dst = binary.LittleEndian.AppendUint64(dst, p.Missed)
		dst = binary.LittleEndian.AppendUint64(dst, p.Hole)
	}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from+snapshotBase:], castagnoli))
	if h.sealed {
		dst = append(dst, h.salt[:]...)
		dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(h.salt[:], castagnoli))
	}
	return dst
}

// snapshotWriter writes one snapshot.
type snapshotWriter struct {
	files   files
	rate    int64           // bytes per second; 0: as fast as it goes
	stopped <-chan struct{} // ends the waiting, not the writing
	codec   *Codec          // nil: nothing is sealed

	out      io.Writer
	seal     cipher.AEAD // of what is being written; nil: it is not sealed
	buffer   []byte
	checksum uint32
	bytes    int64
	sections uint64
}

// write writes a snapshot of the store to DIR/NAME. On an error nothing of that name is there, but for one after the rename (the name
// may then not outlive a loss of power).
func (w *snapshotWriter) write(dir, name string, from snapshotFrom, s *caps.Store) error {
	return w.writeFile(dir, name, func() error { return w.content(from, s) })
}

// writeFile is write for any content.
func (w *snapshotWriter) writeFile(dir, name string, content func() error) error {
	temp := filepath.Join(dir, name+".tmp")
	f, err := w.files.open(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	w.out = f
	if err = content(); err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = w.files.rename(temp, filepath.Join(dir, name))
	}
	if err != nil {
		w.files.remove(temp)
		return fmt.Errorf("write snapshot %s: %w", name, err)
	}
	if err := w.files.syncDir(dir); err != nil {
		return fmt.Errorf("sync folder of snapshots: %w", err)
	}
	return nil
}

func (w *snapshotWriter) content(from snapshotFrom, s *caps.Store) error {
	from.beside = s.HasBeside()
	if err := w.begin(from); err != nil {
		return err
	}
	begun := time.Now()
	at := caps.Cursor{Alone: !from.beside}
	for more := true; more; {
		w.buffer = append(w.buffer[:0], make([]byte, sectionHead)...)
		if w.buffer, more = s.AppendSnapshot(w.buffer, &at, stepBytes); len(w.buffer) == sectionHead {
			continue
		}
		if err := w.section(); err != nil {
			return err
		}
		w.pace(begun)
	}
	return w.end()
}

// begin writes the head.
func (w *snapshotWriter) begin(from snapshotFrom) (err error) {
	w.checksum, w.bytes, w.sections = 0, 0, 0
	if w.seal, err = w.codec.sealSnapshot(&from); err != nil {
		return err
	}
	w.buffer = from.append(w.buffer[:0])
	return w.flush()
}

// section writes the section that stands in the buffer, behind room for its head.
func (w *snapshotWriter) section() error {
	w.buffer = sealSection(w.buffer, w.bytes, w.seal)
	w.sections++
	return w.flush()
}

// end writes the footer.
func (w *snapshotWriter) end() error {
	w.buffer = append(w.buffer[:0], 0, 0, 0, 0)
	w.buffer = append(w.buffer, footerMagic...)
	w.buffer = binary.LittleEndian.AppendUint64(w.buffer, w.sections)
	w.buffer = binary.LittleEndian.AppendUint64(w.buffer, uint64(w.bytes))
	w.buffer = binary.LittleEndian.AppendUint32(w.buffer, crc32.Update(w.checksum, castagnoli, w.buffer))
	return w.flush()
}

// sealSection completes the section that stands at a place of the file; with seal nil it is not sealed.
func sealSection(section []byte, at int64, seal cipher.AEAD) []byte {
	binary.LittleEndian.PutUint32(section[4:], uint32(section[sectionHead+1]))
	if seal != nil {
		records := len(section)
		section = growBy(section, sealTag)
		seal.Seal(section[sectionHead:sectionHead], appendNonce(nil, uint64(at)), section[sectionHead:records], section[4:8])
	}
	binary.LittleEndian.PutUint32(section, uint32(len(section)-sectionHead))
	binary.LittleEndian.PutUint32(section[8:], sectionChecksum(section))
	return section
}

func sectionChecksum(section []byte) uint32 {
	return crc32.Update(crc32.Checksum(section[:8], castagnoli), castagnoli, section[sectionHead:])
}

func (w *snapshotWriter) flush() error {
	n, err := w.out.Write(w.buffer)
	if err == nil && n < len(w.buffer) {
		err = errors.New("short write")
	}
	w.checksum = crc32.Update(w.checksum, castagnoli, w.buffer)
	w.bytes += int64(n)
	return err
}

// pace waits until no more than the rate has been written since.
func (w *snapshotWriter) pace(begun time.Time) {
	if w.rate <= 0 {
		return
	}
	ahead := time.Duration(float64(w.bytes)/float64(w.rate)*float64(time.Second)) - time.Since(begun)
	if ahead < time.Millisecond {
		return
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.stopped:
		w.rate = 0
	}
}
