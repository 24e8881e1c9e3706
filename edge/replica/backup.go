package replica

import (
	"fmt"
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
// whole when Import returns nil, and of no use otherwise. open is the Keeper's Options.OpenFile. Errors are those of Check and of the disk.
func Import(dir string, r io.Reader, fingerprint string, seals Seals, open func(name string, flag int) (File, error), each func(records []byte) error) (x Exported, err error) {
	codec, err := codecOf(fingerprint, seals)
	if err != nil {
		return x, err
	}
	snapshots := filepath.Join(dir, "snapshots")
	if err := os.MkdirAll(snapshots, 0o700); err != nil {
		return x, fmt.Errorf("make directory: %w", err)
	}
	w := snapshotWriter{files: disk{open}, codec: codec}
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
