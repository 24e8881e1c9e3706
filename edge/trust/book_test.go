package trust

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "of random tests; 0: a new one")
	steps = flag.Int("steps", 4000, "of the model test")
)

func testRand(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", s)
	return rand.New(rand.NewPCG(s, 1))
}

// pages are the encoded pages of a book, in order.
func (b *Book) pagesOf() [][]byte {
	var all [][]byte
	var at Cursor
	for {
		enc, more := b.Append(nil, &at)
		if !more {
			slices.SortFunc(all, bytes.Compare)
			return all
		}
		all = append(all, enc)
	}
}

// model is a plain idea of what nodes were told: of each identity the earliest second.
type model struct {
	reports map[[2]uint64]Report // by campaign and identity
}

func (m *model) add(campaign uint64, r Report) {
	at := [2]uint64{campaign, r.ID}
	if old, found := m.reports[at]; found {
		r = r.join(old)
	}
	m.reports[at] = r
}

func (m *model) tally(campaign uint64, from, to uint32) (t Tally) {
	byDay := map[uint32][]Report{}
	for at, r := range m.reports {
		if at[0] == campaign {
			byDay[Day(r.At)] = append(byDay[Day(r.At)], r)
		}
	}
	for _, reports := range byDay {
		people := map[uint64]bool{}
		weighing := map[[2]uint64]bool{}
		for _, r := range reports {
			if r.At <= from || r.At > to {
				continue
			}
			t.By[r.Kind]++
			if r.Weighs && r.Person != 0 && (r.Kind == Hide || r.Kind == Complaint) {
				people[r.Person], weighing[[2]uint64{r.Person, uint64(r.Kind)}] = true, true
			}
		}
		t.People += uint64(len(people))
		t.Weighing += uint64(len(weighing))
	}
	return t
}

// Three books are told of random reports, twice and on several days, and of one another's pages, in random order; in the end all say what the
// plain model says.
func TestBookModel(t *testing.T) {
	r := testRand(t)
	const day0 = testDay * secondsPerDay
	m := &model{reports: map[[2]uint64]Report{}}
	books := []*Book{NewBook(), NewBook(), NewBook()}
	var told []struct {
		campaign uint64
		Report
	}
	exchange := func(from, to *Book) {
		pages := from.pagesOf()
		r.Shuffle(len(pages), func(i, k int) { pages[i], pages[k] = pages[k], pages[i] })
		for _, p := range pages {
			if err := to.Merge(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range *steps {
		switch r.IntN(20) {
		case 0:
			exchange(books[r.IntN(3)], books[r.IntN(3)])
		case 1:
			i := r.IntN(3) // a restart: what it wrote is all it knows
			again := NewBook()
			exchange(books[i], again)
			if !slices.EqualFunc(again.pagesOf(), books[i].pagesOf(), bytes.Equal) {
				t.Fatal("a book that is read is another than the one that was written")
			}
			books[i] = again
		case 2, 3:
			if len(told) > 0 { // again, on another node and perhaps another day
				x := told[r.IntN(len(told))]
				if r.IntN(2) == 0 {
					x.At = day0 + r.Uint32N(4*secondsPerDay)
				}
				m.add(x.campaign, x.Report)
				books[r.IntN(3)].Add(x.campaign, x.Report)
			}
		default:
			x := struct {
				campaign uint64
				Report
			}{1 + r.Uint64N(3), Report{
				ID: r.Uint64(), Person: r.Uint64N(30), At: day0 + r.Uint32N(4*secondsPerDay), Kind: Kinds[r.IntN(len(Kinds))], Weighs: r.IntN(2) == 0,
			}}
			m.add(x.campaign, x.Report)
			books[r.IntN(3)].Add(x.campaign, x.Report)
			told = append(told, x)
		}
	}
	for range 2 {
		for i := range books {
			for k := range books {
				exchange(books[i], books[k])
			}
		}
	}
	for i, b := range books {
		for range 200 {
			campaign, from, to := 1+r.Uint64N(3), day0+r.Uint32N(4*secondsPerDay), day0+r.Uint32N(4*secondsPerDay)
			if got, want := b.Tally(campaign, from, to), m.tally(campaign, from, to); got != want {
				t.Fatalf("book %d, campaign %d from %d to %d: %+v, want %+v", i, campaign, from-day0, to-day0, got, want)
			}
		}
		held := 0
		for at := range m.reports {
			_ = at
			held++
		}
		if s := b.Stats(); s.Reports != held || s.Late+s.Dropped != 0 {
			t.Errorf("book %d: %+v, want %d reports", i, s, held)
		}
	}
	if !slices.EqualFunc(books[0].pagesOf(), books[1].pagesOf(), bytes.Equal) || !slices.EqualFunc(books[0].pagesOf(), books[2].pagesOf(), bytes.Equal) {
		t.Error("the books differ")
	}
}

// After the window and a day, only numbers are left; they join, outlive a restart, and go in their turn. What comes late counts as late.
func TestFold(t *testing.T) {
	const window = 24 * 60 * 60
	b := NewBook()
	at := uint32(testDay*secondsPerDay + 500)
	b.Add(testTag, Report{ID: 1, Person: 1, At: at, Kind: Hide, Weighs: true})
	b.Add(testTag, Report{ID: 2, Person: 2, At: at + 1, Kind: Complaint, Weighs: true})
	b.Add(testTag, Report{ID: 3, Person: 2, At: at + secondsPerDay, Kind: Helpful})
	want := b.Tally(testTag, 0, at+10*secondsPerDay)
	for days := uint32(0); days <= 2; days++ {
		if gone := b.Fold(at+days*secondsPerDay, window); gone != 0 {
			t.Fatalf("%d went after %d days; one who reported a window ago is still judged", gone, days)
		}
	}
	old := b.pagesOf()
	if gone := b.Fold((testDay+3)*secondsPerDay, window); gone != 2 || b.Stats().Oldest != testDay+1 {
		t.Fatalf("%d went, the oldest is of day %d", gone, b.Stats().Oldest)
	}
	if got := b.Tally(testTag, 0, at+10*secondsPerDay); got != want {
		t.Errorf("folded %+v, want %+v", got, want)
	}
	if b.Add(testTag, Report{ID: 9, Person: 9, At: at, Kind: Hide}) || b.Stats().Late != 1 {
		t.Errorf("late: %+v", b.Stats())
	}
	// A node that had not folded yet brings nobody back.
	for _, p := range old {
		if err := b.Merge(p); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Tally(testTag, 0, at+10*secondsPerDay); got != want || b.Stats().Reports != 1 {
		t.Errorf("merged %+v with %d reports, want %+v with 1", got, b.Stats().Reports, want)
	}
	again := NewBook()
	for _, p := range b.pagesOf() {
		if err := again.Merge(p); err != nil {
			t.Fatal(err)
		}
	}
	if got := again.Tally(testTag, 0, at+10*secondsPerDay); got != want {
		t.Errorf("restarted %+v, want %+v", got, want)
	}
	b.Fold(at+(KeptDays+1)*secondsPerDay, window)
	if s := b.Stats(); s.Reports != 0 || s.Pages != 1 {
		t.Errorf("after %d days: %+v", KeptDays+1, s)
	}
	b.Fold(at+(KeptDays+2)*secondsPerDay, window)
	if s := b.Stats(); s.Pages != 0 {
		t.Errorf("after %d days: %+v", KeptDays+2, s)
	}
}

// Who weighed on an earlier day is found, by the person of that day alone.
func TestWeighed(t *testing.T) {
	b := NewBook()
	at := uint32(testDay*secondsPerDay + 500)
	b.Add(testTag, Report{ID: 1, Person: testDay + 7, At: at, Kind: Hide, Weighs: true})
	b.Add(testTag, Report{ID: 2, Person: testDay + 8, At: at, Kind: Helpful, Weighs: true})
	b.Add(testTag, Report{ID: 3, Person: testDay + 9, At: at, Kind: Hide})
	person := func(add uint64) func(uint32) uint64 { return func(day uint32) uint64 { return uint64(day) + add } }
	for _, c := range []struct {
		day, after uint32
		add        uint64
		want       bool
	}{
		{testDay + 1, 0, 7, true},
		{testDay, 0, 7, false},
		{testDay + 1, at, 7, false},
		{testDay + 1, at - 1, 7, true},
		{testDay + 1, 0, 8, false},
		{testDay + 1, 0, 9, false},
		{testDay + 1, 0, 1, false},
	} {
		if got := b.Weighed(testTag, c.day, c.after, person(c.add)); got != c.want {
			t.Errorf("before day %d, after %d, person %d: %v", c.day, c.after, c.add, got)
		}
	}
	if b.Weighed(testTag+1, testDay+1, 0, person(7)) {
		t.Error("of another campaign")
	}
}

// Where there is no room, what comes is dropped and counted; what is there may come again.
func TestBookIsBounded(t *testing.T) {
	b := NewBook()
	b.held = MaxHeld - 1
	if !b.Add(1, Report{ID: 1, At: 5, Kind: Hide, Person: 2}) || b.Add(1, Report{ID: 2, At: 5, Kind: Hide}) {
		t.Error("one more than there is room for")
	}
	if !b.Add(1, Report{ID: 1, At: 4, Kind: Hide, Person: 2}) || b.Stats().Dropped != 1 {
		t.Errorf("%+v", b.Stats())
	}
	b = NewBook()
	b.pages = MaxPages
	if b.Add(1, Report{ID: 1, At: 5, Kind: Hide}) || b.Stats().Dropped != 1 {
		t.Errorf("%+v", b.Stats())
	}
	if b.Add(0, Report{ID: 1, At: 5, Kind: Hide}) || b.Add(1, Report{ID: 1, At: 5, Kind: kinds}) {
		t.Error("what is no report was taken")
	}
}
