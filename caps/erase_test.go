package caps

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// An erasure takes choices up to its second, but for an opt-out: that one is judged as if it were of a clock that is behind, whatever comes first.
func TestEraseKeepsOptOutsWithinTheSkew(t *testing.T) {
	const until = benchNow + ErasureSkew
	for _, c := range []struct {
		field uint64
		stamp Second
		stays bool
	}{
		{FieldOptOut, benchNow - ErasureSkew, false},
		{FieldOptOut, benchNow - ErasureSkew + 1, true},
		{FieldOptOut, benchNow, true},
		{FieldOptOut, until + 1, true},
		{5, benchNow + 1, false},
		{5, until, false},
		{5, until + 1, true},
		{FieldOptOut &^ 16, until, false},
	} {
		for _, eraseFirst := range []bool{false, true} {
			s := newStore()
			steps := []func() error{
				func() error { return s.Choose([]Key{alice}, c.field, c.stamp, 1, benchNow) },
				func() error { return s.Erase([]Key{alice}, until, benchNow) },
			}
			if eraseFirst {
				steps[0], steps[1] = steps[1], steps[0]
			}
			for _, step := range steps {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			if got := len(s.Lookup(alice, benchNow).Choices) == 1; got != c.stays {
				t.Errorf("field %x at %d, erased first %v: stays %v", c.field, c.stamp, eraseFirst, got)
			}
		}
	}
}

func TestErasedAndNewest(t *testing.T) {
	s, now := newStore(), benchNow
	h := s.Lookup(alice, now)
	if s.Erased(alice) != 0 || h.Newest() != 0 {
		t.Error("something is known of a stranger")
	}
	newest := func(want Second) {
		t.Helper()
		if h := s.Lookup(alice, now); h.Newest() != want {
			t.Errorf("newest %d, want %d: %+v", h.Newest(), want, h)
		}
	}
	scopes := []Counted{{scopeTag(1, 1), 2}}
	s.Expose([]Key{alice}, Exposure{Identity: 1, At: now + 7}, nil, scopes, now) // of a clock that is ahead
	newest(now + 7)
	if err := s.Purchase([]Key{alice}, []uint64{2}, now+9, now); err != nil {
		t.Fatal(err)
	}
	newest(now + 9)
	if err := s.Return([]Key{alice}, []uint64{2}, now+11, now); err != nil {
		t.Fatal(err)
	}
	newest(now + 11)
	if err := s.Choose([]Key{alice}, 5, now+500, 1, now); err != nil {
		t.Fatal(err)
	}
	newest(now + 11) // choices are stamped
	hold := Change{Kind: ChangeHold, Keys: []Key{alice}, Now: now + 13, Identity: 9, Until: now + 60, Scopes: scopes}
	if err := s.Apply(&hold); err != nil {
		t.Fatal(err)
	}
	newest(now + 13)
	if err := s.Erase([]Key{alice}, now+13, now); err != nil {
		t.Fatal(err)
	}
	h = s.Lookup(alice, now)
	if s.Erased(alice) != now+13 || h.Erased != now+13 || s.Erased(phone) != 0 || h.Newest() != 0 || len(h.Choices) != 1 {
		t.Errorf("%+v", h)
	}
}

// What many users share as the cut of those without a record is nobody's own.
func TestLookupOfAStranger(t *testing.T) {
	s, keys := newStore(), benchKeys(3)
	k := wordsOf(&keys[0])
	sh := s.shardOf(hashOf(&k))
	sh.raiseBucket(hashOf(&k), benchNow)
	if h := s.Lookup(keys[0], benchNow); h.Cut != 0 {
		t.Errorf("%+v", h)
	}
}

// Whoever was erased does not come back: by late changes, by changes of a clock within its bound ahead, by changes that come twice, by a snapshot from before, or
// by eviction, in whatever order the stores learn of it; and the opt-out that the erasure left is not lost by any of it.
func TestErasedNeverComesBack(t *testing.T) {
	r := testRand(t)
	for range *stepsFlag / 200 {
		keys := benchKeys(600)
		person, others := keys[:2], keys[2:]
		origin := newStore()
		var before []Change // accepted up to a minute ahead of the erasure's node's clock
		for range 5 + r.IntN(40) {
			c := eraseTestChange(r, person)
			if r.IntN(3) > 0 { // the others are known to other nodes only
				if err := origin.Apply(&c); err != nil {
					t.Fatal(err)
				}
			}
			before = append(before, c)
		}
		var at Cursor
		var old []byte
		for more := true; more; {
			old, more = origin.AppendSnapshot(old, &at, 1<<16)
		}
		newest := benchNow
		for i := range person {
			h := origin.Lookup(person[i], benchNow)
			newest = max(newest, h.Newest())
		}
		until := newest + ErasureSkew
		erasure := []Change{
			{Kind: ChangeChoice, Keys: person, Now: benchNow, Field: FieldOptOut, Stamp: until + 1, Value: 1},
			{Kind: ChangeErase, Keys: person, Now: benchNow, Until: until},
		}
		var first []byte
		for round := range 4 {
			s := New(Options{Memory: 1 << 18, Shards: 4, RefusalMemory: 1 << 20})
			all := append(append([]Change(nil), before...), erasure...)
			all = append(all, before...) // and once more
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			snapshotAt := r.IntN(len(all))
			for i := range all {
				if i == snapshotAt {
					if err := s.MergeSnapshot(old, benchNow); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Reapply(&all[i]); err != nil {
					t.Fatal(err)
				}
				crowd := others[r.IntN(len(others))]
				s.Expose([]Key{crowd}, Exposure{Identity: r.Uint32(), At: benchNow}, nil, []Counted{{scopeTag(1, r.IntN(40)), 9}}, benchNow)
			}
			if err := s.MergeSnapshot(old, benchNow); err != nil {
				t.Fatal(err)
			}
			for i := range person {
				h := s.Lookup(person[i], benchNow+1)
				if len(h.Counters)+len(h.Holds)+len(h.Purchases) != 0 || h.Cut != 0 || h.Erased != until {
					t.Fatalf("round %d: back: %+v", round, h)
				}
				if len(h.Choices) != 1 || h.Choices[0] != (Choice{FieldOptOut, until + 1, 1}) {
					t.Fatalf("round %d: the opt-out: %+v", round, h.Choices)
				}
			}
			got := encoded(s, person, benchNow+1)
			if round > 0 && !bytes.Equal(got, first) {
				t.Fatalf("round %d: the stores differ", round)
			}
			first = got
		}
	}
}

// eraseTestChange is a change from before an erasure at benchNow, by a clock that may be two minutes ahead of the one that erases.
func eraseTestChange(r *rand.Rand, keys []Key) Change {
	at := benchNow - 5000 + Second(r.IntN(5000+120))
	c := Change{Kind: ChangeKind(1 + r.IntN(7)), Keys: keys[:1+r.IntN(len(keys))], Now: at, Stamp: at, Field: 5, Value: uint32(r.IntN(2))}
	scopes := []Counted{{scopeTag(1, r.IntN(4)), uint8(1 + r.IntN(3))}}
	switch c.Kind {
	case ChangeExpose:
		c.Exposure, c.Scopes = Exposure{Identity: r.Uint32(), At: at}, scopes
	case ChangeRelease:
		c.Identity = r.Uint32()
	case ChangePurchase, ChangeReturn:
		c.Tags = []uint64{2, 4}
	case ChangeErase:
		c.Until = at - ErasureSkew
	case ChangeHold:
		c.Identity, c.Until, c.Scopes = r.Uint32(), at+600, scopes
	}
	return c
}

// Memory for a fraction of the users: what is evicted is never an erasure or an opt-out, and what comes late for an erased user stays away.
func TestEvictionKeepsErasures(t *testing.T) {
	s := New(Options{Memory: 256 << 10, Shards: 4, RefusalMemory: 1 << 20})
	keys := benchKeys(6000)
	scopes := []Counted{{scopeTag(1, 1), 5}, {scopeTag(2, 1), 5}}
	late := Exposure{Identity: 1, At: benchNow}
	s.Expose(keys[:1], late, nil, scopes, benchNow)
	if err := s.Choose(keys[:1], FieldOptOut, benchNow+ErasureSkew+1, 1, benchNow); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(keys[:1], benchNow+ErasureSkew, benchNow); err != nil {
		t.Fatal(err)
	}
	for i := range keys[1:] {
		s.Expose(keys[1+i:2+i], Exposure{Identity: uint32(i), At: benchNow + Second(i)}, nil, scopes, benchNow+Second(i))
	}
	if st := s.Stats(); st.EvictedUsers == 0 {
		t.Fatalf("nothing was evicted: %+v", st)
	}
	if x := s.Expose(keys[:1], late, nil, scopes, benchNow+7000); x.Erased != 1 {
		t.Errorf("%+v", x)
	}
	if h := s.Lookup(keys[0], benchNow+7000); len(h.Counters) != 0 || h.Erased != benchNow+ErasureSkew || len(h.Choices) != 1 {
		t.Errorf("%+v", h)
	}
}

// Whoever has refused so much that a record can hold no more can still opt out, and opt in again.
func TestOptOutHasItsPlace(t *testing.T) {
	for _, c := range []struct {
		name   string
		choose func(s *Store, i uint64) error
	}{
		{"one choice at a time", func(s *Store, i uint64) error {
			return s.Choose([]Key{alice}, i<<1|1, benchNow, 1, benchNow)
		}},
		{"purchases", func(s *Store, i uint64) error {
			return s.Purchase([]Key{alice}, []uint64{i << 2, i<<2 | 2}, benchNow, benchNow)
		}},
		{"accepted elsewhere", func(s *Store, i uint64) error {
			return s.Reapply(&Change{Kind: ChangeChoice, Keys: []Key{alice}, Now: benchNow, Field: i << 1, Stamp: benchNow, Value: 1})
		}},
	} {
		s, n := newStore(), uint64(1)
		for ; c.choose(s, n) == nil; n++ {
			if n > 1<<12 {
				t.Fatalf("%s: a record without end", c.name)
			}
		}
		for i := range Second(3) {
			if err := s.Choose([]Key{alice}, FieldOptOut, benchNow+i, uint32(1-i&1), benchNow); err != nil {
				t.Errorf("%s: after %d, opt-out %d: %v", c.name, n, i, err)
			}
		}
		if choices := s.Lookup(alice, benchNow).Choices; len(choices) == 0 || choices[len(choices)-1] != (Choice{Field: FieldOptOut, Stamp: benchNow + 2, Value: 1}) {
			t.Errorf("%s: not opted out", c.name)
		}
		if err := s.Erase([]Key{alice}, benchNow+3, benchNow); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
