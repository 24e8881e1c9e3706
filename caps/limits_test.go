package caps

import (
	"math/rand/v2"
	"testing"
)

const campaign = 77

// limited is a store with limits of one campaign, and what it counts over them.
func limited(l ...Limit) (s *Store, over func() uint64) {
	s = New(Options{Memory: 4 << 20, RefusalMemory: 1 << 20})
	s.SetLimits(Limits{campaign: l})
	return s, func() uint64 { return s.Stats().OverLimit }
}

func showLimited(s *Store, key byte, identity uint32, at Second) {
	s.Expose([]Key{{key, 15: key}}, Exposure{Identity: identity, At: at}, nil, []Counted{{campaign, 3}, {78, 3}}, at)
}

// Each showing beyond the limit counts once, however often and in whatever order they come.
func TestOverLimit(t *testing.T) {
	const now, span = Second(1_800_000_000), 3600
	rolling := Limit{Scope: campaign, Most: 3, Span: span}
	for name, c := range map[string]struct {
		at   []Second // seconds after now, as they come
		want uint64
	}{
		"as many as allowed":            {[]Second{0, 1, 2}, 0},
		"one more":                      {[]Second{0, 1, 2, 3}, 1},
		"two more":                      {[]Second{0, 1, 2, 3, 4}, 2},
		"the last in the window":        {[]Second{0, 1, 2, span}, 1},
		"the first out of it":           {[]Second{0, 1, 2, span + 1}, 0},
		"a late one between the others": {[]Second{0, 20, 30, 10}, 1},
		"a late one before the others":  {[]Second{10, 20, 30, 1}, 1},
		"a late one of another window":  {[]Second{2 * span, 2*span + 1, 2*span + 2, 0}, 0},
		"late ones of two windows":      {[]Second{10, 20, 3 * span, 3*span + 1, 30}, 0},
	} {
		s, over := limited(rolling)
		for i, at := range c.at {
			for range 3 {
				showLimited(s, 1, uint32(i+1), now+at)
			}
		}
		showLimited(s, 2, 1, now) // somebody else
		if over() != c.want || s.Stats().Exposed != uint64(len(c.at)+1) {
			t.Errorf("%s: %d over the limit, not %d; %d exposures", name, over(), c.want, s.Stats().Exposed)
		}
	}
}

// A calendar's window is asked for; the limit of any scope makes an exposure one too many, once.
func TestOverLimitOfPeriods(t *testing.T) {
	const day = Second(86400)
	s, over := limited(
		Limit{Scope: campaign, Most: 2, Period: func(at Second) (from, next Second) { return at - at%day, at - at%day + day }},
		Limit{Scope: 78, Most: 2, Span: 10},
	)
	midnight := 20_000 * day
	for i, at := range []Second{midnight - 20, midnight - 19, midnight, midnight + 1} {
		showLimited(s, 1, uint32(i+1), at)
	}
	if over() != 0 {
		t.Errorf("%d over the limit of two days", over())
	}
	showLimited(s, 1, 5, midnight+2) // over both
	if over() != 1 {
		t.Errorf("%d over the limit", over())
	}
	for i := range uint32(3) { // not under 78
		s.Expose([]Key{{9}}, Exposure{Identity: 10 + i, At: midnight + Second(i)*day}, nil, []Counted{{campaign, 3}}, midnight+3*day)
	}
	s.SetLimits(nil)
	showLimited(s, 1, 6, midnight+3)
	if over() != 1 {
		t.Error("it counts without limits")
	}
}

// What cannot be told is left out: an exposure as old as what was dropped may be one that came before.
func TestOverLimitUntold(t *testing.T) {
	const now = Second(1_800_000_000)
	s, over := limited(Limit{Scope: campaign, Most: 3, Span: 3600})
	for i := range Second(5) {
		showLimited(s, 1, uint32(i+1), now+i)
	}
	if over() != 2 {
		t.Fatalf("%d over the limit", over())
	}
	for i := range Second(2) {
		showLimited(s, 1, uint32(i+1), now+i) // dropped since, and not known to be
	}
	if over() != 2 {
		t.Errorf("%d after they came again", over())
	}
}

// Two stores that hear of each other late count what both allowed; each counts the same.
func TestOverLimitOfTwoStores(t *testing.T) {
	const now = Second(1_800_000_000)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, overA := limited(Limit{Scope: campaign, Most: 3, Span: 3600})
		b, overB := limited(Limit{Scope: campaign, Most: 3, Span: 3600})
		atA, atB := random.IntN(4), random.IntN(4)
		at := func(i int) Second { return now + Second(i)*10 }
		for i := range atA {
			showLimited(a, 1, uint32(10+i), at(i))
		}
		for i := range atB {
			showLimited(b, 1, uint32(20+i), at(i)+5)
		}
		if overA() != 0 || overB() != 0 {
			t.Fatal("alone, none showed too many")
		}
		for i := range atA {
			showLimited(b, 1, uint32(10+i), at(i))
		}
		for i := range atB {
			showLimited(a, 1, uint32(20+i), at(i)+5)
		}
		if want := uint64(max(0, atA+atB-3)); overA() > want || overB() > want || want > 0 && (overA() == 0 || overB() == 0) {
			t.Fatalf("%d and %d of %d and %d showings are over, not %d", overA(), overB(), atA, atB, want)
		}
	}
}
