package caps

import "testing"

// A showing is fresh once, whichever identifiers it is reported with, and however often.
func TestExposureIsFreshOnce(t *testing.T) {
	s := New(Options{Memory: 8 << 20, RefusalMemory: 1 << 20})
	s.SetRetention(90*24*3600, 90*24*3600)
	a, b, c := Key{1, 2}, Key{3, 4}, Key{5, 6}
	scope := scopeTag(1, 0)
	expose := func(identity uint32, at Second, keep uint8, keys ...Key) bool {
		t.Helper()
		change := Change{Kind: ChangeExpose, Keys: keys, Now: benchNow, Exposure: Exposure{Identity: identity, At: at}, Scopes: []Counted{{scope, keep}}, Fresh: true}
		if err := s.Apply(&change); err != nil {
			t.Fatal(err)
		}
		return change.Fresh && !change.Untold
	}
	for i, c := range []struct {
		identity uint32
		at       Second
		keys     []Key
		want     bool
	}{
		{1, benchNow - 100, []Key{a}, true},
		{1, benchNow - 100, []Key{a}, false},
		{1, benchNow - 90, []Key{a}, false},    // moved to a later second
		{1, benchNow - 90, []Key{a, b}, false}, // known under one of them
		{1, benchNow - 90, []Key{b}, false},
		{2, benchNow - 80, []Key{a, b}, true},
		{3, benchNow - 70, []Key{a}, true},
		{4, benchNow - 60, []Key{a}, true}, // pushes the first one out
		{1, benchNow - 90, []Key{a}, false},
		{5, benchNow - 500, []Key{a}, false},         // cannot be told any more
		{6, benchNow - 100*24*3600, []Key{a}, false}, // late
		{7, benchNow - 50, nil, false},               // nobody's
		{8, benchNow - 50, []Key{c}, true},
	} {
		if got := expose(c.identity, c.at, 3, c.keys...); got != c.want {
			t.Errorf("%d: fresh is %v", i, got)
		}
	}
	if err := s.Erase([]Key{c}, benchNow, benchNow); err != nil {
		t.Fatal(err)
	}
	if expose(8, benchNow-40, 3, c) {
		t.Error("of somebody erased since it is fresh")
	}
	if !expose(9, benchNow-40, 3, c, b) {
		t.Error("of two identifiers, of which one was erased, it is not")
	}
}

func TestShownBetween(t *testing.T) {
	s := New(Options{Memory: 8 << 20, RefusalMemory: 1 << 20})
	s.SetRetention(90*24*3600, 90*24*3600)
	a, b := Key{1, 2}, Key{3, 4}
	for i, at := range []Second{benchNow - 300, benchNow - 200, benchNow - 100} {
		s.Expose([]Key{a}, Exposure{Identity: uint32(i), At: at}, nil, []Counted{{scopeTag(1, 7), 2}}, benchNow)
	}
	var p Person
	between := func(scope uint64, since, until Second, keys ...Key) bool {
		s.Lock(&p, keys, benchNow)
		defer p.Unlock()
		return p.ShownBetween(scopeTag(1, int(scope)), since, until)
	}
	for i, c := range []struct {
		scope        uint64
		since, until Second
		keys         []Key
		want         bool
	}{
		{7, benchNow - 100, benchNow, []Key{a}, true},
		{7, benchNow - 99, benchNow, []Key{a}, false},
		{7, benchNow - 250, benchNow - 150, []Key{b, a}, true},
		{7, benchNow - 190, benchNow - 110, []Key{a}, false},
		{7, benchNow - 1000, benchNow - 250, []Key{a}, true}, // the one that was dropped
		{7, benchNow - 1000, benchNow - 301, []Key{a}, false},
		{8, 0, benchNow, []Key{a}, false},
		{7, 0, benchNow, []Key{b}, false},
		{7, 0, benchNow, nil, false},
	} {
		if got := between(c.scope, c.since, c.until, c.keys...); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
