package caps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// Every code has a length of its own, in its order, and every length that has one comes back; the join is the shorter.
func TestRetentionCodes(t *testing.T) {
	last := uint32(0)
	for c := Retention(1); c <= MaxRetention; c++ {
		if c.Seconds() <= last {
			t.Fatalf("%d keeps %d s, the one before %d", c, c.Seconds(), last)
		}
		last = c.Seconds()
		if back, ok := RetentionOf(last); back != c || !ok {
			t.Fatalf("%d days: code %d %v, want %d", last/86400, back, ok, c)
		}
		if c.Shorter(0) != c || Retention(0).Shorter(c) != c || c.Shorter(c-1|1) != min(c, c-1|1) {
			t.Fatalf("join of %d", c)
		}
	}
	if last != 510*86400 || Retention(0).Seconds() != 0 || Retention(0).Shorter(0) != 0 {
		t.Fatalf("the longest is %d s", last)
	}
	for _, bad := range []uint32{1, 3600, 86401, 32 * 86400, 44 * 86400, 61 * 86400, 525 * 86400, 1<<32 - 1} {
		if c, ok := RetentionOf(bad); ok {
			t.Errorf("%d s have the code %d", bad, c)
		}
	}
	if c, ok := RetentionOf(0); c != 0 || !ok {
		t.Errorf("0 s: %d %v", c, ok)
	}
}

// longStore keeps exposures for 90 days.
func longStore() *Store { return New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 2}) }

// shownIn shows something under scope 1 where the retention holds.
func shownIn(s *Store, own Retention, identity uint32, at, now Second, keys ...Key) Exposed {
	return s.Expose(keys, Exposure{Identity: identity, At: at, Retention: own}, nil, []Counted{{scopeTag(1, 1), 6}}, now)
}

// holdsSecond reports whether any word of the bytes is the second.
func holdsSecond(b []byte, at Second) bool {
	for i := 0; i+4 <= len(b); i += 4 {
		if binary.LittleEndian.Uint32(b[i:]) == uint32(at) {
			return true
		}
	}
	return false
}

// What was shown under a retention of its own is there to its last second and gone with the next: in decisions, in the look-up, in what is
// sent to others and in snapshots; and no cut is left of it.
func TestOwnRetentionForgets(t *testing.T) {
	for _, swept := range []bool{false, true} {
		s, alice := longStore(), Key{1}
		shownIn(s, 30, 7, mergeNow, mergeNow, alice)
		end := mergeNow + 30*day
		for _, now := range []Second{mergeNow, end, end + 1, end + 20*day} {
			there := now <= end
			if swept {
				s.Sweep(now, 1000)
			}
			wantFull(t, s, 1, 1, now, there, alice)
			h := s.Lookup(alice, now)
			if len(h.Counters) > 0 != there || h.Cut != 0 || h.Retention > 0 != there {
				t.Errorf("%d s after: %+v", now-mergeNow, h)
			}
			if enc := s.AppendExposures(nil, alice, now); holdsSecond(enc, mergeNow) != there {
				t.Errorf("%d s after, the record is %x", now-mergeNow, enc)
			}
			for _, step := range snapshotSteps(s, 4000, func() {}) {
				if !there {
					t.Errorf("%d s after, the snapshot has %x", now-mergeNow, step)
				}
			}
			ask(s, now, func(p *Person) {
				u := p.Usage(scopeTag(1, 1), 1, Window{})
				at, ok := p.Newest(scopeTag(1, 1))
				if u.Count > 0 != there || u.Kept > 0 != there || u.Unknown || ok != there || at != 0 != there || p.Run(scopeTag(1, 1), scopeTag(1, 1), 1) != there {
					t.Errorf("%d s after: %+v, newest %d %v", now-mergeNow, u, at, ok)
				}
				if there && (u.Free != end+1 || u.Kept != 30*secondsPerDay) {
					t.Errorf("%d s after: %+v, want it to be free at %d", now-mergeNow, u, end+1)
				}
			}, alice)
		}
	}
}

// Kept says what a window could not see: nothing where it reaches no further back than the record does.
func TestUsageSaysWhatIsKept(t *testing.T) {
	s, alice, bob := longStore(), Key{1}, Key{2}
	now := mergeNow
	shownIn(s, 10, 1, now, now, alice)
	shownIn(s, 0, 2, now, now, bob)
	for span, want := range map[uint32]uint32{9 * secondsPerDay: 0, 10 * secondsPerDay: 0, 11 * secondsPerDay: 10 * secondsPerDay, 90 * secondsPerDay: 10 * secondsPerDay} {
		w := Window{Since: now - Second(span), Span: span}
		ask(s, now, func(p *Person) {
			if u := p.Usage(scopeTag(1, 1), 5, w); u.Kept != want || u.Count != 2 {
				t.Errorf("%d days: %+v, want kept %d", span/secondsPerDay, u, want)
			}
		}, alice, bob)
		ask(s, now, func(p *Person) {
			if u := p.Usage(scopeTag(1, 1), 5, w); u.Kept != 0 {
				t.Errorf("%d days, of a record without: %+v", span/secondsPerDay, u)
			}
		}, bob)
	}
}

// A person who travels: while anything is left of his record it goes by the shorter retention, wherever the rest was shown; when nothing is left, the
// next begins anew. It does not matter whether the sweep has been by.
func TestOwnRetentionOfTraveller(t *testing.T) {
	for _, swept := range []bool{false, true} {
		s, alice, now := longStore(), Key{1}, mergeNow
		shownIn(s, 0, 1, now-40*day, now, alice) // at home
		shownIn(s, 60, 2, now-20*day, now, alice)
		wantFull(t, s, 2, 1, now, true, alice)
		shownIn(s, 30, 3, now, now, alice) // abroad
		wantFull(t, s, 2, 1, now, true, alice)
		wantFull(t, s, 3, 1, now, false, alice) // what is 40 days old has gone
		shownIn(s, 0, 4, now+10*day, now+10*day, alice)
		if h := s.Lookup(alice, now+10*day); h.Retention != 30 || len(h.Counters) != 1 || len(h.Counters[0].Exposures) != 3 || h.Cut != 0 || h.Counters[0].Cut != 0 {
			t.Errorf("%+v", h)
		}
		now += 41 * day // all has gone
		if swept {
			s.Sweep(now, 1000)
		}
		shownIn(s, 0, 5, now, now, alice)
		wantFull(t, s, 1, 1, now+80*day, true, alice)
		if h := s.Lookup(alice, now+80*day); h.Retention != 0 || len(h.Counters[0].Exposures) != 1 {
			t.Errorf("swept %v: %+v", swept, h)
		}
	}
}

// Of a person with two identifiers each record goes by its own retention, so that to learn of another identifier hides nothing of what one
// says; and what was shown under a retention is in both records under it.
func TestOwnRetentionOfEachRecord(t *testing.T) {
	s, phone, login, now := longStore(), Key{1}, Key{2}, mergeNow
	shownIn(s, 0, 1, now-40*day, now, phone, login)
	shownIn(s, 30, 2, now, now, phone)
	wantFull(t, s, 2, now-41*day, now, false, phone)
	wantFull(t, s, 2, now-41*day, now, true, login, phone)
	ask(s, now, func(p *Person) {
		if u := p.Usage(scopeTag(1, 1), 9, Window{}); u.Count != 2 || u.Kept != 30*secondsPerDay || u.Unknown {
			t.Errorf("%+v", u)
		}
		// The newer leaves with the record that alone has it, before the older does.
		if u := p.Usage(scopeTag(1, 1), 2, Window{}); u.Free != now+30*day+1 {
			t.Errorf("%+v", u)
		}
		if u := p.Usage(scopeTag(1, 1), 1, Window{}); u.Free != now+50*day+1 {
			t.Errorf("%+v", u)
		}
	}, phone, login)
	shownIn(s, 30, 3, now, now, phone, login)
	wantFull(t, s, 3, 1, now, false, phone, login)
	wantFull(t, s, 1, 1, now+30*day+1, false, phone, login)
}

// What is older than the retention that it comes with is late, and its retention binds nothing.
func TestLateByOwnRetention(t *testing.T) {
	s, alice, now := longStore(), Key{1}, mergeNow
	shownIn(s, 0, 1, now-20*day, now, alice)
	if x := shownIn(s, 10, 2, now-10*day-1, now, alice); !x.Late || s.Stats().Late != 1 {
		t.Errorf("%+v, %+v", x, s.Stats())
	}
	wantFull(t, s, 1, 1, now, true, alice)
	if x := shownIn(s, 10, 2, now-10*day, now, alice); x.Late {
		t.Errorf("%+v", x)
	}
	if h := s.Lookup(alice, now); h.Retention != 10 || len(h.Counters[0].Exposures) != 1 {
		t.Errorf("%+v", h)
	}
}

// An erasure takes the retention with the rest, and what comes later has its own.
func TestErasureOfOwnRetention(t *testing.T) {
	s, alice, now := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1}), Key{1}, mergeNow
	shownIn(s, 3, 1, now, now, alice)
	if err := s.Erase([]Key{alice}, now+10, now); err != nil {
		t.Fatal(err)
	}
	shownIn(s, 5, 2, now+10, now+10, alice) // not after it
	if h := s.Lookup(alice, now+10); len(h.Counters) != 0 || h.Retention != 0 || h.Erased != now+10 {
		t.Errorf("%+v", h)
	}
	shownIn(s, 0, 3, now+20, now+20, alice)
	if h := s.Lookup(alice, now+40*day); len(h.Counters) != 1 || h.Retention != 0 {
		t.Errorf("%+v", h)
	}
}

// In whatever order a showing, the erasure after it and a showing after that come: the first is never found, the last for no longer than its own
// retention. Whether it goes earlier, by the retention of the first, is all that the order can say; the merge says the shorter.
func TestErasureBetweenRetentions(t *testing.T) {
	now, alice := mergeNow, Key{1}
	steps := []func(s *Store){
		func(s *Store) { shownIn(s, 3, 1, now-100, now, alice) },
		func(s *Store) {
			if err := s.Erase([]Key{alice}, now-50, now); err != nil {
				t.Fatal(err)
			}
		},
		func(s *Store) { shownIn(s, 10, 2, now, now, alice) },
	}
	all := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
		for _, i := range order {
			steps[i](s)
		}
		if h := s.Lookup(alice, now); len(h.Counters) != 1 || len(h.Counters[0].Exposures) != 1 || h.Counters[0].Exposures[0].At != now || h.Retention != 3 && h.Retention != 10 {
			t.Errorf("%v: %+v", order, h)
		}
		if err := all.MergeExposures(s.AppendExposures(nil, alice, now), now); err != nil {
			t.Fatal(err)
		}
		if h := s.Lookup(alice, now+10*day+1); len(h.Counters) != 0 || h.Cut != 0 {
			t.Errorf("%v: %+v", order, h)
		}
	}
	if h := all.Lookup(alice, now); h.Retention != 3 {
		t.Errorf("merged: %+v", h)
	}
}

// A hold brings its retention along, so that the cut which it may leave goes in time; and where the record is evicted, its cut has it still.
func TestOwnRetentionOfHoldsAndCuts(t *testing.T) {
	s, other, alice, now := longStore(), longStore(), Key{1}, mergeNow
	var p Person
	s.Lock(&p, []Key{alice}, now)
	p.Take(5, now+600, []Counted{{Scope: scopeTag(1, 1)}})
	p.Hold(2)
	p.Unlock()
	if err := other.Apply(&Change{Kind: ChangeHold, Keys: []Key{alice}, Now: now, Identity: 5, Until: now + 600, Scopes: []Counted{{Scope: scopeTag(1, 1)}}, Retention: 2}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, other} {
		k := alice
		if h := s.Lookup(k, now); h.Retention != 2 || len(h.Holds) != 1 {
			t.Errorf("%+v", h)
		}
		w := wordsOf(&k)
		sh := s.shardOf(hashOf(&w))
		sh.evict(s.rules(now), true)
		if h := s.Lookup(k, now); h.Retention != 2 || h.Cut != now+1 {
			t.Errorf("evicted: %+v", h)
		}
		wantFull(t, s, 1, 1, now+2*day+1, true, k)
		wantFull(t, s, 1, 1, now+2*day+2, false, k)
		if h := s.Lookup(k, now+2*day+2); h.Cut != 0 || h.Retention != 0 {
			t.Errorf("later: %+v", h)
		}
	}
}

// ownState is a user's record on one node after a few showings, some of them under retentions of their own.
func (w *walker) ownState(key Key) []byte {
	s := longStore()
	for range 1 + w.rand.IntN(6) {
		tag := w.rand.IntN(3)
		e := Exposure{Identity: uint32(w.rand.IntN(9)), Retention: w.retention()}
		e.At = mergeNow - Second(e.Identity)*day/2 - Second(w.rand.IntN(3600))
		s.Expose([]Key{key}, e, nil, []Counted{{scopeTag(1, tag), uint8(1 + tag)}}, mergeNow)
		if w.rand.IntN(4) == 0 {
			s.hold([]Key{key}, uint32(20+w.rand.IntN(4)), mergeNow+60, []Counted{{scopeTag(1, tag), 1}}, w.retention(), mergeNow-30)
		}
	}
	return s.AppendExposures(nil, key, mergeNow)
}

func encodedRetention(enc []byte) Retention {
	if enc == nil {
		return 0
	}
	return Retention(binary.LittleEndian.Uint32(enc[wireHead:]) >> retentionShift)
}

// With retentions of their own, too, the join of encoded records is commutative, associative and idempotent.
func TestMergeOwnRetention(t *testing.T) {
	w := newWalker(t, Options{Memory: 1 << 20, Shards: 1}, 1)
	w.own = []Retention{1, 2, 3, 4, 31, 63}
	shorter, dropped := 0, 0
	for range *stepsFlag / 6 {
		key := randomKey(w.rand)
		a, b, c := state{exposures: w.ownState(key)}, state{exposures: w.ownState(key)}, state{exposures: w.ownState(key)}
		ab := joined(t, key, true, a, b)
		if ba := joined(t, key, true, b, a); !ab.equal(ba) {
			t.Fatalf("not commutative:\n%x\n%x\n%x\n%x", a, b, ab, ba)
		}
		left, right := joined(t, key, true, ab, c), joined(t, key, true, a, joined(t, key, true, b, c))
		if !left.equal(right) {
			t.Fatalf("not associative:\n%x\n%x\n%x\n%x\n%x", a, b, c, left, right)
		}
		if again := joined(t, key, true, left, a, left, c, b); !again.equal(left) {
			t.Fatalf("not idempotent:\n%x\n%x", left, again)
		}
		want := Retention(0)
		for _, x := range []state{a, b, c} {
			own := encodedRetention(x.exposures)
			if want != 0 && own != want && own != 0 {
				shorter++
			}
			want = want.Shorter(own)
		}
		if own := encodedRetention(left.exposures); own != want {
			t.Fatalf("retention %d, want %d", own, want)
		}
		if len(left.exposures) < max(len(a.exposures), len(b.exposures), len(c.exposures)) {
			dropped++
		}
	}
	if shorter == 0 || dropped == 0 {
		t.Errorf("%d joins of two retentions, %d that let go of something", shorter, dropped)
	}
}

// A record with a retention of its own is of another version, so that no program reads it that would keep it longer; every other is as
// it was.
func TestOwnRetentionWireForm(t *testing.T) {
	s, alice, now := longStore(), Key{1}, mergeNow
	shownIn(s, 0, 7, now, now, alice)
	plain := s.AppendExposures(nil, alice, now)
	shownIn(s, 33, 7, now, now, alice)
	enc := s.AppendExposures(nil, alice, now)
	want := bytes.Clone(plain)
	want[0], want[7] = 2, 33<<1
	if !bytes.Equal(enc, want) || plain[0] != 1 {
		t.Fatalf("\n%x\n%x, want\n%x", plain, enc, want)
	}
	for name, wrong := range map[string]func(b []byte){
		"version 1 with a retention": func(b []byte) { b[0] = 1 },
		"version 2 without":          func(b []byte) { b[7] = 0 },
		"version 3":                  func(b []byte) { b[0] = 3 },
		"a gap":                      func(b []byte) { b[7] |= 0x80 },
		"refusals of version 2":      func(b []byte) { b[1] = wireRefusals },
	} {
		b := bytes.Clone(enc)
		wrong(b)
		if err := longStore().MergeExposures(b, now); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if err := longStore().MergeRefusals(b, now); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, as refusals: %v", name, err)
		}
		if err := longStore().MergeSnapshot(b, now); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, in a snapshot: %v", name, err)
		}
	}
	if err := longStore().Apply(&Change{Kind: ChangeExpose, Exposure: Exposure{Retention: MaxRetention + 1}}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a retention beyond the codes: %v", err)
	}
}

// A snapshot brings the retention back, into an empty store and into one that has showings of its own.
func TestSnapshotOfOwnRetention(t *testing.T) {
	s, alice, now := longStore(), Key{1}, mergeNow
	shownIn(s, 20, 1, now, now, alice)
	shownIn(s, 0, 2, now-10*day, now, alice)
	empty, other := longStore(), longStore()
	shownIn(other, 0, 3, now-25*day, now, alice)
	for _, step := range snapshotSteps(s, 4000, func() {}) {
		for _, into := range []*Store{empty, other} {
			if err := into.MergeSnapshot(step, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, into := range []*Store{empty, other} {
		if h := into.Lookup(alice, now); h.Retention != 20 || len(h.Counters) != 1 || len(h.Counters[0].Exposures) != 2 {
			t.Errorf("%+v", h)
		}
	}
	// Ten days on the older has gone; the snapshot that is made then has it no more, though no sweep came by.
	s.rules(now + 11*day)
	for _, step := range snapshotSteps(s, 4000, func() {}) {
		if holdsSecond(step, now-10*day) || !holdsSecond(step, now) {
			t.Errorf("%x", step)
		}
	}
}
