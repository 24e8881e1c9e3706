package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"restraint/caps"
	"restraint/edge/durable"
)

// Export writes what the store holds in the form of a snapshot file (see snapshot.go): everything that was recorded before the call, and some of
// what is recorded meanwhile. It takes the locks that a snapshot takes, for as long, at the same rate; and it stands in no snapshot's way, however
// slowly w takes it. It may be called from any goroutine once Restore has returned.
func (k *Keeper) Export(w io.Writer) error {
	k.gate.Lock()
	head, s := k.headLocked(), k.store
	k.gate.Unlock()
	if s == nil {
		panic("BUG: Export before Restore")
	}
	head.position, head.published = 0, 0 // of an outbox that stays here
	writer := snapshotWriter{rate: k.options.SnapshotRate, stopped: k.stop, codec: &k.codec, out: w}
	if err := writer.content(head, s); err != nil {
		return fmt.Errorf("export counters: %w", err)
	}
	return nil
}

// Exported is what Export wrote, as Check and Import read it.
type Exported struct {
	// Begun is the second in which it was begun, by the clock of the store.
	Begun caps.Second
	// Missing says that something was missing in the node: messages of a stream that it could not read any more.
	Missing bool
	// Bytes is its length.
	Bytes int64
}

// Check reads what Export wrote to its end, checks every byte, and gives its records to each, which keeps nothing of them. Errors wrap
// ErrSnapshot, ErrVersion, ErrFingerprint, ErrEpoch, or are those of reading or of each. seals may be nil.
func Check(r io.Reader, fingerprint string, seals Seals, each func(records []byte) error) (Exported, error) {
	codec, err := codecOf(fingerprint, seals)
	if err != nil {
		return Exported{}, err
	}
	_, x, err := readExport(r, codec, func(snapshotFrom) error { return nil }, func(section []byte) error { return each(section[sectionHead:]) })
	return x, err
}

// Import makes dir, which must not be there or be empty, the directory of a Keeper that has what Export wrote; each is given the records. It is
// whole when Import returns nil, and of no use otherwise. Errors are those of Check and of the disk.
func Import(dir string, r io.Reader, fingerprint string, seals Seals, each func(records []byte) error) (x Exported, err error) {
	codec, err := codecOf(fingerprint, seals)
	if err != nil {
		return x, err
	}
	snapshots := filepath.Join(dir, "snapshots")
	if err := os.MkdirAll(snapshots, 0o700); err != nil {
		return x, fmt.Errorf("make directory: %w", err)
	}
	w := snapshotWriter{files: disk{}, codec: codec}
	err = w.writeFile(snapshots, snapshotName(1), func() error {
		_, x, err = readExport(r, codec, w.begin, func(section []byte) error {
			w.buffer = append(w.buffer[:0], section...)
			if err := w.section(); err != nil {
				return err
			}
			return each(section[sectionHead:])
		})
		if err == nil {
			err = w.end()
		}
		return err
	})
	if err != nil {
		return x, err
	}
	if writes := hexOf(codec.writes()); writes != fingerprint {
		if err := durable.Write(filepath.Join(dir, epochFile), []byte(writes+"\n")); err != nil {
			return x, fmt.Errorf("keep the epoch in use: %w", err)
		}
	}
	if err := durable.Write(filepath.Join(dir, importedFile), nil); err != nil {
		return x, fmt.Errorf("note the import: %w", err)
	}
	return x, nil
}

func codecOf(fingerprint string, seals Seals) (*Codec, error) {
	number, err := parseFingerprint(fingerprint)
	return &Codec{Fingerprint: number, sealer: newSealer(seals)}, err
}

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

// importedFile says that what was imported is in no stream, and in no copy yet. It is empty.
const importedFile = "imported"

func isImported(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, importedFile))
	return err == nil
}

// give puts a copy of all that was imported where the nodes that come later look for it, since the streams of the cluster may never have had it.
// Until then the node is not ready.
func (c *copier) give(ctx context.Context) error {
	if !c.whole() {
		return nil
	}
	if err := c.askAge(ctx); err != nil {
		return err
	}
	kv, err := c.broker.keyValue(ctx)
	if err != nil {
		return err
	}
	c.keeper.since.Add(1) // the file that was imported says how far streams of another time were read
	if err := c.keeper.snapshot(); err != nil {
		return err
	}
	if err := c.copy(ctx, kv); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(c.keeper.options.Dir, importedFile)); err != nil {
		return err
	}
	c.owes.Store(false)
	return durable.SyncDir(c.keeper.options.Dir)
}

// Lock locks the directory of a Keeper as Open does, for whoever writes into it while no Keeper has it; the error wraps ErrLocked. It makes the
// directory, and leaves an empty file there.
func Lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return lock.Close, nil
}
