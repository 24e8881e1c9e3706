package caps

import "testing"

// After warm-up no call of a decision allocates, with one key and with several, with holds and places.
func TestDecisionAllocations(t *testing.T) {
	keys := benchKeys(300)
	s := benchStore(keys, 20)
	scopes := make([]Counted, 150)
	for i := range scopes {
		scopes[i] = Counted{scopeTag(9, i*7), 5}
	}
	var p Person
	identity, now := uint32(1), benchNow
	for _, n := range []int{1, 3, MaxKeys} {
		decide := func() {
			identity++
			now++
			s.Lock(&p, keys[:n], now)
			for i := range scopes {
				p.Full(scopes[i].Scope, 1+i%5, now-86400)
				p.Usage(scopes[i].Scope, 3, Window{Since: now - 3600, Span: 3600})
				p.Newest(scopes[i].Scope)
				p.Run(scopes[i].Scope, scopes[(i+1)%150].Scope, 2)
			}
			p.Purchase(1)
			p.Choice(1)
			p.Erased()
			p.Take(identity, now+10, scopes[:6])
			p.Full(scopes[0].Scope, 3, now-86400)
			p.Hold(Retention(identity%2) * 45)
			p.Unlock()
		}
		for range 100 {
			decide()
		}
		if got := testing.AllocsPerRun(50, decide); got != 0 {
			t.Errorf("%d keys: %v allocations for a decision, want 0", n, got)
		}
	}
}

// In the steady state, where users come and go within the memory that is there, an exposure and a release allocate nothing.
func TestExposeAllocations(t *testing.T) {
	keys := benchKeys(300)
	s := benchStore(keys, 20)
	scopes := []Counted{{scopeTag(9, 1), 5}, {scopeTag(9, 51), 5}, {scopeTag(9, 101), 5}}
	i := uint32(0)
	expose := func() { // half of the users under a retention of their own
		i++
		at := int(i) % 298
		s.Expose(keys[at:at+2], Exposure{Identity: i, At: benchNow, Retention: Retention(at/150) * 20}, nil, scopes, benchNow)
		s.Release(keys[at:at+2], i, 0, benchNow+Second(i))
	}
	for range 5000 {
		expose()
	}
	if got := testing.AllocsPerRun(500, expose); got != 0 {
		t.Errorf("%v allocations for an exposure, want 0", got)
	}
}
