package caps

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// randomChange is a change that keeps to what the laws of merge ask: an identity is issued once, and shown or released no earlier.
func randomChange(r *rand.Rand, keys []Key) Change {
	identity := uint32(1 + r.IntN(30))
	issued := benchNow - 6000 + Second(identity)*100
	at := issued + Second(r.IntN(20)*60)
	c := Change{Kind: ChangeKind(1 + r.IntN(6)), Now: max(at, benchNow-600) + Second(r.IntN(500)), Stamp: at, Field: []uint64{0, 1, 2, FieldOptOut}[r.IntN(4)], Value: uint32(r.IntN(3))}
	if c.Kind > ChangeRelease && r.IntN(2) == 0 {
		c.Kind = ChangeExpose
	}
	for range 1 + r.IntN(3) {
		c.Keys = append(c.Keys, keys[r.IntN(len(keys))])
	}
	switch c.Kind {
	case ChangeExpose:
		c.Exposure = Exposure{Identity: identity, At: at}
		for tag := range 1 + r.IntN(5) {
			c.Scopes = append(c.Scopes, Counted{scopeTag(1, tag), uint8(1 + tag)})
		}
		if r.IntN(3) == 0 {
			c.Beats = []uint32{identity, uint32(1 + r.IntN(30))}
		}
	case ChangeRelease:
		c.Identity = identity
		if r.IntN(2) == 0 {
			c.Until = at + MaxHold
		}
	case ChangePurchase, ChangeReturn:
		for tag := range 1 + r.IntN(3) {
			c.Tags = append(c.Tags, scopeTag(2, tag))
		}
	case ChangeErase:
		c.Until = at - 2000
		if r.IntN(2) == 0 { // among the stamps of FieldOptOut
			c.Until = at - Second(r.IntN(3*ErasureSkew))
		}
	}
	return c
}

// encoded is everything that a store holds about the keys.
func encoded(s *Store, keys []Key, now Second) (enc []byte) {
	for _, key := range keys {
		enc = s.AppendRefusals(s.AppendExposures(enc, key, now), key, now)
	}
	return enc
}

// Changes applied twice, in any order, by Apply or Reapply, come to the same state.
func TestApplyAnyOrder(t *testing.T) {
	r := testRand(t)
	for range *stepsFlag / 60 {
		keys := benchKeys(4)
		var changes []Change
		for range 1 + r.IntN(60) {
			changes = append(changes, randomChange(r, keys))
		}
		var want []byte
		for round := range 4 {
			s := newStore()
			for i := range changes {
				if err := s.Apply(&changes[i]); err != nil {
					t.Fatal(err)
				}
				if err := s.Reapply(&changes[r.IntN(i+1)]); err != nil {
					t.Fatal(err)
				}
			}
			got := encoded(s, keys, benchNow+10)
			if round > 0 && !bytes.Equal(got, want) {
				t.Fatalf("round %d:\n%x\n%x", round, got, want)
			}
			want = got
			r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
		}
	}
}

// A change does what its method does.
func TestApplyIsTheMethod(t *testing.T) {
	a, b := newStore(), newStore()
	keys, now, scopes := []Key{alice, phone}, benchNow, []Counted{{scopeTag(1, 1), 3}}
	changes := []Change{
		{Kind: ChangeExpose, Keys: keys, Now: now, Exposure: Exposure{Identity: 1, At: now, Issued: now - 9}, Beats: []uint32{4}, Scopes: scopes},
		{Kind: ChangeRelease, Keys: keys, Now: now, Identity: 9, Until: now + 30},
		{Kind: ChangeRelease, Keys: keys, Now: now, Identity: 10},
		{Kind: ChangePurchase, Keys: keys, Now: now, Tags: []uint64{2, 8}, Stamp: now - 3},
		{Kind: ChangeReturn, Keys: keys, Now: now, Tags: []uint64{2}, Stamp: now - 2},
		{Kind: ChangeChoice, Keys: keys, Now: now, Field: 6, Stamp: now, Value: 2},
		{Kind: ChangeErase, Keys: keys, Now: now, Until: now - 100},
	}
	for i := range changes {
		if err := a.Apply(&changes[i]); err != nil {
			t.Fatal(err)
		}
	}
	b.Expose(keys, Exposure{Identity: 1, At: now, Issued: now - 9}, []uint32{4}, scopes, now)
	b.Release(keys, 9, now+30, now)
	b.Release(keys, 10, 0, now)
	for _, err := range []error{
		b.Purchase(keys, []uint64{2, 8}, now-3, now), b.Return(keys, []uint64{2}, now-2, now), b.Choose(keys, 6, now, 2, now), b.Erase(keys, now-100, now),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := encoded(a, keys, now), encoded(b, keys, now); !bytes.Equal(got, want) || len(want) < 300 {
		t.Fatalf("%x, want %x", got, want)
	}
}

// A hold that another store took is here as it is there, and late ones and those that an impression beat come to nothing.
func TestApplyHold(t *testing.T) {
	keys := benchKeys(3)
	scopes := []Counted{{Scope: scopeTag(1, 1), Keep: 2}, {Scope: scopeTag(1, 2), Keep: 1}}
	const now = benchNow
	here, there := newStore(), newStore()
	var p Person
	here.Lock(&p, keys, now)
	p.Take(7, now+60, scopes)
	p.Hold(0)
	p.Unlock()
	hold := Change{Kind: ChangeHold, Keys: keys, Now: now, Identity: 7, Until: now + 60, Scopes: scopes}
	for range 2 {
		if err := there.Apply(&hold); err != nil {
			t.Fatal(err)
		}
		if got, want := encoded(there, keys, now), encoded(here, keys, now); !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	}
	full := func(s *Store, now Second) bool {
		s.Lock(&p, keys[:1], now)
		defer p.Unlock()
		return p.Full(scopeTag(1, 2), 1, now-1000)
	}
	if !full(there, now+59) || full(there, now+60) {
		t.Error("it is not held until it ends")
	}
	late := newStore()
	late.Release(keys, 7, 0, now+10)
	if err := late.Apply(&hold); err != nil || full(late, now+11) {
		t.Error("a hold that was released is held", err)
	}
	late = newStore()
	late.Expose(keys, Exposure{Identity: 8, At: now + 100}, nil, scopes[:1], now+100)
	if err := late.Apply(&hold); err != nil || full(late, now+101) {
		t.Error("a hold that has ended is held", err)
	}
}

func TestApplyRefuses(t *testing.T) {
	s := newStore()
	for name, c := range map[string]Change{
		"kind 0": {},
		"kind 8": {Kind: 8},
		"keys":   {Kind: ChangeExpose, Keys: make([]Key, MaxKeys+1)},
		"beats":  {Kind: ChangeExpose, Beats: make([]uint32, MaxHoldRows+1)},
		"scopes": {Kind: ChangeExpose, Scopes: make([]Counted, MaxScopes+1)},
		"tags":   {Kind: ChangePurchase, Tags: make([]uint64, MaxScopes+1)},
	} {
		if err := s.Apply(&c); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was accepted goes in again also when the budget is full; a new one does not.
func TestReapplyOverBudget(t *testing.T) {
	s := New(Options{Memory: 1 << 20, RefusalMemory: 64 << 10, Shards: 1})
	keys := benchKeys(5000)
	var c Change
	for i := range keys {
		c = Change{Kind: ChangePurchase, Keys: keys[i : i+1], Now: benchNow, Tags: []uint64{2, 4, 6}, Stamp: benchNow}
		if err := s.Reapply(&c); err != nil {
			t.Fatal(i, err)
		}
	}
	c.Tags = []uint64{8}
	if err := s.Apply(&c); !errors.Is(err, ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	c.Tags = make([]uint64, 200) // more than a record of this store can hold
	for i := range c.Tags {
		c.Tags[i] = uint64(i) * 2
	}
	if err := s.Reapply(&c); !errors.Is(err, ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	if st := s.Stats(); st.Refusals != 3*len(keys) {
		t.Errorf("%+v", st)
	}
	checkTable(t, &s.shards[0].refusals)
}

func TestApplyAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	s, keys := newStore(), benchKeys(20)
	changes := make([]Change, 500)
	for i := range changes {
		changes[i] = randomChange(r, keys)
	}
	apply := func() {
		for i := range changes {
			if err := s.Apply(&changes[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	apply()
	if got := testing.AllocsPerRun(20, apply); got != 0 {
		t.Errorf("%v allocations for %d changes, want 0", got, len(changes))
	}
}
