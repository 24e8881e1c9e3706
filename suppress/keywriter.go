package suppress

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"os"
	"path/filepath"
)

// keyWriter writes a key file beside its place and moves it there whole.
type keyWriter struct {
	file  File
	sync  func(dir string) error
	buf   []byte
	sum   hash.Hash
	keys  uint64
	index []pair

	leaves  uint32   // when keys leave, but for those in leaving
	leaving *leaving // nil: none

	form   sealing
	seal   cipher.Block  // nil: it is not sealed
	stream cipher.Stream // of seal, as far as was written
}

func newKeyWriter(disk Disk, tmp string, sync func(dir string) error, v vault) (*keyWriter, error) {
	form, seal, err := v.next(sealsKeys)
	if err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	f, err := disk.CreateTemp(tmp, "keys-")
	if err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	w := &keyWriter{file: f, sync: sync, sum: sha256.New(), buf: make([]byte, 0, 256<<10), leaves: never, form: form, seal: seal}
	if seal != nil {
		w.stream = allKeys(seal)
	}
	if _, err := f.Write(make([]byte, manifestSize)); err != nil {
		w.abandon()
		return nil, fmt.Errorf("write key file: %w", err)
	}
	return w, nil
}

// add takes keys in strictly ascending order.
func (w *keyWriter) add(p pair) error {
	if w.keys%blockKeys == 0 {
		w.index = append(w.index, p)
	}
	w.keys++
	w.buf = binary.BigEndian.AppendUint64(w.buf, p.hi)
	w.buf = binary.BigEndian.AppendUint64(w.buf, p.lo)
	if len(w.buf) == cap(w.buf) {
		return w.flush()
	}
	return nil
}

// addAll takes every key of the stream.
func (w *keyWriter) addAll(s keyStream) error {
	for {
		p, ok, err := s.next()
		if err != nil || !ok {
			return err
		}
		if err := w.add(p); err != nil {
			return err
		}
	}
}

// addMembers takes every member of the stream.
func (w *keyWriter) addMembers(s memberStream) error {
	for {
		m, ok, err := s.nextMember()
		if err != nil || !ok {
			return err
		}
		if err := w.add(m.pair); err != nil {
			return err
		}
		if m.leaves == w.leaves {
			continue
		}
		if w.leaving == nil {
			w.leaving = new(leaving)
		}
		w.leaving.add(m)
	}
}

func (w *keyWriter) flush() error {
	if w.stream != nil {
		w.stream.XORKeyStream(w.buf, w.buf)
	}
	w.sum.Write(w.buf)
	if _, err := w.file.Write(w.buf); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	w.buf = w.buf[:0]
	return nil
}

// finish writes the head (its count and checksum are filled in), syncs, and
// moves the file to path. The key file reads from the same descriptor.
func (w *keyWriter) finish(m manifest, path string) (*keyFile, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	m.sealing = w.form
	m.keys, m.until, m.leaving = w.keys, untilOf(w.leaves), w.leaving.len() > 0
	w.sum.Sum(m.sum[:0])
	head := m.append(nil)
	if m.leaving {
		if err := w.leaving.writeTo(w.file, head, w.seal); err != nil {
			return nil, fmt.Errorf("write key file: %w", err)
		}
	}
	if _, err := w.file.WriteAt(head, 0); err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	if err := w.file.Place(path); err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	if err := w.sync(filepath.Dir(path)); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("write key file: %w", err)
	}
	k := &keyFile{manifest: m, path: path, file: w.file, index: w.index, leaving: w.leaving, seal: w.seal}
	w.file = nil
	return k, nil
}

// unnamed ends a file that nobody else is to see. It has no head.
func (w *keyWriter) unnamed() (*keyFile, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	if err := os.Remove(w.file.Name()); err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	k := &keyFile{manifest: manifest{keys: w.keys, until: untilOf(w.leaves)}, path: w.file.Name(), file: w.file, index: w.index, leaving: w.leaving, seal: w.seal}
	w.sum.Sum(k.manifest.sum[:0])
	w.file = nil
	return k, nil
}

// abandon removes what was not finished; after finish it does nothing.
func (w *keyWriter) abandon() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
		w.file = nil
	}
}
