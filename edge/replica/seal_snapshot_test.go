package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/caps"
)

// sealedSnapshot is the file of a store with some random records.
func sealedSnapshot(t testing.TB, codec *Codec, r *rand.Rand) []byte {
	t.Helper()
	s, dir := newStore(), t.TempDir()
	for _, c := range randomChanges(r, testKeys(20), 60) {
		if err := s.Apply(&c); err != nil {
			t.Fatal(err)
		}
	}
	return writtenSnapshot(t, codec, s, dir)
}

func writtenSnapshot(t testing.TB, codec *Codec, s *caps.Store, dir string) []byte {
	t.Helper()
	w := snapshotWriter{files: disk{}, codec: codec}
	if err := w.write(dir, "x", snapshotFrom{fingerprint: codec.Fingerprint, position: 3, created: testNow}, s); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealedSnapshot(t *testing.T) {
	r, keys, dir := testRand(t), testKeys(200), t.TempDir()
	want := newStore()
	for range 40 {
		applyAll(t, want, randomChanges(r, keys, 40))
	}
	want.Apply(&caps.Change{Kind: caps.ChangeReport, Keys: keys[:1], Now: testNow, Field: 2, Stamp: testNow, Value: 1})
	b := writtenSnapshot(t, sealedCodec(1, 1), want, dir)
	wantHidden(t, "snapshot", b, keys)
	again := writtenSnapshot(t, sealedCodec(1, 1), want, dir)
	if bytes.Equal(b[sealedHead+sectionHead:sealedHead+sectionHead+64], again[sealedHead+sectionHead:sealedHead+sectionHead+64]) {
		t.Error("two files of the same are sealed alike")
	}
	reader := sealedCodec(2, 0)
	for name, merge := range map[string]func(*verified, *caps.Store) error{
		"merge": func(v *verified, s *caps.Store) error { return v.merge(bytes.NewReader(b), s, testNow) },
		"join":  func(v *verified, s *caps.Store) error { return v.join(bytes.NewReader(b), s, testNow) },
	} {
		v, err := verify(bytes.NewReader(b))
		if err == nil {
			err = reader.openSnapshot(&v)
		}
		got := newStore()
		if err == nil {
			err = merge(&v, got)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantSame(t, got, want, keys)
	}
	v, err := verify(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for name, codec := range map[string]*Codec{"without epochs": &testCodec, "without this epoch": sealedCodec(0, 0)} {
		if err := codec.openSnapshot(&v); !errors.Is(err, ErrEpoch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := sealedCodec(1, 1)
	other.sealer.seals.(*testSeals).word = "another cluster"
	if err := other.openSnapshot(&v); err != nil {
		t.Fatal(err)
	}
	if err := v.merge(bytes.NewReader(b), newStore(), testNow); !errors.Is(err, ErrSnapshot) {
		t.Errorf("with another secret: %v", err)
	}
}

// A section that was changed, or stands in the place of another, is found also where all checksums are right.
func TestSealedSnapshotChanged(t *testing.T) {
	codec := sealedCodec(1, 1)
	b := sealedSnapshot(t, codec, testRand(t))
	try := func(b []byte) error {
		v, err := verify(bytes.NewReader(b))
		if err == nil {
			err = codec.openSnapshot(&v)
		}
		if err == nil {
			err = v.merge(bytes.NewReader(b), newStore(), testNow)
		}
		return err
	}
	if err := try(mended(b)); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{sealedHead + 4, sealedHead + sectionHead, sealedHead + sectionHead + 40} {
		forged := bytes.Clone(b)
		forged[at] ^= 1
		if err := try(mended(forged)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	first := sealedHead + sectionHead + int(binary.LittleEndian.Uint32(b[sealedHead:]))
	moved := append(bytes.Clone(b[:sealedHead]), b[first:]...) // the first section is left out, and the others stand elsewhere
	if err := try(mended(moved)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("moved: %v", err)
	}
	salt := bytes.Clone(b)
	salt[snapshotHead] ^= 1
	if err := try(mended(salt)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("its salt, and not the checksum of that: %v", err)
	}
	binary.LittleEndian.PutUint32(salt[sealedHead-4:], crc32.Checksum(salt[snapshotHead:sealedHead-4], castagnoli))
	if err := try(mended(salt)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("its salt: %v", err)
	}
}

// filesUnder reads every file of a folder.
func filesUnder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A node that records before, at and after a change of epoch, and starts again in between, has what one has that never changed; and once two
// snapshots were taken its files have no key in clear. Without the secret it does not start, and loses nothing by having tried.
func TestKeeperThroughEpochs(t *testing.T) {
	r, keys, dir := testRand(t), testKeys(60), t.TempDir()
	seals, want := newSeals(0, 0), newStore()
	start := func(seals *testSeals) (*Keeper, *caps.Store) {
		o := testOptions(dir)
		o.Seals = seals
		return opened(t, o)
	}
	work := func(k *Keeper) {
		for range 20 {
			changes := randomChanges(r, keys, 20)
			record(t, k, changes...)
			applyAll(t, want, changes)
			if r.IntN(5) == 0 {
				if err := k.snapshot(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for epoch := range 4 {
		k, s := start(seals)
		wantSame(t, s, want, keys)
		work(k)
		seals.learn(epoch + 1)
		if err := seals.Activate(sealFingerprint(epoch + 1)); err != nil {
			t.Fatal(err)
		}
		k.anotherEpoch()
		work(k)
		wantSame(t, s, want, keys)
		switch r.IntN(3) {
		case 0:
			closed(t, k)
		case 1:
			crash(k)
		default:
			for range 3 { // the outbox of the epoch before goes with the second snapshot
				if err := k.snapshot(); err != nil {
					t.Fatal(err)
				}
				record(t, k, caps.Change{Kind: caps.ChangeErase, Keys: keys[:1], Now: testNow, Until: 1})
				applyAll(t, want, []caps.Change{{Kind: caps.ChangeErase, Keys: keys[:1], Now: testNow, Until: 1}})
			}
			for path, b := range filesUnder(t, dir) {
				wantHidden(t, path, b, keys)
			}
			closed(t, k)
		}
	}
	o := testOptions(dir)
	o.Seals = newSeals(3, 3)
	k, err := Open(o)
	if err == nil {
		err = k.Restore(newStore())
		k.outbox.close()
		k.lock.Close()
	}
	if !errors.Is(err, ErrEpoch) || !strings.Contains(err.Error(), sealFingerprint(4)) {
		t.Errorf("without the newest secret: %v", err)
	}
	k, s := start(newSeals(5, 4))
	wantSame(t, s, want, keys)
	closed(t, k)
}
