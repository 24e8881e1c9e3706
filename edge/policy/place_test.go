package policy

import (
	"testing"
	"time"
)

const placesPolicy = `
markets:
  - {name: ca, countries: [USA], regions: [CA, VA], require: opt_out, cap_factor: 0.5}
  - {name: ny, countries: [US], regions: [NY], require: tcf}
  - {name: us, countries: [USA], require: opt_out}
  - {name: by, countries: [DEU], regions: [BY], require: none}
  - {name: eu, countries: [FRA, ITA], require: tcf}
  - {name: rest, require: opt_out, cap_factor: 0.9}
unknown: eu
campaigns: {}
`

// The first market that names a place applies; what is missing or unreadable is of
// the strictest that it could be of.
func TestMarketOf(t *testing.T) {
	p := compiled(t, placesPolicy)
	for _, c := range []struct{ country, region, want string }{
		{"USA", "CA", "ca"},
		{"US", "CA", "ca"},
		{"USA", "US-CA", "ca"},
		{"USA", "USA-VA", "ca"},
		{"USA", "va", "ca"},
		{"USA", "NY", "ny"},
		{"USA", "TX", "us"},
		{"USA", "", "ny"},
		{"USA", "California", "ny"},
		{"USA", "DE-CA", "ny"},
		{"USA", "C\xc3", "ny"},
		{"USA", "06", "ny"}, // California's number, which is no region of ISO 3166-2
		{"USA", "CAL", "ny"},
		{"USA", "US-06", "ny"},
		{"DEU", "BY", "by"},
		{"DEU", "BE", "rest"},
		{"DEU", "", "rest"}, // stricter than by
		{"FRA", "", "eu"},
		{"FR", "anything", "eu"},
		{"JPN", "13", "rest"},
		{"", "CA", "eu"},
		{"usa", "", "eu"},
		{"Germany", "", "eu"},
	} {
		if got := p.Markets[p.MarketOf([]byte(c.country), []byte(c.region))].Name; got != c.want {
			t.Errorf("%q %q: market %s, want %s", c.country, c.region, got, c.want)
		}
	}
	country, region := []byte("US"), []byte("US-CA")
	if n := testing.AllocsPerRun(100, func() { p.MarketOf(country, region) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestQuietUntil(t *testing.T) {
	for _, c := range []struct {
		from, to     uint16
		second, want uint32
	}{
		{22 * 60, 7 * 60, 21*3600 + 3599, 0},
		{22 * 60, 7 * 60, 22 * 3600, 9 * 3600},
		{22 * 60, 7 * 60, 0, 7 * 3600},
		{22 * 60, 7 * 60, 7*3600 - 1, 1},
		{22 * 60, 7 * 60, 7 * 3600, 0},
		{13 * 60, 15 * 60, 14 * 3600, 3600},
		{13 * 60, 15 * 60, 12 * 3600, 0},
		{0, 0, 0, 0},
		{60, 60, 3600, 0},
	} {
		m := Market{QuietFrom: c.from, QuietTo: c.to}
		if got := m.QuietUntil(c.second); got != c.want {
			t.Errorf("quiet from %d to %d, at %d: %d seconds left, want %d", c.from, c.to, c.second, got, c.want)
		}
	}
}

// Where the clock changes in a quiet night the hours end when the clock says so.
func TestQuietLeftOverAChangeOfTheClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) uint32 {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(when.Unix())
	}
	for _, c := range []struct {
		from, to uint16
		now      string
		want     uint32
	}{
		{22 * 60, 7 * 60, "2026-10-24T23:00:00+02:00", 9 * 3600}, // the hour from 2 to 3 comes twice
		{22 * 60, 7 * 60, "2026-10-25T02:00:00+01:00", 5 * 3600},
		{22 * 60, 7 * 60, "2026-10-23T23:00:00+02:00", 8 * 3600},
		{22 * 60, 7 * 60, "2026-03-28T23:00:00+01:00", 7 * 3600}, // or not at all
		{0, 150, "2026-03-29T01:00:00+01:00", 3600},              // it ends within what is left out
		{0, 150, "2026-10-25T02:29:59+02:00", 1},                 // and is quiet again half an hour later
		{0, 150, "2026-10-25T02:30:00+02:00", 0},
		{0, 150, "2026-10-25T02:00:00+01:00", 1800},
		{60, 60, "2026-10-25T02:00:00+01:00", 0},
	} {
		m := Market{QuietFrom: c.from, QuietTo: c.to, Zone: berlin}
		if got := m.QuietLeft(at(c.now)); got != c.want {
			t.Errorf("quiet from %d to %d, at %s: %d seconds left, want %d", c.from, c.to, c.now, got, c.want)
		}
	}
}
