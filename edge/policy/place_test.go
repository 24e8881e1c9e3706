package policy

import "testing"

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
