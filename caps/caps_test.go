package caps

import (
	"errors"
	"testing"
)

const day = 86400

var (
	alice = Key{1, 15: 9}
	phone = Key{2, 14: 5}
)

func newStore() *Store {
	return New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 2, Retention: 30 * day, PurchaseRetention: 60 * day})
}

// show counts one exposure under scope 1.
func show(s *Store, identity uint32, at, now Second, keep uint8, keys ...Key) {
	s.Expose(keys, Exposure{Identity: identity, At: at}, nil, []Counted{{scopeTag(1, 1), keep}}, now)
}

// ask runs f on the locked person.
func ask(s *Store, now Second, f func(p *Person), keys ...Key) {
	var p Person
	s.Lock(&p, keys, now)
	defer p.Unlock()
	f(&p)
}

func wantFull(t *testing.T, s *Store, limit int, since, now Second, want bool, keys ...Key) {
	t.Helper()
	ask(s, now, func(p *Person) {
		if got := p.Full(scopeTag(1, 1), limit, since); got != want {
			t.Errorf("full of %d since %d: %v, want %v", limit, since, got, want)
		}
	}, keys...)
}

// A window of W is free again when more than W has passed.
func TestWindowEdge(t *testing.T) {
	s, now := newStore(), Second(1_700_000_000)
	show(s, 1, now, now, 3, alice)
	ask(s, now+10, func(p *Person) {
		u := p.Usage(scopeTag(1, 1), 1, Window{Since: now + 10 - 3600, Span: 3600})
		if u != (Usage{Count: 1, Free: now + 3601}) {
			t.Errorf("rolling: %+v", u)
		}
		if u = p.Usage(scopeTag(1, 1), 1, Window{Since: now - 100, Next: now + 500}); u.Free != now+500 {
			t.Errorf("calendar: %+v", u)
		}
		if u = p.Usage(scopeTag(1, 1), 1, Window{}); u.Free != now+30*day+1 {
			t.Errorf("lifetime: %+v", u)
		}
		if u = p.Usage(scopeTag(1, 2), 1, Window{}); u != (Usage{}) {
			t.Errorf("never shown: %+v", u)
		}
	}, alice)
	wantFull(t, s, 1, now+3600-3600, now+3600, true, alice)
	wantFull(t, s, 1, now+3601-3600, now+3601, false, alice)
}

// The same exposure again is the same exposure, at the later of its times, whichever comes first and under whichever key.
func TestSameExposure(t *testing.T) {
	s, now := newStore(), Second(1_700_000_000)
	show(s, 1, now+50, now+50, 3, alice)
	show(s, 1, now, now+50, 3, alice, phone)
	show(s, 2, now, now+50, 3, phone)
	wantFull(t, s, 2, now, now+50, true, alice, phone)
	wantFull(t, s, 3, now, now+50, false, alice, phone, alice)
	wantFull(t, s, 1, now+50, now+50, true, alice)
	wantFull(t, s, 1, now+1, now+50, false, phone)
}

// After a limit is raised, a window that reaches back to what was dropped counts as full.
func TestRaisedKeep(t *testing.T) {
	s, now := newStore(), Second(1_700_000_000)
	for i := range 4 {
		show(s, uint32(i), now+Second(i*100), now+400, 2, alice)
	}
	show(s, 9, now+400, now+400, 5, alice)
	wantFull(t, s, 5, now, now+400, true, alice)
	wantFull(t, s, 4, now+150, now+400, false, alice)
	ask(s, now+400, func(p *Person) {
		u := p.Usage(scopeTag(1, 1), 5, Window{Since: now, Span: 400})
		if !u.Unknown || u.Count != 3 || u.Free == 0 {
			t.Errorf("%+v", u)
		}
	}, alice)
}

// A hold counts until its end, an impression or a release, in any order and under any of the keys.
func TestHold(t *testing.T) {
	now, scopes := Second(1_700_000_000), []Counted{{scopeTag(1, 1), 5}}
	hold := func(s *Store, keys ...Key) {
		ask(s, now, func(p *Person) {
			p.Take(7, now+60, scopes)
			if _, ok := p.Newest(scopeTag(1, 1)); ok || !p.Full(scopeTag(1, 1), 1, now) {
				t.Error("a place taken counts for caps and not for spacing")
			}
			p.Hold(0)
		}, keys...)
	}
	s := newStore()
	hold(s, alice, phone)
	wantFull(t, s, 1, now+50, now+59, true, phone)
	ask(s, now+59, func(p *Person) {
		if at, ok := p.Newest(scopeTag(1, 1)); !ok || at != now {
			t.Errorf("newest %d %v", at, ok)
		}
		if u := p.Usage(scopeTag(1, 1), 1, Window{Since: now, Span: 59}); u != (Usage{Count: 1, Held: 1, Free: now + 60}) {
			t.Errorf("%+v", u)
		}
	}, alice)
	wantFull(t, s, 1, now, now+60, false, alice)

	s = newStore()
	hold(s, alice, phone)
	s.Release([]Key{alice}, 7, 0, now+5)
	wantFull(t, s, 1, now, now+5, false, alice, phone)
	wantFull(t, s, 1, now, now+5, true, phone)

	s = newStore()
	s.Release([]Key{alice}, 7, 0, now)
	ask(s, now, func(p *Person) { p.Take(7, now+60, scopes); p.Hold(0) }, alice)
	wantFull(t, s, 1, now, now+5, false, alice)

	s = newStore()
	hold(s, alice)
	s.Expose([]Key{alice}, Exposure{Identity: 8, At: now + 3}, []uint32{7}, scopes, now+3)
	wantFull(t, s, 1, now, now+5, true, alice)
	wantFull(t, s, 2, now, now+5, false, alice)
	if u := s.Lookup(alice, now+5); len(u.Counters) != 1 || u.Counters[0].Tag != TagOf(alice, scopeTag(1, 1)) {
		t.Errorf("%+v", u)
	}
}

// After an erasure nothing late comes back: not an exposure from before it, nor one that was issued before it, nor a peer's record.
func TestErase(t *testing.T) {
	s, peer, now := newStore(), newStore(), Second(1_700_000_000)
	for _, x := range []*Store{s, peer} {
		show(x, 1, now, now, 3, alice)
		if err := errors.Join(x.Purchase([]Key{alice}, []uint64{8}, now, now), x.Choose([]Key{alice}, 9, now, 1, now)); err != nil {
			t.Fatal(err)
		}
	}
	exposures, refusals := peer.AppendExposures(nil, alice, now), peer.AppendRefusals(nil, alice, now)
	if err := s.Erase([]Key{alice}, now+300, now); err != nil {
		t.Fatal(err)
	}
	show(s, 2, now+300, now+300, 3, alice)
	x := s.Expose([]Key{alice}, Exposure{Identity: 3, At: now + 400, Issued: now + 100}, nil, []Counted{{scopeTag(1, 1), 3}}, now+400)
	if x.Erased != 1 {
		t.Errorf("%+v", x)
	}
	if err := errors.Join(s.MergeExposures(exposures, now+400), s.MergeRefusals(refusals, now+400)); err != nil {
		t.Fatal(err)
	}
	h := s.Lookup(alice, now+400)
	if len(h.Counters)+len(h.Holds)+len(h.Purchases)+len(h.Choices) != 0 || h.Erased != now+300 {
		t.Errorf("%+v", h)
	}
	ask(s, now+400, func(p *Person) {
		if p.Erased() != now+300 {
			t.Errorf("erased %d", p.Erased())
		}
	}, phone, alice)
	show(s, 4, now+401, now+401, 3, alice)
	wantFull(t, s, 1, 0, now+401, true, alice)
}

// A purchase holds over all keys until a later return under any of them; a choice is the most restrictive of all keys.
func TestRefusals(t *testing.T) {
	s, now := newStore(), Second(1_700_000_000)
	purchased := func(want bool) {
		t.Helper()
		ask(s, now, func(p *Person) {
			if _, ok := p.Purchase(8); ok != want {
				t.Errorf("purchased %v, want %v", ok, want)
			}
		}, alice, phone)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Purchase([]Key{alice}, []uint64{8, 10, 8}, now, now))
	purchased(true)
	must(s.Return([]Key{phone}, []uint64{8}, now+1, now))
	purchased(false)
	must(s.Purchase([]Key{phone}, []uint64{8}, now+2, now))
	purchased(true)
	must(s.Choose([]Key{alice}, 1, now, 5, now))
	must(s.Choose([]Key{alice}, 1, now, 3, now)) // the same stamp: the larger stays
	must(s.Choose([]Key{phone}, 1, now+5, 2, now))
	ask(s, now, func(p *Person) {
		if stamp, value, ok := p.Choice(1); stamp != now || value != 5 || !ok {
			t.Errorf("choice %d %d %v", stamp, value, ok)
		}
		if at, ok := p.Purchase(10); at != now || !ok {
			t.Errorf("purchase %d %v", at, ok)
		}
	}, alice, phone)
	now += 61 * day
	purchased(false)
}

// Expired users leave, and their memory with them.
func TestSweep(t *testing.T) {
	s, now := New(Options{Memory: 8 << 20, RefusalMemory: 8 << 20, Shards: 2, Retention: day, PurchaseRetention: day}), Second(1_700_000_000)
	keys := benchKeys(5000)
	for i := range keys {
		show(s, uint32(i), now, now, 3, keys[i])
		if err := s.Purchase(keys[i:i+1], []uint64{uint64(i)}, now, now); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Stats()
	s.Sweep(now+day, 200)
	if st := s.Stats(); st.Users != 5000 || st.Counters != 5000 || st.Refusals != 5000 {
		t.Fatalf("gone too early: %+v", st)
	}
	s.Sweep(now+day+1, 200)
	if st := s.Stats(); st.Users+st.Counters+st.RefusalUsers+st.Refusals != 0 || st.Bytes*4 > before.Bytes {
		t.Fatalf("%+v, before %+v", st, before)
	}
}

// A record is bounded: the scope idle longest goes and is full from then on, as far as it was seen; the holds that end soonest too.
func TestRecordBounds(t *testing.T) {
	s, now := New(Options{Memory: 64 << 20, Shards: 1}), Second(1_700_000_000)
	for i := range MaxScopes + 10 {
		scopes := []Counted{{scopeTag(2, i), 3}}
		s.Expose([]Key{alice}, Exposure{Identity: uint32(i), At: now + Second(i)}, nil, scopes, now+2000)
	}
	if st := s.Stats(); st.Counters != MaxScopes || st.DroppedScopes != 10 {
		t.Fatalf("%+v", st)
	}
	ask(s, now+2000, func(p *Person) {
		for i := range 10 {
			if !p.Full(scopeTag(2, i), 1, now+Second(i)) {
				t.Errorf("scope %d was dropped and is not full", i)
			}
		}
		if p.Full(scopeTag(2, 5000), 1, now+11) || p.Full(scopeTag(2, 500), 2, now) {
			t.Error("full without cause")
		}
	}, alice)
	ask(s, now+2000, func(p *Person) {
		for i := range MaxHoldRows + 5 {
			p.Take(uint32(i), now+2001+Second(i), []Counted{{scopeTag(3, i), 1}})
		}
		p.Hold(0)
		for i := range MaxHoldRows + 5 {
			if !p.Full(scopeTag(3, i), 1, now+2000) {
				t.Errorf("hold %d is lost", i)
			}
		}
	}, phone)
	s.Release([]Key{phone}, MaxHoldRows, 0, now+2000)
	wantFull(t, s, 1, 0, now+2000, false, phone) // what was dropped is in doubt in its own scope only
}

// When the refusals are full, a call changes nothing, for no key.
func TestErrFull(t *testing.T) {
	s, now := New(Options{Memory: 1 << 20, RefusalMemory: 64 << 10, Shards: 1}), Second(1_700_000_000)
	keys := benchKeys(5000)
	tags := []uint64{2, 4, 6}
	full := -1
	for i := range keys {
		if err := s.Purchase(keys[i:i+1], tags, now, now); errors.Is(err, ErrFull) {
			full = i
			break
		}
	}
	if full < 64<<10/(4*refusalHeadWords+3*4*refusalWords+24)/2 {
		t.Fatalf("full after %d users", full)
	}
	if err := s.Purchase([]Key{keys[0], keys[full]}, []uint64{12, 14, 16, 18}, now, now); !errors.Is(err, ErrFull) {
		t.Fatalf("%v, want ErrFull", err)
	}
	if h := s.Lookup(keys[0], now); len(h.Purchases) != 3 {
		t.Fatalf("half applied: %+v", h)
	}
	if st := s.Stats(); st.RefusalBytes > 64<<10 || st.Refused != 2 {
		t.Fatalf("%+v", st)
	}
	for i := range 200 { // changes that need no room go on
		if err := s.Purchase(keys[i%full:i%full+1], tags[:0], now, now); err != nil {
			t.Fatal(err)
		}
	}
}

// A clock that steps back re-opens nothing.
func TestClockBack(t *testing.T) {
	s, now := newStore(), Second(1_700_000_000)
	show(s, 1, now, now, 3, alice)
	if x := s.Expose([]Key{alice}, Exposure{Identity: 2, At: now - 31*day}, nil, []Counted{{1, 1}}, now-31*day); !x.Late || s.Now() != now {
		t.Errorf("%+v, now %d", x, s.Now())
	}
	wantFull(t, s, 1, now, now-100, true, alice)
}
