package effect

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }

// The examples of Newcombe's paper on one proportion (Two-sided confidence intervals for
// the single proportion, Statistics in Medicine 17, 1998, 857-872, table I, method 3).
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		s         Share
		low, high float64
	}{
		{Share{81, 263}, 0.2553, 0.3662},
		{Share{15, 148}, 0.0624, 0.1605},
		{Share{0, 20}, 0, 0.1611},
		{Share{1, 29}, 0.0061, 0.1718},
		{Share{0, 0}, 0, 1},
	} {
		if got := Wilson(c.s); !near(got.Low, c.low, 5e-5) || !near(got.High, c.high, 5e-5) {
			t.Errorf("%v: %v, want %v to %v", c.s, got, c.low, c.high)
		}
	}
}

// The examples of Newcombe's paper on a difference (table II, method 10).
func TestNewcombe(t *testing.T) {
	for _, c := range []struct {
		a, b      Share
		low, high float64
	}{
		{Share{56, 70}, Share{48, 80}, 0.0524, 0.3339},
		{Share{9, 10}, Share{3, 10}, 0.1705, 0.8090},
		{Share{6, 7}, Share{2, 7}, 0.0582, 0.8062},
		{Share{5, 56}, Share{0, 29}, -0.0381, 0.1926},
		{Share{0, 10}, Share{0, 20}, -0.1611, 0.2775},
		{Share{0, 10}, Share{0, 10}, -0.2775, 0.2775},
		{Share{10, 10}, Share{0, 20}, 0.6791, 1},
		{Share{10, 10}, Share{0, 10}, 0.6075, 1},
	} {
		if got := Newcombe(c.a, c.b); !near(got.Low, c.low, 5e-5) || !near(got.High, c.high, 5e-5) {
			t.Errorf("%v less %v: %v, want %v to %v", c.a, c.b, got, c.low, c.high)
		}
		there, back := Newcombe(c.a, c.b), Newcombe(c.b, c.a)
		if !near(there.Low, -back.High, 1e-12) || !near(there.High, -back.Low, 1e-12) {
			t.Errorf("%v less %v: %v, and the other way %v", c.a, c.b, there, back)
		}
	}
}

// Deviates as any table of Student's t has them.
func TestStudent(t *testing.T) {
	for freedom, want := range map[float64]float64{7: 2.3646, 10: 2.2281, 15: 2.1314, 30: 2.0423, 120: 1.9799, 1e9: 1.9600} {
		if got := student(freedom); !near(got, want, 1e-3) {
			t.Errorf("%v: %v, want %v", freedom, got, want)
		}
	}
}

// Parts of equal size: the interval is Welch's of their rates. With rates 0.1 and 0.3 in
// eight parts of 100 each beside eight of 0.2: variance of the mean 0.01*8/7/8, seven
// degrees of freedom.
func TestRandomGroupsOfEqualParts(t *testing.T) {
	var a, b []Share
	for i := range 8 {
		a = append(a, Share{10 + 20*uint64(i%2), 100})
		b = append(b, Share{20, 100})
	}
	got, ok := RandomGroups(a, b)
	if reach := 2.3646 * math.Sqrt(0.01/7); !ok || !near(got.Low, -reach, 1e-4) || !near(got.High, reach, 1e-4) {
		t.Errorf("%v %v, want within %v", got, ok, reach)
	}
	if _, ok := RandomGroups(a[:7], b); ok {
		t.Error("seven parts are enough")
	}
	a[0] = Share{}
	if _, ok := RandomGroups(a, b); ok {
		t.Error("a part in which nothing happened counts")
	}
}

func TestCompare(t *testing.T) {
	one := func(part, whole uint64) []Share { return []Share{{part, whole}} }
	parts := func(part, whole uint64) (all []Share) {
		for range 16 {
			all = append(all, Share{part, whole})
		}
		return all
	}
	for _, c := range []struct {
		name          string
		before, pilot []Share
		want          Verdict
		byParts       bool
	}{
		{"nothing", nil, nil, TooFew, false},
		{"99 decisions", one(50, 1000), one(50, 99), TooFew, false},
		{"19 events", one(9, 1000), one(10, 1000), TooFew, false},
		{"19 without", one(991, 1000), one(990, 1000), TooFew, false},
		{"alike", one(10, 1000), one(10, 1000), Alike, false},
		{"more", one(300, 1000), one(400, 1000), More, false},
		{"less", parts(40, 100), parts(30, 100), Less, true},
		{"above one, without parts", one(2000, 1000), one(3000, 1000), TooFew, false},
		{"above one", parts(200, 100), parts(300, 100), More, true},
	} {
		got := Compare(c.before, c.pilot)
		if got.Verdict != c.want || got.ByParts != c.byParts {
			t.Errorf("%s: %+v", c.name, got)
		}
		if c.want != TooFew && (got.Low > got.Difference || got.High < got.Difference) {
			t.Errorf("%s: the difference is not in its interval: %+v", c.name, got)
		}
	}
	// Parts that differ much among themselves tell less than as many independent trials.
	uneven := parts(0, 100)
	for i := range 8 {
		uneven[i].Part = 80
	}
	if even, got := Compare(one(640, 1600), one(800, 1600)), Compare(uneven, parts(50, 100)); even.Verdict != More || got.Verdict != Alike {
		t.Errorf("%+v\n%+v", even, got)
	}
}

// Of people who do much or little, each by their own inclination, two equal groups are
// found to differ as rarely as is said; by taking every decision as independent they
// would be found to differ often.
func TestIntervalsCoverWhatPeopleDo(t *testing.T) {
	const runs, people, groups = 1000, 2000, 16
	random := rand.New(rand.NewPCG(7, 7))
	group := func() []Share {
		parts := make([]Share, groups)
		for range people {
			inclined := random.Float64() * random.Float64()
			times := 1 + int(math.Exp(2*random.NormFloat64()))
			part := &parts[random.IntN(groups)]
			for range min(times, 500) {
				part.Whole++
				if random.Float64() < inclined {
					part.Part++
				}
			}
		}
		return parts
	}
	found, naive := 0, 0
	for range runs {
		a, b := group(), group()
		if Compare(a, b).Verdict != Alike {
			found++
		}
		if i := Newcombe(Sum(a), Sum(b)); i.Low > 0 || i.High < 0 {
			naive++
		}
	}
	t.Logf("found to differ: %d of %d, by independent decisions %d", found, runs, naive)
	// 5 % expected; five standard deviations of a binomial count are 3.4 %.
	if found > runs*84/1000 || found < runs*16/1000 {
		t.Errorf("%d of %d equal groups are found to differ", found, runs)
	}
	if naive < runs/4 {
		t.Errorf("only %d of %d differ by independent decisions: these people are too much alike for the test", naive, runs)
	}
}
