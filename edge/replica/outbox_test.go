package replica

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"restraint/caps"
)

// A full outbox refuses before anything is applied, never grows over its size, and has room again once snapshots cover it.
func TestOutboxFull(t *testing.T) {
	o := testOptions(t.TempDir())
	o.OutboxBytes = 256 << 10
	k, s := opened(t, o)
	keys := testKeys(1000)
	want, identity := newStore(), uint32(0)
	next := func() []caps.Change {
		identity++
		return []caps.Change{{
			Kind: caps.ChangeExpose, Keys: keys[identity%900 : identity%900+16], Now: testNow,
			Exposure: caps.Exposure{Identity: identity, At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 9}},
		}}
	}
	fill := func() {
		for {
			changes := next()
			k.outbox.mu.Lock()
			room := k.outbox.bytes+k.outbox.reserved+int64(len(encode(t, changes))) <= o.OutboxBytes
			k.outbox.mu.Unlock()
			if err := k.Record(changes); errors.Is(err, ErrOutboxFull) {
				if room {
					t.Fatal("full too early")
				}
				wantSame(t, s, want, keys) // refused, and not applied
				return
			} else if err != nil {
				t.Fatal(err)
			}
			applyAll(t, want, changes)
			if k.Stats().OutboxBytes > o.OutboxBytes {
				t.Fatalf("%+v", k.Stats())
			}
		}
	}
	close(k.stop) // the snapshots of this test are its own
	k.running.Wait()
	for range 3 {
		fill()
		for range 2 {
			if err := k.snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		if got := k.Stats().OutboxBytes; got > o.OutboxBytes/4 {
			t.Fatalf("%d bytes after two snapshots", got)
		}
	}
	k.stop = make(chan struct{})
	closed(t, k)
	k, s = opened(t, o)
	wantSame(t, s, want, keys)
	closed(t, k)
}

// Records from many goroutines, beside snapshots that follow one another and an outbox that is often full: all that was acknowledged is there.
func TestConcurrent(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SnapshotEvery, o.OutboxBytes = time.Millisecond, 200<<10
	k, _ := opened(t, o)
	keys, want := testKeys(200), newStore()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(6, uint64(g)))
			for range 150 {
				changes := randomChanges(r, keys, 20)
				deadline := time.Now().Add(time.Minute)
				err := k.Record(changes)
				for errors.Is(err, ErrOutboxFull) && time.Now().Before(deadline) {
					err = k.Record(changes)
				}
				if err != nil {
					panic(err)
				}
				for i := range changes {
					if err := want.Apply(&changes[i]); err != nil {
						panic(err)
					}
				}
				k.Stats()
			}
		})
	}
	wg.Wait()
	crash(k)
	k, s := opened(t, o)
	wantSame(t, s, want, keys)
	closed(t, k)
}

// A stopped Keeper leaves one segment at most, two snapshots, and no file of its own that nothing names.
func TestWhatStays(t *testing.T) {
	dir := t.TempDir()
	for range 6 {
		k, _ := opened(t, testOptions(dir))
		for range 3 {
			record(t, k, randomChanges(testRand(t), testKeys(9), 9)...)
			if err := k.snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		os.WriteFile(filepath.Join(dir, "snapshots", "00000001.snap.tmp"), nil, 0o600)
		record(t, k, randomChanges(testRand(t), testKeys(9), 9)...)
		closed(t, k)
		if n := len(matches(t, dir, "snapshots/*")); n != 2 {
			t.Errorf("%d snapshots", n)
		}
		if n := len(matches(t, dir, "outbox/*")); n != 1 {
			t.Errorf("%d segments", n)
		}
	}
}

// An idle node writes nothing.
func TestIdle(t *testing.T) {
	dir := t.TempDir()
	k, _ := opened(t, testOptions(dir))
	record(t, k, randomChanges(testRand(t), testKeys(9), 9)...)
	closed(t, k)
	before := matches(t, dir, "snapshots/*")
	k, _ = opened(t, testOptions(dir))
	closed(t, k)
	if after := matches(t, dir, "snapshots/*"); len(after) != len(before) || after[0] != before[0] {
		t.Errorf("%v, were %v", after, before)
	}
	if st := k.Stats(); st.SnapshotAge != 0 {
		t.Errorf("%+v", st)
	}
}

// Whatever a segment holds: whole batches are found, once each, and nothing else is taken for one.
func FuzzOutbox(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	a, b := encode(f, randomChanges(r, testKeys(4), 3)), encode(f, randomChanges(r, testKeys(4), 3))
	f.Add(a, []byte("rsbt"), b)
	f.Add(a[:40], a[:batchHead], b[:50])
	f.Add([]byte{}, bytes.Repeat([]byte("rsbt"), 9), b)
	f.Fuzz(func(t *testing.T, one, garbage, two []byte) {
		dir := t.TempDir()
		content := bytes.Join([][]byte{one, garbage, a, two}, nil)
		if err := os.WriteFile(filepath.Join(dir, "00000001.seg"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		var left []byte
		for range 2 {
			o, err := openOutbox(dir, disk{}, 1<<20, &notices{log: testLog})
			if err != nil {
				t.Fatal(err)
			}
			var found []byte
			if _, err := o.replay(0, func(batch []byte) error { found = append(found, batch...); return nil }); err != nil {
				t.Fatal(err)
			}
			if left != nil && !bytes.Equal(found, left) {
				t.Fatal("another outbox the second time")
			}
			left = found
			if n, ok := batchLength(garbage); (!ok || n > len(garbage)) && !bytes.Contains(found, a) {
				t.Fatal("a whole batch is not found")
			}
		}
	})
}

// A panic while a change is applied gives back the room that was kept for it, and holds up nobody.
func TestOutboxRoomAfterPanic(t *testing.T) {
	k, s := opened(t, testOptions(t.TempDir()))
	choice := caps.Change{Kind: caps.ChangeChoice, Keys: testKeys(1), Now: testNow, Field: 2, Stamp: testNow, Value: 1}
	k.store = nil // whoever applies anything panics
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the test has no effect")
			}
		}()
		k.Record([]caps.Change{choice})
	}()
	if k.outbox.reserved != 0 {
		t.Errorf("%d bytes stay reserved", k.outbox.reserved)
	}
	k.store = s
	record(t, k, choice)
	closed(t, k)
}
