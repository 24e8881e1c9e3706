package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"restraint/caps"
)

// ownChanges are random showings and holds, most of them under retentions of their own, and no erasures: how those and retentions meet is
// said of caps.Retention.
func ownChanges(r *rand.Rand, keys []caps.Key, n int) []caps.Change {
	var changes []caps.Change
	for _, c := range randomChanges(r, keys, n) {
		if c.Kind == caps.ChangeErase {
			continue
		}
		if c.Kind == caps.ChangeExpose {
			c.Exposure.At -= caps.Second(c.Exposure.Identity%4) * 86400
			c.Exposure.Retention = []caps.Retention{0, 1, 2, 3, 30, 63}[r.IntN(6)]
		}
		changes = append(changes, c)
	}
	return append(changes, caps.Change{
		Kind: caps.ChangeHold, Keys: keys[:1], Now: testNow, Identity: r.Uint32(), Until: testNow + 60, Scopes: []caps.Counted{{Scope: scope(1)}},
		Retention: caps.Retention(1 + r.IntN(63)),
	})
}

// A retention of its own stands in the byte after the kind, and makes the batch one of version 2; without one nothing is different.
func TestBatchOwnRetentionForm(t *testing.T) {
	key := []caps.Key{{1, 2, 3, 15: 4}}
	shown := caps.Change{Kind: caps.ChangeExpose, Keys: key, Now: 0x11, Exposure: caps.Exposure{Identity: 0x12, At: 0x13, Issued: 0x14, Retention: 30}}
	hold := caps.Change{Kind: caps.ChangeHold, Keys: key, Now: 0x71, Identity: 0x72, Until: 0x73, Retention: 63}
	enc := encode(t, []caps.Change{shown, hold})
	k := "01020300000000000000000000000004"
	want := k + "011e0000" + "11000000" + "12000000" + "13000000" + "14000000" + "0000" + k + "073f0000" + "71000000" + "72000000" + "73000000"
	if got := hex.EncodeToString(enc[batchHead+batchEntry:]); enc[4] != 2 || got != want {
		t.Errorf("version %d\n%s, want\n%s", enc[4], got, want)
	}
	shown.Exposure.Retention, hold.Retention = 0, 0
	shown.Retention, hold.Exposure.Retention = 5, 5 // of other kinds: not looked at
	plain := encode(t, []caps.Change{shown, hold})
	if plain[4] != 1 || plain[batchHead+batchEntry+17] != 0 {
		t.Errorf("version %d: %x", plain[4], plain)
	}
	for name, wrong := range map[string]func(b []byte){
		"version 1 with retentions":    func(b []byte) { b[4] = 1 },
		"a retention beyond the codes": func(b []byte) { b[batchHead+batchEntry+17] = 64 },
		"version 2 without": func(b []byte) {
			b[batchHead+batchEntry+17], b[batchHead+batchEntry+recordHead+14+17] = 0, 0
		},
		"a release with a retention": func(b []byte) { b[batchHead+batchEntry+recordHead+14+16] = byte(caps.ChangeRelease) },
	} {
		b := bytes.Clone(enc)
		wrong(b)
		binary.LittleEndian.PutUint32(b[24:], batchChecksum(b))
		var x Batch
		if _, err := x.ParseNext(b); !errors.Is(err, ErrBatch) || x.Next(&caps.Change{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := bytes.Clone(enc)
	later[4] = batchSealed + 1
	binary.LittleEndian.PutUint32(later[24:], batchChecksum(later))
	var x Batch
	if _, err := x.ParseNext(later); !errors.Is(err, ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
}

// Batches with retentions of their own come to one state in any order, as often as they come; and so do snapshots of it.
func TestBatchAndSnapshotOwnRetention(t *testing.T) {
	r, keys := testRand(t), testKeys(12)
	versions := map[byte]int{}
	for range 40 {
		want := newStore()
		var batches [][]byte
		for range 1 + r.IntN(5) {
			changes := ownChanges(r, keys, 30)
			applyAll(t, want, changes)
			batches = append(batches, encode(t, changes))
			versions[batches[len(batches)-1][4]]++
		}
		got := newStore()
		for _, i := range r.Perm(len(batches)) {
			applyBatch(t, got, batches[i])
			applyBatch(t, got, batches[r.IntN(len(batches))])
		}
		wantSame(t, got, want, keys)
		dir, w := t.TempDir(), snapshotWriter{files: disk{}}
		if err := w.write(dir, "x", snapshotFrom{fingerprint: 1}, got); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "x"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		restored, joined := newStore(), newStore()
		applyBatch(t, joined, batches[0])
		if err := errors.Join(v.merge(bytes.NewReader(b), restored, testNow), v.join(bytes.NewReader(b), joined, testNow)); err != nil {
			t.Fatal(err)
		}
		wantSame(t, restored, want, keys)
		wantSame(t, joined, want, keys)
	}
	if versions[2] == 0 || versions[1] != 0 {
		t.Errorf("batches by version: %v", versions)
	}
}

// A snapshot of version 3 is read: it is one without retentions of their own.
func TestSnapshotVersion3(t *testing.T) {
	b := snapshotBytes(t, rand.New(rand.NewPCG(3, 3)), snapshotFrom{fingerprint: 1, position: 2, created: 3})
	if b[4] != snapshotBeside {
		t.Fatalf("version %d", b[4])
	}
	b[4] = 3
	b = mended(b)
	v, err := verify(bytes.NewReader(b))
	if err != nil || len(v.sections) == 0 {
		t.Fatal(err)
	}
	if err := v.merge(bytes.NewReader(b), newStore(), 1); err != nil {
		t.Fatal(err)
	}
}
