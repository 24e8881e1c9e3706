package caps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

// snapshotSteps returns the steps of a snapshot, with between called after each.
func snapshotSteps(s *Store, limit int, between func()) (steps [][]byte) {
	var at Cursor
	for more := true; more; {
		var step []byte
		if step, more = s.AppendSnapshot(nil, &at, limit); len(step) > 0 {
			steps = append(steps, step)
		}
		between()
	}
	return steps
}

// randomStore has users of every kind, and no cut that is nobody's.
func randomStore(t *testing.T, r *rand.Rand, o Options, users int) (*Store, []Key) {
	t.Helper()
	s := New(o)
	keys := make([]Key, users)
	for i := range keys {
		keys[i] = randomKey(r)
	}
	for range users * 8 {
		c := randomChange(r, keys)
		if err := s.Apply(&c); err != nil {
			t.Fatal(err)
		}
	}
	var p Person
	for i := range users / 10 {
		s.Lock(&p, keys[i:i+1], benchNow)
		p.Take(uint32(i+100), benchNow+3000, []Counted{{Scope: scopeTag(1, 1)}, {Scope: scopeTag(1, 9)}})
		p.Hold(0)
		p.Unlock()
	}
	return s, keys
}

var roomy = Options{Memory: 8 << 20, RefusalMemory: 8 << 20, Shards: 4}

// A snapshot merged into stores of other shapes, also twice and with its steps of a kind in any order, is the store.
func TestSnapshotIsTheStore(t *testing.T) {
	r := testRand(t)
	s, keys := randomStore(t, r, roomy, 1500)
	want := encoded(s, keys, benchNow)
	for _, limit := range []int{1, 500, 5000, 64 << 10} {
		steps := snapshotSteps(s, limit, func() {})
		for _, step := range steps {
			if first := wireHead + 4*int(binary.LittleEndian.Uint32(step[wireHead:])&sizeMask); len(step) > max(limit, first) {
				t.Fatalf("a step of %d bytes, limit %d", len(step), limit)
			}
		}
		for _, shards := range []int{1, 4, 16} {
			o := New(Options{Memory: 16 << 20, RefusalMemory: 16 << 20, Shards: shards})
			for _, i := range r.Perm(len(steps)) {
				if err := o.MergeSnapshot(steps[i], benchNow); err != nil {
					t.Fatal(err)
				}
			}
			if err := o.MergeSnapshot(bytes.Join(steps, nil), benchNow); err != nil {
				t.Fatal(err)
			}
			if got := encoded(o, keys, benchNow); !bytes.Equal(got, want) {
				t.Fatalf("limit %d, %d shards: another state", limit, shards)
			}
			st, was := o.Stats(), s.Stats()
			if st.Users != was.Users || st.Counters != was.Counters || st.CutOnly != was.CutOnly || st.Refusals != was.Refusals || st.RefusalUsers != was.RefusalUsers {
				t.Fatalf("%+v, want %+v", st, was)
			}
			for i := range o.shards {
				checkTable(t, &o.shards[i].exposures)
				checkTable(t, &o.shards[i].refusals)
			}
		}
	}
}

// Whatever happens between the steps (growth, cleaning, sweeping, erasure and users who come back), no record that was there from begin to end
// is missed.
func TestSnapshotMissesNothing(t *testing.T) {
	r := testRand(t)
	s, keys := randomStore(t, r, roomy, 1200)
	others := make([]Key, 9000)
	for i := range others {
		others[i] = randomKey(r)
	}
	steps := snapshotSteps(s, 2000, func() {
		for range 60 {
			c := randomChange(r, others) // the index grows
			if r.IntN(2) == 0 {
				c = randomChange(r, keys) // records move
			}
			if c.Kind == ChangeErase {
				c.Until = benchNow // and leave
			}
			if err := s.Apply(&c); err != nil {
				t.Fatal(err)
			}
		}
		s.Sweep(benchNow, 1)
	})
	o := New(roomy)
	if err := o.MergeSnapshot(bytes.Join(steps, nil), benchNow); err != nil {
		t.Fatal(err)
	}
	// What the snapshot has is no more than what there is: joining it to the store changes nothing but by later erasures, which are there.
	want := encoded(s, keys, benchNow)
	if err := s.MergeSnapshot(bytes.Join(steps, nil), benchNow); err != nil {
		t.Fatal(err)
	}
	if got := encoded(s, keys, benchNow); !bytes.Equal(got, want) {
		t.Fatal("the snapshot has what the store never had")
	}
	for _, key := range keys {
		if len(s.AppendExposures(nil, key, benchNow)) > 0 && len(o.AppendExposures(nil, key, benchNow)) == 0 && s.Lookup(key, benchNow).Erased == 0 {
			t.Fatalf("%x is missed", key)
		}
	}
}

// A snapshot taken while changes go on, and the changes since it began: the state.
func TestSnapshotAndChangesSince(t *testing.T) {
	r := testRand(t)
	for range 8 {
		s, keys := randomStore(t, r, roomy, 300)
		var since []Change
		steps := snapshotSteps(s, 1000+r.IntN(4000), func() {
			for range r.IntN(40) {
				since = append(since, randomChange(r, keys))
				if err := s.Apply(&since[len(since)-1]); err != nil {
					t.Fatal(err)
				}
			}
		})
		o := New(roomy)
		if err := o.MergeSnapshot(bytes.Join(steps, nil), benchNow); err != nil {
			t.Fatal(err)
		}
		for i := range since {
			if err := o.Reapply(&since[i]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(encoded(o, keys, benchNow), encoded(s, keys, benchNow)) {
			t.Fatal("another state")
		}
	}
}

// Under eviction while the snapshot is taken, and into stores of other shapes: whoever is full stays full.
func TestSnapshotOfEvicted(t *testing.T) {
	const users = 6000
	small := Options{Memory: 4 * MinShardMemory, Shards: 4}
	keys, now := benchKeys(users+2000), benchNow
	s := New(small)
	scope := func(i int) []Counted { return []Counted{{scopeTag(1, i%20), 5}, {scopeTag(2, i%30), 5}} }
	expose := func(i int) {
		now += 10
		s.Expose(keys[i:i+1], Exposure{Identity: uint32(i), At: now}, nil, scope(i), now)
	}
	for i := range users {
		expose(i)
	}
	next := users
	steps := snapshotSteps(s, 4000, func() {
		for range 20 {
			if next < len(keys) {
				expose(next)
				next++
			}
		}
	})
	if st := s.Stats(); st.EvictedCuts == 0 || next == users {
		t.Fatalf("no cut went to the buckets: %+v", st)
	}
	for _, o := range []Options{small, {Memory: MinShardMemory, Shards: 1}, {Memory: 64 * MinShardMemory, Shards: 64}, {Memory: 3 << 20, Shards: 2}} {
		back := New(o)
		for _, step := range steps {
			if err := back.MergeSnapshot(step, now); err != nil {
				t.Fatal(err)
			}
		}
		var p Person
		for i := range users {
			at := benchNow + 10*Second(i+1)
			back.Lock(&p, keys[i:i+1], now)
			if !p.Full(scope(i)[0].Scope, 1, at) {
				t.Fatalf("%+v: user %d is forgotten", o, i)
			}
			p.Unlock()
		}
	}
}

// Snapshots, exposures, sweeps and merges at the same time.
func TestSnapshotConcurrent(t *testing.T) {
	s, keys := randomStore(t, testRand(t), roomy, 1000)
	o := New(roomy)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(g)))
			for range 2000 {
				c := randomChange(r, keys)
				if err := s.Apply(&c); err != nil {
					panic(err)
				}
			}
			s.Sweep(benchNow, 4)
		})
		wg.Go(func() {
			for _, step := range snapshotSteps(s, 10_000, func() {}) {
				if err := o.MergeSnapshot(step, benchNow); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
	for _, step := range snapshotSteps(s, 10_000, func() {}) {
		if err := o.MergeSnapshot(step, benchNow); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(encoded(o, keys, benchNow), encoded(s, keys, benchNow)) {
		t.Fatal("another state")
	}
}

// Whatever bytes come: an error, or records that a snapshot of the store has again.
func FuzzMergeSnapshot(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 7))
	s, _ := randomStore(&testing.T{}, r, Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 2}, 12)
	s.shards[1].raiseBucket(77, 5000)
	s.shards[1].raiseBucket(1<<31, 6000)
	for _, step := range snapshotSteps(s, 3000, func() {}) {
		f.Add(step)
	}
	f.Fuzz(func(t *testing.T, enc []byte) {
		s := New(Options{Memory: 2 * MinShardMemory, RefusalMemory: 1 << 20, Shards: 2})
		if err := s.MergeSnapshot(enc, 1); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			return
		}
		once := bytes.Join(snapshotSteps(s, 1000, func() {}), nil)
		if err := s.NewJoin().Merge(once, 1); err != nil {
			t.Fatalf("%v: own snapshot %x", err, once)
		}
		for i := range 20 { // who has records here already
			s.Expose([]Key{{byte(i), 15: byte(7 * i)}}, Exposure{Identity: 1, At: 1}, nil, []Counted{{1, 1}}, 1)
		}
		if err := s.NewJoin().Merge(enc, 1); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		for i := range s.shards {
			checkTable(t, &s.shards[i].exposures)
			checkTable(t, &s.shards[i].refusals)
		}
	})
}

// A truncated step, or one of any kind with a bit more, is refused, and what is refused does not stop the next.
func TestMergeSnapshotMalformed(t *testing.T) {
	s, _ := randomStore(t, testRand(t), Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1}, 3)
	s.shards[0].raiseBucket(1<<31, 6000)
	for _, step := range snapshotSteps(s, 1, func() {}) {
		o := newStore()
		for n := 1; n < len(step); n++ {
			if err := o.MergeSnapshot(step[:n], benchNow); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%d bytes of %x: %v", n, step, err)
			}
		}
		if err := o.MergeSnapshot(append(bytes.Clone(step), 1, 0, 0), benchNow); !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if err := o.MergeSnapshot(step, benchNow); err != nil {
			t.Fatal(err)
		}
	}
}
