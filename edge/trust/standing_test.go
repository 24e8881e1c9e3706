package trust

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func randomStanding(r *rand.Rand) *Standing {
	s := NewStanding("shoes")
	raise := func() Raise {
		return Raise{Since: 100 + r.Uint32N(4), Policy: r.IntN(3), Window: 60, Shown: 1 + r.Uint64N(2), Weighing: 1, People: 1, Per10K: 5, Node: string(rune('a' + r.IntN(3)))}
	}
	if r.IntN(2) == 0 {
		s = s.Raised(Lowered, raise())
	}
	if r.IntN(3) == 0 {
		s = s.Raised(Paused, raise())
	}
	if r.IntN(3) == 0 {
		if level, _ := s.Level(); level != None {
			s = s.Released(Release{At: 200 + r.Uint32N(3), Why: string(rune('a' + r.IntN(3))), Node: "a"})
			if r.IntN(2) == 0 {
				s = s.Raised(Level(1+r.IntN(2)), raise())
			}
		}
	}
	return s
}

func joinStandings(t *testing.T, a, b []byte) []byte {
	t.Helper()
	x, err := ParseStanding(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := ParseStanding(b)
	if err != nil {
		t.Fatal(err)
	}
	return x.Join(y).Encode()
}

// The join of encoded standings is commutative, associative and idempotent.
func TestStandingJoin(t *testing.T) {
	r := testRand(t)
	for range 5000 {
		a, b, c := randomStanding(r).Encode(), randomStanding(r).Encode(), randomStanding(r).Encode()
		if x, y := joinStandings(t, a, b), joinStandings(t, b, a); !bytes.Equal(x, y) {
			t.Fatalf("not commutative:\n%s\n%s", x, y)
		}
		if x, y := joinStandings(t, joinStandings(t, a, b), c), joinStandings(t, a, joinStandings(t, b, c)); !bytes.Equal(x, y) {
			t.Fatalf("not associative:\n%s\n%s", x, y)
		}
		if x := joinStandings(t, a, b); !bytes.Equal(joinStandings(t, x, a), x) || !bytes.Equal(joinStandings(t, a, a), a) {
			t.Fatalf("not idempotent: %s", x)
		}
	}
}

// A release wins over what a node that was cut off decided without knowing of it, whenever it did, and loses to what is decided after it.
func TestReleaseWins(t *testing.T) {
	raise := func(since uint32) Raise { return Raise{Since: since, Shown: 1, Weighing: 1, Per10K: 5} }
	both := NewStanding("shoes").Raised(Lowered, raise(100))
	here := both.Released(Release{At: 200, Why: "looked at it", By: "me"})
	there := both.Raised(Paused, raise(300)) // cut off, and later
	if level, _ := here.Join(there).Level(); level != None || here.Join(there).After() != 200 {
		t.Errorf("%s", here.Join(there).Encode())
	}
	again := here.Raised(Lowered, raise(250))
	if level, by := again.Join(there).Level(); level != Lowered || by.Since != 250 {
		t.Errorf("%s", again.Join(there).Encode())
	}
	// Released again, by a clock that is behind: it comes after all the same.
	if last := again.Released(Release{At: 150}); last.After() != 201 || last.Release.From != "lowered" {
		t.Errorf("%s", last.Encode())
	}
	// Of two nodes that both raise, the earlier stays.
	if _, by := both.Join(NewStanding("shoes").Raised(Lowered, raise(90))).Level(); by.Since != 90 {
		t.Errorf("since %d", by.Since)
	}
	if both.Raised(Lowered, raise(500)) != both {
		t.Error("raised to where it was")
	}
}

func TestJudge(t *testing.T) {
	r := Rule{MinShown: 10000, MinPeople: 50, Lower: 5, Pause: 20}
	for _, c := range []struct {
		weighing, people, shown uint64
		estimated               bool
		want                    Level
	}{
		{60, 60, 9999, false, None},
		{60, 49, 10000, false, None},
		{60, 60, 10000, false, Paused},
		{20, 50, 10000, false, Paused},
		{19, 50, 9999, false, None},
		{60, 60, 40000, false, Lowered},
		{60, 60, 120000, false, Lowered},
		{60, 60, 120001, false, None},
		{0, 0, 10000, false, None},
		{1 << 62, 1 << 62, 1 << 63, false, Paused}, // no overflow
		{1 << 40, 50, 1 << 62, false, None},
	} {
		if got := Judge(&r, &Tally{Weighing: c.weighing, People: c.people, Estimated: c.estimated}, c.shown); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	free := Rule{MinShown: 0, MinPeople: 0, Lower: 1, Pause: 1}
	if got := Judge(&free, &Tally{Weighing: 5, People: 5}, 0); got != None {
		t.Errorf("nothing shown: %v", got)
	}
	many := Rule{MinShown: 1, MinPeople: 1_000_000, Lower: 5, Pause: 20}
	for estimated, want := range map[bool]Level{false: None, true: Paused} {
		if got := Judge(&many, &Tally{Weighing: 900_000, People: 4000, Estimated: estimated}, 1_000_000); got != want {
			t.Errorf("estimated %v: %v", estimated, got)
		}
	}
}

func TestParseStandingFaults(t *testing.T) {
	good := NewStanding("shoes").Raised(Lowered, Raise{Since: 100, Shown: 5, Weighing: 2, Per10K: 5, Node: "a"}).
		Released(Release{At: 300, Why: "fixed <it>", By: "me", Node: "a"}).Raised(Paused, Raise{Since: 400, Shown: 1, Weighing: 1}).Encode()
	if _, err := ParseStanding(good); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("no %s in %s", old, good)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for _, text := range []string{
		"", "{}", "null", string(good) + " ", replace(`"version":1`, `"version":2`), replace(`"campaign":"shoes"`, `"campaign":""`),
		replace(`"since":400`, `"since":0`), replace(`"shown":1`, `"shown":0`), replace(`"from":"lowered"`, `"from":"none"`), replace(`"at":300`, `"at":0`),
		replace(`"at":300`, `"at":-1`), replace(`"at":300`, `"x":1,"at":300`), replace(`"node":"a"`, `"node":"`+strings.Repeat("n", MaxName+1)+`"`),
		replace("fixed", strings.Repeat("w", MaxWhy+1)), replace("fixed", strings.Repeat("w", maxDocument)), replace("fixed", "\xff"),
		replace(`"weighing":1`, `"weighing":0`), replace(`"per_10k":0`, `"per_10k":10001`),
	} {
		if _, err := ParseStanding([]byte(text)); err == nil {
			t.Errorf("taken: %.200s", text)
		}
	}
}

func FuzzParseStanding(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 9 {
		f.Add(randomStanding(r).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStanding(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Join(s).Encode(), b) {
			t.Fatal("joined with itself it is another")
		}
	})
}
