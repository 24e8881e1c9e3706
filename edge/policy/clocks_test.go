package policy

import (
	"math/rand/v2"
	"testing"
	"time"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// A leap year after the zone's table ends: the last day's stretch has an end, too.
func TestFirstInstantAfterALeapYear(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} {
		zone := mustZone(t, name)
		for _, year := range []int{2037, 2041, 2045, 2093} {
			want := time.Date(year, 1, 1, 0, 0, 0, 0, zone).Unix()
			if got := firstInstant(zone, civil(year, 1, 1)); got != want {
				t.Errorf("%s: %d begins at %d, want %d", name, year, got, want)
			}
		}
	}
}

// TestPeriodsAgainstMoments compares the listed calendar with the one that the
// decision reads.
func TestPeriodsAgainstMoments(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut", "UTC"} {
		zone := mustZone(t, name)
		from, to := civil(2010, 1, 1)*day, civil(2042, 1, 1)*day
		p := newPeriods(zone, from, to)
		r := rand.New(rand.NewPCG(1, 3))
		for range 20_000 {
			at := from + r.Int64N(to-from)
			if r.IntN(2) == 0 { // close to a beginning
				at = p.next(Day, at) + r.Int64N(5) - 2
			}
			m := MomentIn(zone, uint32(at))
			if p.next(Day, at) != int64(m.NextDay) || p.next(Week, at) != int64(m.NextWeek) || p.next(Month, at) != int64(m.NextMonth) {
				t.Fatalf("%s at %d: %d %d %d, want %+v", name, at, p.next(Day, at), p.next(Week, at), p.next(Month, at), m)
			}
		}
	}
}

// zoned is a greedy viewer who goes by the calendar of the decision.
func zoned(zone *time.Location, rules []rule, start, span int64) int {
	var seen []int64
	for at := start; ; {
		for again := true; again; {
			again = false
			for _, r := range rules {
				if len(seen) < r.n {
					continue
				}
				free, last := int64(0), seen[len(seen)-r.n]
				switch m := MomentIn(zone, uint32(last)); r.kind {
				case Rolling:
					free = last + r.gap
				case Day:
					free = int64(m.NextDay)
				case Week:
					free = int64(m.NextWeek)
				case Month:
					free = int64(m.NextMonth)
				}
				if free > at {
					at, again = free, true
				}
			}
		}
		if at >= start+span {
			return len(seen)
		}
		seen = append(seen, at)
	}
}

func berlin(t testing.TB, y int, m time.Month, d, hour, minute, second int) int64 {
	return time.Date(y, m, d, hour, minute, second, 0, mustZone(t, "Europe/Berlin")).Unix()
}

// TestMostWhereClocksChange: 3 within day, by brute force over the changes of 2026:
// on 29 March showings at 23:59:59 the day before, in the day and at the midnight
// after it are within 82,801 seconds.
func TestMostWhereClocksChange(t *testing.T) {
	zone := mustZone(t, "Europe/Berlin")
	c := newClocks(zone, 90*day)
	rules := []rule{{3, Day, 0}}
	for _, change := range []struct {
		first, last int64
		want        int
	}{
		{berlin(t, 2026, 3, 28, 12, 0, 0), berlin(t, 2026, 3, 29, 1, 0, 0), 9},
		{berlin(t, 2026, 10, 24, 12, 0, 0), berlin(t, 2026, 10, 25, 1, 0, 0), 6},
	} {
		most := 0
		for start := change.first; start < change.last; start++ {
			days, at := 1, MomentIn(zone, uint32(start)).NextDay
			for ; int64(at) < start+day; at = MomentIn(zone, at).NextDay {
				days++
			}
			most = max(most, 3*days)
		}
		if most != change.want {
			t.Errorf("around %d a person gets %d, want %d", change.first, most, change.want)
		}
	}
	for _, w := range []struct {
		rules []rule
		span  int64
		want  string
	}{
		{rules, hour, "6"},
		{rules, 82801, "6"},
		{rules, 82802, "9"},
		{rules, day, "9"},
		{rules, 7 * day, "27"},
		{[]rule{{2, Week, 0}}, 7 * day, "6"},
		{[]rule{{3, Day, 0}, {4, Rolling, day + 1}}, day, "4"},
		{[]rule{{3, Day, 0}, {1, Rolling, hour}}, day, "6"},
	} {
		budget := campaignSteps
		if got := most(w.rules, w.span, c, &budget); got.String() != w.want {
			t.Errorf("%v within %d: %v, want %s", w.rules, w.span, got, w.want)
		}
		for _, r := range w.rules {
			if budget := 0; most([]rule{r}, w.span, c, &budget).Showings < zoned(zone, []rule{r}, berlin(t, 2026, 3, 28, 23, 59, 59), w.span) {
				t.Errorf("the bound of %v within %d is too low", r, w.span)
			}
		}
	}
}

// TestMostAgainstZonedViewers: no viewer beats most, around any change of the clock.
func TestMostAgainstZonedViewers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 9))
	for _, name := range []string{"Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Casablanca"} {
		zone := mustZone(t, name)
		c := newClocks(zone, 30*day)
		for range 6 {
			rules := []rule{{1 + r.IntN(4), []WindowKind{Day, Week, Month}[r.IntN(3)], 0}, {1 + r.IntN(9), Rolling, 1 + r.Int64N(2*day)}}
			span := hour + r.Int64N(9*day)
			budget := campaignSteps
			got := most(rules, span, c, &budget)
			best := 0
			for range 400 {
				change := c.changes[r.IntN(len(c.changes))]
				start := change - span - day + r.Int64N(span+2*day)
				if r.IntN(2) == 0 {
					start = c.periods.next(Day, start) - 1
				}
				best = max(best, zoned(zone, rules, start, span))
			}
			if best > got.Showings {
				t.Errorf("%s: rules %v span %d: a viewer sees %d, most says %v", name, rules, span, best, got)
			}
		}
	}
}

// A campaign that does not run where clocks change is not said to show more.
func TestPeopleWhereClocksChange(t *testing.T) {
	views := compiled(t, `timezone: Europe/Berlin
campaigns:
  always: {advertiser: x, caps: [{per: campaign, limit: 3, within: day}]}
  summer: {advertiser: x, active: {from: 2026-05-01, to: 2026-09-01}, caps: [{per: campaign, limit: 3, within: day}]}
  short: {advertiser: x, active: {from: 2026-03-28, to: 2026-03-31}, caps: [{per: campaign, limit: 3, within: day}]}
`).People()
	for i, want := range []string{"9", "6"} {
		if got := views[i].PerDay.String(); got != want {
			t.Errorf("%s: %s a day, want %s", views[i].Campaign, got, want)
		}
	}
	if got := views[2].PerLife.String(); got != "9" {
		t.Errorf("short: %s in three days, want 9", got)
	}
}
