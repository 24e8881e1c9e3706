package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"restraint/caps"
)

var testLog = slog.New(slog.DiscardHandler)

// checksummed mends the checksums of a snapshot's head.
func checksummed(head []byte) []byte {
	binary.LittleEndian.PutUint32(head[100:], crc32.Checksum(head[:100], castagnoli))
	if len(head) >= snapshotHead {
		binary.LittleEndian.PutUint32(head[136:], crc32.Checksum(head[104:136], castagnoli))
	}
	return head
}

// snapshotBytes is a snapshot of a store with a few users of every kind.
func snapshotBytes(t testing.TB, r *rand.Rand, from snapshotFrom, further ...caps.Change) []byte {
	s, dir := newStore(), t.TempDir()
	for _, c := range append(randomChanges(r, testKeys(20), 100), further...) {
		if err := s.Apply(&c); err != nil {
			t.Fatal(err)
		}
	}
	w := snapshotWriter{files: disk{}}
	if err := w.write(dir, "x", from, s); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Head and footer are fixed, and an empty store has nothing between them.
func TestSnapshotForm(t *testing.T) {
	dir := t.TempDir()
	w := snapshotWriter{files: disk{}}
	from := snapshotFrom{fingerprint: 0x0102030405060708, position: positionOf(5, 6), created: 7, positions: positions{
		published: positionOf(3, 4), events: StreamPosition{0x11, 0x12, 0x13, 0x14, 0x15, 0x16}, refusals: StreamPosition{0x21, 0x22, 0x23, 0x24, 0x25, 0x26},
	}}
	if err := w.write(dir, "x", from, newStore()); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(filepath.Join(dir, "x"))
	want := []byte("rssn\x04\x00\x00\x00\x08\x07\x06\x05\x04\x03\x02\x01\x06\x00\x00\x00\x05\x00\x00\x00\x07\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00")
	for _, v := range []uint64{0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24} {
		want = binary.LittleEndian.AppendUint64(want, v)
	}
	want = binary.LittleEndian.AppendUint32(want, crc32.Checksum(want, castagnoli))
	for _, v := range []uint64{0x15, 0x16, 0x25, 0x26} {
		want = binary.LittleEndian.AppendUint64(want, v)
	}
	want = binary.LittleEndian.AppendUint32(want, crc32.Checksum(want[104:], castagnoli))
	want = append(want, "\x00\x00\x00\x00end.\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x00\x00\x00\x00\x00\x00\x00"...)
	want = binary.LittleEndian.AppendUint32(want, crc32.Checksum(want, castagnoli))
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// Whatever a file holds: an error, or a snapshot whose sections the store takes or refuses.
func FuzzSnapshot(f *testing.F) {
	for i := range 3 {
		b := snapshotBytes(f, rand.New(rand.NewPCG(3, uint64(i))), snapshotFrom{fingerprint: 1, position: 2, created: 3})
		f.Add(b, i > 0)
		f.Add(olderSnapshot(b), i > 0)
		r := rand.New(rand.NewPCG(4, uint64(i)))
		f.Add(snapshotBytes(f, r, snapshotFrom{fingerprint: 1}, ownChanges(r, testKeys(20), 60)...), true)
	}
	codec := sealedCodec(1, 1)
	codec.Fingerprint = 1
	f.Add(sealedSnapshot(f, codec, rand.New(rand.NewPCG(5, 5))), true)
	known := randomChanges(rand.New(rand.NewPCG(3, 9)), testKeys(5), 10)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend {
			b = mended(b)
		}
		v, err := verify(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrSnapshot) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		if err := codec.openSnapshot(&v); err != nil {
			if !errors.Is(err, ErrEpoch) && !errors.Is(err, ErrFingerprint) && !errors.Is(err, ErrSnapshot) {
				t.Fatal(err)
			}
			return
		}
		if err := v.merge(bytes.NewReader(b), newStore(), 1); err != nil && !errors.Is(err, ErrSnapshot) && !errors.Is(err, caps.ErrMalformed) && !errors.Is(err, caps.ErrFull) {
			t.Fatal(err)
		}
		s := newStore()
		applyAll(t, s, known)
		if err := v.join(bytes.NewReader(b), s, 1); err != nil && !errors.Is(err, ErrSnapshot) && !errors.Is(err, caps.ErrMalformed) && !errors.Is(err, caps.ErrFull) {
			t.Fatal(err)
		}
	})
}

// olderSnapshot is the snapshot in the form of version 2.
func olderSnapshot(b []byte) []byte {
	b = append(bytes.Clone(b[:snapshotBase]), b[snapshotHead:]...)
	b[4] = 2
	return mended(b)
}

// One of version 2 is read; where it ends early it is damaged; of the next version it is one that this program does not know, not damaged.
func TestSnapshotVersions(t *testing.T) {
	from := snapshotFrom{fingerprint: 1, position: 2, created: 3, positions: positions{
		published: 4, events: StreamPosition{Created: 5, Next: 6, Time: 7, Known: 8}, refusals: StreamPosition{Created: 9, Next: 10, Time: 11, Known: 12},
	}}
	older := olderSnapshot(snapshotBytes(t, rand.New(rand.NewPCG(3, 3)), from))
	v, err := verify(bytes.NewReader(older))
	if err != nil || v.snapshotFrom != from || len(v.sections) == 0 {
		t.Fatalf("%+v, %v", v.snapshotFrom, err)
	}
	if err := v.merge(bytes.NewReader(older), newStore(), 1); err != nil {
		t.Fatal(err)
	}
	for n := range snapshotHead + sectionHead {
		if _, err := verify(bytes.NewReader(older[:n])); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	empty, dir := snapshotWriter{files: disk{}}, t.TempDir() // shorter than the head of version 4
	if err := empty.write(dir, "x", from, newStore()); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(filepath.Join(dir, "x"))
	if v, err := verify(bytes.NewReader(olderSnapshot(b))); err != nil || v.snapshotFrom != from {
		t.Errorf("an empty one: %v", err)
	}
	for _, version := range []byte{0, 1, 7, 255} {
		other := bytes.Clone(b)
		other[4] = version
		if _, err := verify(bytes.NewReader(mended(other))); !errors.Is(err, ErrVersion) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// mended sets the checksums right, as far as head and sections can be made out.
func mended(b []byte) []byte {
	head := snapshotHead
	if len(b) > 4 && b[4] == 2 {
		head = snapshotBase
	}
	if len(b) > 4 && b[4] == snapshotSealed {
		head = sealedHead
	}
	if len(b) < head {
		return b
	}
	b = append(checksummed(bytes.Clone(b[:head])), b[head:]...)
	at, sections := head, 0
	for at+sectionHead < len(b) {
		n := int(binary.LittleEndian.Uint32(b[at:]))
		if n == 0 || n > len(b)-at-sectionHead {
			break
		}
		section := b[at : at+sectionHead+n]
		binary.LittleEndian.PutUint32(section[8:], sectionChecksum(section))
		at, sections = at+len(section), sections+1
	}
	b = append(b[:at:at], 0, 0, 0, 0)
	b = append(b, footerMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(sections))
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}
