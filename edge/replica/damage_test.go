package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/caps"
)

// kept is a directory with two snapshots, changes before, between and after them, and the state that they come to.
func kept(t *testing.T) (dir string, want *caps.Store, keys []caps.Key) {
	t.Helper()
	r := testRand(t)
	dir, want, keys = t.TempDir(), newStore(), testKeys(200)
	k, _ := opened(t, testOptions(dir))
	k.outbox.rollAt = 1 // a segment for each batch, so that they go as soon as they may
	for i := range 3 {
		for range 20 {
			changes := randomChanges(r, keys, 10)
			record(t, k, changes...)
			applyAll(t, want, changes)
		}
		if i < 2 {
			if err := k.snapshot(); err != nil {
				t.Fatal(err)
			}
		}
	}
	crash(k)
	return dir, want, keys
}

// A snapshot that is cut short or has any bit flipped is set aside, the one before is used, and nothing is lost.
func TestDamagedSnapshot(t *testing.T) {
	from, want, keys := kept(t)
	newest := filepath.Base(matches(t, from, "snapshots/*.snap")[1])
	whole, err := os.ReadFile(filepath.Join(from, "snapshots", newest))
	if err != nil {
		t.Fatal(err)
	}
	r := testRand(t)
	cases := map[string][]byte{"empty": nil, "one byte more": append(bytes.Clone(whole), 0), "twice": append(bytes.Clone(whole), whole...)}
	for _, n := range []int{1, snapshotHead, snapshotHead + 5, len(whole) / 2, len(whole) - footerSize, len(whole) - 1} {
		cases["cut to "+string(rune('a'+len(cases)))] = bytes.Clone(whole[:n])
	}
	for i := range 40 {
		at := r.IntN(len(whole))
		if i < (snapshotHead+sectionHead)/2 {
			at = 2*i + r.IntN(2) // the heads
		}
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << r.IntN(8)
		cases["flipped "+string(rune('a'+len(cases)))] = flipped
	}
	for name, content := range cases {
		dir := t.TempDir()
		copyDir(t, from, dir)
		damage(t, filepath.Join(dir, "snapshots", newest), func([]byte) []byte { return content })
		k, s := opened(t, testOptions(dir))
		wantSame(t, s, want, keys)
		if st := k.Stats(); st.Notices != 1 || st.Restored.Incomplete || st.Restored.Snapshot == newest {
			t.Errorf("%s: %+v", name, st)
		}
		matches(t, dir, "snapshots/*.damaged")
		closed(t, k)
		k, s = opened(t, testOptions(dir)) // and from what that one kept
		wantSame(t, s, want, keys)
		crash(k)
	}
}

// With every snapshot damaged and the outbox no longer whole, the node comes up and says that it lacks something.
func TestAllSnapshotsDamaged(t *testing.T) {
	dir, _, _ := kept(t)
	for range 2 { // segments before the snapshots go
		k, _ := opened(t, testOptions(dir))
		record(t, k, randomChanges(testRand(t), testKeys(9), 9)...)
		closed(t, k)
	}
	for _, name := range matches(t, dir, "snapshots/*.snap") {
		damage(t, name, func(b []byte) []byte { return b[:len(b)-1] })
	}
	k, _ := opened(t, testOptions(dir))
	if st := k.Stats(); st.Notices != 3 || !st.Restored.Incomplete {
		t.Errorf("%+v", st)
	}
	crash(k)
}

// Another secret is refused, by snapshot and by outbox, and both fingerprints are named.
func TestOtherSecret(t *testing.T) {
	from, _, _ := kept(t)
	for _, without := range []string{"none", "snapshots"} {
		dir := t.TempDir()
		copyDir(t, from, dir)
		os.RemoveAll(filepath.Join(dir, without))
		o := testOptions(dir)
		o.Fingerprint = otherHex
		k, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		err = k.Restore(newStore())
		if !errors.Is(err, ErrFingerprint) || !strings.Contains(err.Error(), otherHex) || !strings.Contains(err.Error(), secretHex) {
			t.Errorf("without %s: %v", without, err)
		}
		closed(t, k)
		k, _ = opened(t, testOptions(dir)) // nothing was harmed
		closed(t, k)
	}
	if _, err := Open(Options{Dir: t.TempDir(), Fingerprint: "123"}); err == nil {
		t.Error("a fingerprint of three digits")
	}
}

// What was being written when the process died is cut off.
func TestTornTail(t *testing.T) {
	from, want, keys := kept(t)
	next := encode(t, randomChanges(testRand(t), keys, 10))
	for _, torn := range [][]byte{next[:1], next[:batchHead-1], next[:batchHead], next[:len(next)-1], make([]byte, 5000)} {
		dir := t.TempDir()
		copyDir(t, from, dir)
		segments := matches(t, dir, "outbox/*.seg")
		last := segments[len(segments)-1]
		before, _ := os.Stat(last)
		damage(t, last, func(b []byte) []byte { return append(b, torn...) })
		k, s := opened(t, testOptions(dir))
		wantSame(t, s, want, keys)
		if st := k.Stats(); st.Notices != 0 || st.Restored.Incomplete {
			t.Errorf("%+v", st)
		}
		if after, _ := os.Stat(last); after.Size() != before.Size() {
			t.Errorf("%d bytes, want %d", after.Size(), before.Size())
		}
		crash(k)
	}
}

// A batch that was damaged on disk is set aside, wherever it stands, and what follows it is read.
func TestDamagedBatch(t *testing.T) {
	keys := testKeys(50)
	changes := make([][]caps.Change, 5)
	for i := range changes {
		changes[i] = randomChanges(testRand(t), keys, 10)
	}
	for victim := range changes {
		for _, field := range []int{0, 5, 20, 22, 24, batchHead, batchHead + 9} { // 22: a length beyond the end
			dir, want := t.TempDir(), newStore()
			k, _ := opened(t, testOptions(dir))
			at := 0
			for i := range changes {
				record(t, k, changes[i]...)
				if i < victim {
					at += len(encode(t, changes[i]))
				}
				if i != victim {
					applyAll(t, want, changes[i])
				}
			}
			crash(k)
			damage(t, matches(t, dir, "outbox/*.seg")[0], func(b []byte) []byte { b[at+field] ^= 0x10; return b })
			k, s := opened(t, testOptions(dir))
			wantSame(t, s, want, keys)
			// The last one with no head or a length beyond the end looks like one that was being written.
			torn := victim == len(changes)-1 && (field == 0 || field == 20 || field == 22)
			if st := k.Stats(); !torn && (st.Notices != 2 || !st.Restored.Incomplete || st.Restored.Batches != len(changes)-1) {
				t.Errorf("batch %d, byte %d: %+v", victim, field, st)
			}
			if !torn {
				matches(t, dir, "outbox/*.damaged")
			}
			closed(t, k)
		}
	}
}

// A batch or snapshot of a later program is not thrown away.
func TestLaterVersion(t *testing.T) {
	from, _, _ := kept(t)
	mend := map[string]func(b []byte) []byte{
		"outbox/*.seg": func(b []byte) []byte {
			n, _ := batchLength(b)
			b[4] = batchSealed + 1
			binary.LittleEndian.PutUint32(b[24:], batchChecksum(b[:n]))
			return b
		},
		"snapshots/*.snap": func(b []byte) []byte {
			h := snapshotFrom{fingerprint: testCodec.Fingerprint}
			head := h.append(nil)
			head[4] = snapshotSealed + 1
			return append(checksummed(head), b[snapshotHead:]...)
		},
	}
	for pattern, change := range mend {
		dir := t.TempDir()
		copyDir(t, from, dir)
		if pattern == "outbox/*.seg" {
			os.RemoveAll(filepath.Join(dir, "snapshots"))
		}
		names := matches(t, dir, pattern)
		damage(t, names[len(names)-1], change)
		k, err := Open(testOptions(dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Restore(newStore()); !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v", pattern, err)
		}
		closed(t, k)
		if got := matches(t, dir, pattern); len(got) != len(names) {
			t.Errorf("%s: %d files, were %d", pattern, len(got), len(names))
		}
	}
}

// When an outbox lost its end with the power, places in it never come to mean other changes.
func TestOutboxLostItsEnd(t *testing.T) {
	dir, want, keys := kept(t)
	k, _ := opened(t, testOptions(dir))
	changes := randomChanges(testRand(t), keys, 10)
	record(t, k, changes...)
	applyAll(t, want, changes)
	if err := k.snapshot(); err != nil {
		t.Fatal(err)
	}
	crash(k)
	os.RemoveAll(filepath.Join(dir, "outbox"))
	for range 3 {
		k, s := opened(t, testOptions(dir))
		wantSame(t, s, want, keys)
		changes := randomChanges(testRand(t), keys, 10)
		record(t, k, changes...)
		applyAll(t, want, changes)
		crash(k)
	}
}

// The line that says what was found holds no key.
func TestRestoreLog(t *testing.T) {
	dir, _, _ := kept(t)
	var log bytes.Buffer
	o := testOptions(dir)
	o.Log = slog.New(slog.NewJSONHandler(&log, nil))
	k, _ := opened(t, o)
	closed(t, k)
	if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"users":`) || !strings.Contains(line, `"batches":20`) {
		t.Error(line)
	}
}
