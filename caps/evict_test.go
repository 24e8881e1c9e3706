package caps

import "testing"

// With memory for a fraction of the users, those who go are the idle ones: who comes back often keeps an exact history.
func TestEvictionSparesTheActive(t *testing.T) {
	const active, idle, budget = 250, 8000, 400 << 10
	s, now := New(Options{Memory: budget, Shards: 4}), benchNow
	keys := benchKeys(active + idle)
	scope := func(i int) []Counted {
		return []Counted{{scopeTag(1, i%20), 5}, {scopeTag(2, i%30), 5}, {scopeTag(3, i%50), 5}}
	}
	for i := range idle {
		now += 60
		s.Expose(keys[active+i:active+i+1], Exposure{Identity: uint32(i), At: now}, nil, scope(i), now)
		for k := range 5 {
			at := (i*5 + k) % active
			s.Expose(keys[at:at+1], Exposure{Identity: uint32(i*5 + k), At: now}, nil, scope(at), now)
		}
		if st := s.shards[0].exposures.bytes(); st > budget/4 {
			t.Fatalf("%d bytes in a shard of %d", st, budget/4)
		}
	}
	spared := 0
	for i := range active {
		if h := s.Lookup(keys[i], now); h.Cut == 0 && len(h.Counters) == 3 {
			spared++
		}
	}
	st := s.Stats()
	t.Logf("%d of %d active users whole; %+v", spared, active, st)
	if spared < active*95/100 || st.EvictedUsers == 0 || st.EvictedExposures < st.EvictedUsers || st.Bytes > budget {
		t.Errorf("%d of %d active users whole; %+v", spared, active, st)
	}
	var p Person
	for i := range idle { // whoever went is full as far as he was seen, by his own cut or by that of his bucket
		s.Lock(&p, keys[active+i:active+i+1], now)
		if !p.Full(scope(i)[0].Scope, 1, benchNow+60*Second(i+1)) {
			t.Errorf("user %d is forgotten", i)
		}
		p.Unlock()
	}
}
