package policy

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// viewer is a greedy viewer by brute force: every second it looks whether the
// rules, checked against its whole history, allow a showing.
func viewer(rules []rule, start, span int64) (n int) {
	var seen []int64
	for at := start; at < start+span; at++ {
		for allowed(rules, seen, at) {
			seen = append(seen, at)
			if len(seen) > 10_000 {
				panic("BUG: rules without a bound")
			}
		}
	}
	return len(seen)
}

func allowed(rules []rule, seen []int64, now int64) bool {
	for _, r := range rules {
		count := 0
		for _, s := range seen {
			if r.kind == Rolling && now-s < r.gap || r.kind != Rolling && nextPeriod(r.kind, s) > now {
				count++
			}
		}
		if count >= r.n {
			return false
		}
	}
	return true
}

// lazy is a viewer that sometimes passes up a showing: no schedule may beat most.
func lazy(r *rand.Rand, rules []rule, start, span int64) (n int) {
	var seen []int64
	for at := start; at < start+span; at++ {
		for r.IntN(4) > 0 && allowed(rules, seen, at) {
			seen = append(seen, at)
		}
	}
	return len(seen)
}

// TestMostAgainstViewers compares most with the best of greedy viewers that
// begin at every second around midnights, in a calendar of the same structure.
func TestMostAgainstViewers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	for range 30 {
		rules := []rule{{1 + r.IntN(4), Day, 0}}
		for range r.IntN(3) {
			rules = append(rules, rule{1 + r.IntN(4), Rolling, 1 + r.Int64N(120)})
		}
		if r.IntN(2) == 0 {
			rules = append(rules, rule{1 + r.IntN(6), Week, 0})
		}
		span := 1 + r.Int64N(200)
		budget := campaignSteps
		got := most(rules, span, nil, &budget)
		want := 0
		// Sunday to Monday at midnight: both kinds of periods end there.
		midnight := civil(2025, 1, 13) * day
		for start := midnight - span - 1; start <= midnight; start++ {
			want = max(want, viewer(rules, start, span))
			if l := lazy(r, rules, start, span); l > got.Showings {
				t.Fatalf("rules %v span %d: a lazy viewer sees %d, most says %v", rules, span, l, got)
			}
		}
		// Away from any midnight the day does not help.
		want = max(want, viewer(rules, midnight+hour, span))
		if got.Bound || got.Showings != want {
			t.Fatalf("rules %v span %d: most says %v, viewers see %d", rules, span, got, want)
		}
		for _, rule := range rules {
			if rule.alone(span, nil) < want {
				t.Fatalf("rule %v alone is said to allow %d in %d, but %d are seen", rule, rule.alone(span, nil), span, want)
			}
		}
	}
}

// TestSweepAgainstEverySecond tries every start of a short stretch around the end
// of a month, where all calendar periods meet.
func TestSweepAgainstEverySecond(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	end := civil(2025, 9, 1) * day // a Monday
	for range 60 {
		rules := []rule{{1 + r.IntN(3), Day, 0}, {1 + r.IntN(5), Week, 0}, {1 + r.IntN(9), Month, 0}}[r.IntN(3):]
		for range r.IntN(3) {
			rules = append(rules, rule{1 + r.IntN(4), Rolling, 1 + r.Int64N(60)})
		}
		span, from := 1+r.Int64N(150), end-150
		budget := campaignSteps
		got, ok := sweep(rules, nil, from, end+10, span, &budget)
		want := 0
		for start := from; start < end+10; start++ {
			want = max(want, viewer(rules, start, span))
		}
		if !ok || got != want {
			t.Fatalf("rules %v span %d: sweep says %d, viewers see %d", rules, span, got, want)
		}
	}
}

func TestMostByHand(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []rule
		span  int64
		want  string
	}{
		{"nothing", nil, hour, "unlimited"},
		{"3 in 24h, an hour", []rule{{3, Rolling, day + 1}}, hour, "3"},
		{"3 in 24h, a week", []rule{{3, Rolling, day + 1}}, 7 * day, "21"},
		{"6 a day, an hour over midnight", []rule{{6, Day, 0}}, hour, "12"},
		{"6 a day, 24 hours", []rule{{6, Day, 0}}, day, "12"},
		{"6 a day, a week", []rule{{6, Day, 0}}, 7 * day, "48"},
		{"spacing of 30m", []rule{{1, Rolling, 30 * minute}}, hour, "2"},
		{"6 a day, 30m apart", []rule{{6, Day, 0}, {1, Rolling, 30 * minute}}, hour, "2"},
		{"6 a day, 30m apart, 24 hours", []rule{{6, Day, 0}, {1, Rolling, 30 * minute}}, day, "12"},
		{"6 a day, 5 in 24h", []rule{{6, Day, 0}, {5, Rolling, day + 1}}, day, "5"},
		{"1 a month, 90 days", []rule{{1, Month, 0}}, 90 * day, "5"}, // January's last second to May's first
		{"1 a month, a week", []rule{{1, Month, 0}}, 7 * day, "2"},
		{"2 a week, 90 days", []rule{{2, Week, 0}}, 90 * day, "28"},
		{"a second apart, 10 years", []rule{{255, Rolling, 2}, {255, Rolling, 3}}, 3650 * day, "at most 26805600000"},
		{"1 a week and a month, 90 days", []rule{{1, Week, 0}, {3, Month, 0}}, 90 * day, "12"},
	} {
		budget := campaignSteps
		if got := most(c.rules, c.span, nil, &budget); got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPeopleOfTheAnnotatedExample(t *testing.T) {
	text, err := os.ReadFile("../../deploy/examples/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WritePeople(&b, compiled(t, string(text)).People()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`a person reads: You can see "spring-shoes" of acme up to twice in an hour, 3 in a day, 10 in a week and 96 in 90 days, never two within 30 minutes; ` +
			`the same picture at most twice in a row; only if you showed interest in it twice or more in own, not sooner than 30 minutes after it, less and less from 3 days on, and not from 14 days after it on; ` +
			`not for 90 days after you bought the item; not for 30 days after you bought something of its category; not for items you ordered according to the list "acme-orders"; never while you are on the list "acme-customers"; never while you are on the list "acme-optouts" of people who opted out.`,
		`a person reads: You can see "brand-x" of brand-x up to once in an hour, 8 in a day, 32 in a week and 364 in 90 days.`,
		`strictest market: eu: shown only with TCF consent to purposes 1, 3, 4; up to once in an hour, 1 in a day, 5 in a week and 25 in 90 days; never with an item; not from 22:00 to 07:00.`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it prints\n%s\nwithout\n%s", b.String(), want)
		}
	}
}

func TestPeopleWithoutCaps(t *testing.T) {
	views := compiled(t, `campaigns:
  free: {advertiser: x, caps: [{per: creative, limit: 1, within: 24h}, {per: campaign, channel: web, limit: 1, within: 24h}]}
  short: {advertiser: x, active: {from: 2026-01-01, to: 2026-01-02}, caps: [{per: campaign, limit: 3, within: day}]}
`).People()
	if v := views[0]; !v.PerHour.Unlimited || !v.PerLife.Unlimited || !strings.Contains(v.Sentence, "without any limit") {
		t.Errorf("free is %+v", v)
	}
	// The campaign runs on one calendar day, so two of them cannot meet.
	if v := views[1]; v.PerDay.Showings != 3 || v.PerLife.Showings != 3 || v.Life != day {
		t.Errorf("short is %+v", v)
	}
}
