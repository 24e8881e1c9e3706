package caps

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

const mergeNow = Second(1_700_000_000)

// state is one user's state on one node, as it goes over the wire.
type state struct{ exposures, refusals []byte }

func (s state) equal(o state) bool {
	return bytes.Equal(s.exposures, o.exposures) && bytes.Equal(s.refusals, o.refusals)
}

// joined merges the parts into an empty store, in order, refusals first or last.
func joined(t *testing.T, key Key, refusalsFirst bool, parts ...state) state {
	t.Helper()
	s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	for _, p := range parts {
		for i := range 2 {
			var err error
			if (i == 0) == refusalsFirst {
				if p.refusals != nil {
					err = s.MergeRefusals(p.refusals, mergeNow)
				}
			} else if p.exposures != nil {
				err = s.MergeExposures(p.exposures, mergeNow)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return state{s.AppendExposures(nil, key, mergeNow), s.AppendRefusals(nil, key, mergeNow)}
}

// randomState joins a few random events. The rules ask of them that one identity is issued once, and shown or released no earlier.
func randomState(t *testing.T, r *rand.Rand, key Key, keep func(tag int) uint8) state {
	words, d, out := wordsOf(&key), &draft{}, &draft{}
	rules := rules{now: mergeNow, floor: 1}
	var held view
	for range 1 + r.IntN(12) {
		d.reset(&words)
		identity := uint32(1 + r.IntN(12))
		issued := mergeNow - 6000 + Second(identity)*100
		at := issued + Second(r.IntN(20)*60)
		tag := r.IntN(4)
		switch r.IntN(6) {
		case 0:
			d.rows = append(d.rows, row{tag: uint32(tag + 1), identity: identity, issued: issued, end: mergeNow + Second(1+r.IntN(50))})
		case 1:
			d.rows = append(d.rows, row{identity: identity, end: at + MaxHold})
		case 2:
			if r.IntN(4) == 0 {
				d.cut = at
			}
		default:
			d.entries = append(d.entries, draftEntry{tag: uint32(tag + 1), n: 1, keep: keep(tag)})
			d.shown = append(d.shown, uint32(at), identity)
		}
		if w := d.encode(); w != nil {
			var event view
			event.load(w)
			out.join(&words, &held, &event, rules, 8192)
			if w := bytes32(out.encode()); w != nil {
				held.load(w)
			}
		}
	}
	s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	for range r.IntN(6) {
		tag, at := uint64(r.IntN(4)), mergeNow-6000+Second(r.IntN(60)*100)
		var err error
		switch r.IntN(7) {
		case 0:
			err = s.Erase([]Key{key}, at-2000, mergeNow)
		case 1, 2:
			err = s.Purchase([]Key{key}, []uint64{tag * 2}, at, mergeNow)
		case 3, 4:
			err = s.Return([]Key{key}, []uint64{tag * 2}, at, mergeNow)
		default:
			err = s.Choose([]Key{key}, tag, at, uint32(r.IntN(3)), mergeNow)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	enc := appendWords(nil, wireExposures, held.words)
	if len(enc) > 0 {
		if err := s.MergeExposures(enc, mergeNow); err != nil {
			t.Fatal(err)
		}
	}
	return state{s.AppendExposures(nil, key, mergeNow), s.AppendRefusals(nil, key, mergeNow)}
}

func bytes32(w []uint32) []uint32 { return append([]uint32(nil), w...) }

func testRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 2))
}

// Exposures, cuts, holds, releases, purchases, returns, choices and erasures: the join of encoded states is commutative, associative and
// idempotent, and it does not matter whether refusals come before what they refuse.
func TestMergeProperties(t *testing.T) {
	r := testRand(t)
	keep := func(tag int) uint8 { return uint8(1 + tag) }
	for range *stepsFlag / 10 {
		key := randomKey(r)
		a, b, c := randomState(t, r, key, keep), randomState(t, r, key, keep), randomState(t, r, key, keep)
		ab := joined(t, key, true, a, b)
		if ba := joined(t, key, false, b, a); !ab.equal(ba) {
			t.Fatalf("not commutative:\n%x\n%x\n%x\n%x", a, b, ab, ba)
		}
		left := joined(t, key, true, ab, c)
		right := joined(t, key, false, a, joined(t, key, true, b, c))
		if !left.equal(right) {
			t.Fatalf("not associative:\n%x\n%x\n%x\n%x\n%x", a, b, c, left, right)
		}
		if again := joined(t, key, true, left, a, left, c, b); !again.equal(left) {
			t.Fatalf("not idempotent:\n%x\n%x", left, again)
		}
	}
}

// Nodes that keep different numbers may end with different records; none of them shows more than the union of the histories allows.
func TestMergeDifferentKeep(t *testing.T) {
	r := testRand(t)
	for range *stepsFlag / 10 {
		key := randomKey(r)
		m := &model{retention: 90 * 86400, now: mergeNow, users: map[Key]*modelUser{}}
		var parts []state
		for range 3 {
			s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
			for range r.IntN(8) {
				e := Exposure{Identity: uint32(r.IntN(10)), At: mergeNow - Second(r.IntN(20))}
				scopes := []Counted{{scopeTag(1, 0), uint8(1 + r.IntN(5))}, {scopeTag(1, 1), uint8(1 + r.IntN(5))}}
				scopes = scopes[:1+e.Identity%2] // the odd ones are of the creative
				s.Expose([]Key{key}, e, nil, scopes, mergeNow)
				m.expose([]Key{key}, e, nil, scopes, mergeNow)
			}
			parts = append(parts, state{exposures: s.AppendExposures(nil, key, mergeNow)})
		}
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0, 1}} {
			s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
			for _, i := range order {
				if parts[i].exposures != nil {
					if err := s.MergeExposures(parts[i].exposures, mergeNow); err != nil {
						t.Fatal(err)
					}
				}
			}
			checkNeverMore(t, s, &modelPerson{m: m, keys: []Key{key}})
		}
	}
}

func checkNeverMore(t *testing.T, s *Store, m *modelPerson) {
	t.Helper()
	var p Person
	s.Lock(&p, m.keys, mergeNow)
	defer p.Unlock()
	for scope := range 2 {
		tag := scopeTag(1, scope)
		for limit := 1; limit <= 5; limit++ {
			for since := mergeNow - 22; since <= mergeNow; since++ {
				if count := m.count(tag, since, mergeNow); count >= limit && !p.Full(tag, limit, since) {
					t.Fatalf("scope %d, limit %d since %d: %d shown and not full", scope, limit, since, count)
				}
			}
		}
		if at, _ := p.Newest(tag); at < m.newest(tag) {
			t.Fatalf("newest %d, want %d", at, m.newest(tag))
		}
	}
	for n := 1; n <= 4; n++ {
		if m.run(scopeTag(1, 0), scopeTag(1, 1), n) && !p.Run(scopeTag(1, 0), scopeTag(1, 1), n) {
			t.Fatalf("run of %d not seen", n)
		}
	}
}
