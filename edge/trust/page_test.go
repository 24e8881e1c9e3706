package trust

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

const (
	testDay = 20_000
	testTag = 77
)

func randomReport(r *rand.Rand, ids uint64) Report {
	return Report{
		ID: 1 + r.Uint64N(ids), Person: r.Uint64N(6), At: testDay*secondsPerDay + r.Uint32N(secondsPerDay),
		Kind: Kinds[r.IntN(len(Kinds))], Weighs: r.IntN(2) == 0,
	}
}

// randomPage has up to n reports, of so many identities, and folded numbers now and then.
func randomPage(r *rand.Rand, n int, ids uint64) *Page {
	p := &Page{Campaign: testTag, Day: testDay}
	for range r.IntN(n + 1) {
		p.add(randomReport(r, ids))
	}
	if r.IntN(3) == 0 {
		p.Folded.By[Hide], p.Folded.People, p.Folded.Estimated = r.Uint64N(9), r.Uint64N(9), r.IntN(2) == 0
	}
	return p
}

// joinPages is the join of encoded pages, as nodes come to it.
func joinPages(t *testing.T, a, b []byte) []byte {
	t.Helper()
	p, err := ParsePage(a)
	if err != nil {
		t.Fatal(err)
	}
	o, err := ParsePage(b)
	if err != nil {
		t.Fatal(err)
	}
	p.Join(o)
	return p.Append(nil)
}

// The join of encoded pages is commutative, associative and idempotent, also where pages
// are saturated.
func TestPageJoin(t *testing.T) {
	r := testRand(t)
	for range 100 {
		most, ids := 12, uint64(20)
		if r.IntN(8) == 0 {
			most, ids = MaxReports*5/4, math.MaxUint64-1
		}
		a, b, c := randomPage(r, most, ids).Append(nil), randomPage(r, most, ids).Append(nil), randomPage(r, most, ids).Append(nil)
		if x, y := joinPages(t, a, b), joinPages(t, b, a); !bytes.Equal(x, y) {
			t.Fatal("not commutative")
		}
		if x, y := joinPages(t, joinPages(t, a, b), c), joinPages(t, a, joinPages(t, b, c)); !bytes.Equal(x, y) {
			t.Fatal("not associative")
		}
		x := joinPages(t, a, b)
		if !bytes.Equal(joinPages(t, x, a), x) || !bytes.Equal(joinPages(t, x, x), x) {
			t.Fatal("not idempotent")
		}
	}
}

// Reports joined one by one, in any order and again, come to the same page as their
// union, and a saturated page keeps the smallest identities.
func TestPageAddsAsItJoins(t *testing.T) {
	r := testRand(t)
	for _, ids := range []uint64{30, math.MaxUint64 - 1} {
		var all []Report
		for range MaxReports * 3 / 2 {
			all = append(all, randomReport(r, ids))
		}
		one, other := &Page{Campaign: testTag, Day: testDay}, &Page{Campaign: testTag, Day: testDay}
		for _, x := range all {
			one.add(x)
		}
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		for _, x := range append(all, all[:100]...) {
			other.add(x)
		}
		if !bytes.Equal(one.Append(nil), other.Append(nil)) {
			t.Fatalf("%d identities: the order matters", ids)
		}
		smallest := map[uint64]bool{}
		for _, x := range all {
			smallest[x.ID] = true
		}
		want := make([]uint64, 0, len(smallest))
		for id := range smallest {
			want = append(want, id)
		}
		slices.Sort(want)
		if one.Saturated != (len(want) > MaxReports) || one.Len() != min(len(want), MaxReports) {
			t.Fatalf("%d identities: saturated %v with %d of %d", ids, one.Saturated, one.Len(), len(want))
		}
		for i := range one.reports {
			if one.reports[i].ID != want[i] {
				t.Fatal("not the smallest identities")
			}
		}
	}
}

// What a saturated page estimates is near the truth, and one person is no crowd in it.
func TestSaturatedPageEstimates(t *testing.T) {
	r := testRand(t)
	p := &Page{Campaign: testTag, Day: testDay}
	const people, repeated = 40_000, 60_000
	for i := range people {
		p.add(Report{ID: r.Uint64(), Person: 1 + uint64(i), At: testDay * secondsPerDay, Kind: Hide, Weighs: true})
	}
	for range repeated { // of one person, under ids of their own
		p.add(Report{ID: r.Uint64(), Person: math.MaxUint64, At: testDay * secondsPerDay, Kind: Hide, Weighs: true})
	}
	got := p.Tally(0, math.MaxUint32)
	near := func(what string, got, want uint64) {
		if d := float64(got)/float64(want) - 1; math.Abs(d) > 0.12 { // 5 standard errors and more
			t.Errorf("%s: %d, want about %d", what, got, want)
		}
	}
	near("hides", got.By[Hide], people+repeated)
	near("weighing", got.Weighing, people)
	if !got.Estimated || got.People > MaxReports || got.People < 1000 {
		t.Errorf("%+v", got)
	}
	one := &Page{Campaign: testTag, Day: testDay}
	for range 3 * MaxReports {
		one.add(Report{ID: r.Uint64(), Person: 5, At: testDay * secondsPerDay, Kind: Complaint, Weighs: true})
	}
	if got := one.Tally(0, math.MaxUint32); got.People != 1 {
		t.Errorf("one person with many ids is %d people", got.People)
	}
}

// A tally counts what lies after from and up to to, and each person once for each kind.
func TestTally(t *testing.T) {
	p := &Page{Campaign: testTag, Day: testDay}
	const begins = testDay * secondsPerDay
	for i, x := range []Report{
		{Person: 1, At: begins, Kind: Hide, Weighs: true},
		{Person: 1, At: begins + 5, Kind: Hide, Weighs: true}, // again, under another id
		{Person: 1, At: begins + 6, Kind: Complaint, Weighs: true},
		{Person: 2, At: begins + 7, Kind: Complaint, Weighs: true},
		{Person: 3, At: begins + 8, Kind: Hide},               // not known to have been shown it
		{Person: 0, At: begins + 9, Kind: Hide, Weighs: true}, // nobody
		{Person: 4, At: begins + 10, Kind: OptOut, Weighs: true},
		{Person: 4, At: begins + 11, Kind: Intrusive, Weighs: true},
		{Person: 5, At: begins + 12, Kind: Helpful},
	} {
		x.ID = uint64(i + 1)
		p.add(x)
	}
	for _, c := range []struct {
		from, to uint32
		want     Tally
	}{
		{begins - 1, begins + 12, Tally{By: [kinds]uint64{0, 4, 2, 1, 1, 1}, Weighing: 3, People: 2}},
		{begins, begins + 6, Tally{By: [kinds]uint64{0, 1, 1}, Weighing: 2, People: 1}},
		{begins + 6, begins + 7, Tally{By: [kinds]uint64{0, 0, 1}, Weighing: 1, People: 1}},
		{begins + 12, begins + 90, Tally{}},
	} {
		if got := p.Tally(c.from, c.to); got != c.want {
			t.Errorf("from %d to %d: %+v, want %+v", c.from-begins, c.to-begins, got, c.want)
		}
	}
	whole := p.Tally(0, math.MaxUint32)
	p.Fold()
	if p.Len() != 0 || p.Tally(0, math.MaxUint32) != whole || p.Tally(begins-1, begins+secondsPerDay-1) != whole {
		t.Errorf("folded: %+v, want %+v", p.Tally(0, math.MaxUint32), whole)
	}
	if got := p.Tally(begins, math.MaxUint32); got != (Tally{}) {
		t.Errorf("of a part of a folded day: %+v", got)
	}
}

func FuzzParsePage(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		f.Add(randomPage(r, 9, 40).Append(nil))
	}
	f.Add([]byte{pageVersion, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePage(b)
		if err != nil {
			return
		}
		if got := p.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("read and written it is another:\n%x\n%x", b, got)
		}
		q, _ := ParsePage(b)
		q.Join(p)
		if !bytes.Equal(q.Append(nil), b) {
			t.Fatal("joined with itself it is another")
		}
		p.Tally(0, math.MaxUint32)
		p.Fold()
		if _, err := ParsePage(p.Append(nil)); err != nil {
			t.Fatalf("folded: %v", err)
		}
	})
}

// What is no page is refused, each kind of fault by itself.
func TestParsePageFaults(t *testing.T) {
	p := &Page{Campaign: testTag, Day: testDay}
	p.add(Report{ID: 3, Person: 1, At: testDay * secondsPerDay, Kind: Hide})
	p.add(Report{ID: 9, Person: 1, At: testDay * secondsPerDay, Kind: Hide})
	good := p.Append(nil)
	if _, err := ParsePage(good); err != nil {
		t.Fatal(err)
	}
	second := pageHead + reportBytes
	for what, change := range map[string]func(b []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"short":         func(b []byte) []byte { return b[:len(b)-1] },
		"long":          func(b []byte) []byte { return append(b, 0) },
		"version":       func(b []byte) []byte { b[0] = 2; return b },
		"flags":         func(b []byte) []byte { b[1] = 4; return b },
		"zero":          func(b []byte) []byte { b[2] = 1; return b },
		"day":           func(b []byte) []byte { b[7] = 0xff; return b },
		"no campaign":   func(b []byte) []byte { b[8] = 0; return b },
		"too many":      func(b []byte) []byte { b[45] = 0xff; return b },
		"twice":         func(b []byte) []byte { copy(b[second:], b[pageHead:second]); return b },
		"descending":    func(b []byte) []byte { b[second] = 1; return b },
		"second of day": func(b []byte) []byte { b[second+18] = 2; return b },
		"kind 0":        func(b []byte) []byte { b[second+19] = 0; return b },
		"kind 6":        func(b []byte) []byte { b[second+19] = 6; return b },
		"unknown bit":   func(b []byte) []byte { b[second+19] |= 0x40; return b },
	} {
		if _, err := ParsePage(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}
