package policy

import (
	"cmp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (src *Source) readMarkets(s *spot) {
	items := s.items(maxMarkets)
	if s.n.Kind == yaml.SequenceNode && len(s.n.Content) == 0 {
		s.fault("declare one, as {name: rest, require: tcf}, or remove the key", "there is no market")
	}
	if len(items) == 0 {
		return
	}
	src.Markets = src.Markets[:0]
	names := map[string]bool{}
	taken := map[string]string{}
	rest := ""
	for i := range items {
		m := src.readMarket(&items[i])
		if names[m.Name] {
			items[i].fault("give it another name", "two markets are named %s", quote(m.Name))
		}
		names[m.Name] = m.Name != ""
		if rest != "" {
			items[i].fault("put it before "+quote(rest), "the market is never reached, for %s matches every country", quote(rest))
		} else if len(m.Countries) == 0 {
			rest = m.Name
		} else {
			items[i].take(&m, taken)
		}
		src.Markets = append(src.Markets, m)
	}
}

// take notes whose each country and region of the market is, and a fault for the
// first that an earlier market has: the first market that matches applies, so it
// would never be reached there. taken has the names of markets by USA and USA-CA.
func (s *spot) take(m *Market, taken map[string]string) {
	fine := true
	for _, country := range m.Countries {
		places := []string{country}
		if len(m.Regions) > 0 {
			places = places[:0]
		}
		for _, region := range m.Regions {
			places = append(places, country+"-"+region)
		}
		for _, place := range places {
			earlier, before := taken[place]
			if whole, ok := taken[country]; ok {
				earlier, before = whole, true
			}
			if !before {
				taken[place] = m.Name
			} else if fine {
				fine = false
				s.fault("put it before "+quote(earlier)+", or remove "+place, "the market is never reached in %s, for %s is there before", place, quote(earlier))
			}
		}
	}
}

func (src *Source) readMarket(s *spot) Market {
	m := Market{CapFactor: millionths, Precision: PrecisionItem, Zone: src.Zone}
	entries := s.entries("name", "countries", "regions", "require", "cap_factor", "precision", "quiet_hours", "timezone", "sensitive", "retention")
	if s.n.Kind != yaml.MappingNode {
		return m
	}
	for i := range entries {
		switch e := &entries[i]; e.key {
		case "name":
			m.Name = e.text(MaxNameBytes)
		case "countries":
			m.Countries = e.countries()
		case "regions":
			m.Regions = e.regions()
		case "require":
			m.Require = Require(e.choice(requireNames...))
		case "cap_factor":
			m.CapFactor = e.million()
		case "precision":
			m.Precision = Precision(e.choice(precisionNames...))
		case "quiet_hours":
			m.QuietFrom, m.QuietTo = e.quietHours()
		case "timezone":
			m.Zone = e.location()
		case "sensitive":
			m.Sensitive = e.topics(true)
		case "retention":
			m.Retention = src.marketRetention(e)
		}
	}
	s.require("name", "give the market a name")
	s.require("require", "say what must be present, as require: tcf")
	if len(m.Regions) > 0 && len(m.Countries) != 1 {
		s.fault("name the one country they are in", "regions of %d countries", len(m.Countries))
		return m
	}
	for _, region := range m.Regions {
		if _, ok := regionOf(m.Countries[0], []byte(region)); !ok && isRegion(region) {
			s.fault("write the two letters of the state, as CA", "%s is not a region of %s", quote(region), m.Countries[0])
		}
	}
	return m
}

// countries reads ISO 3166-1 codes, alpha-3 or alpha-2, as alpha-3.
func (s *spot) countries() []string {
	var all []string
	seen := map[string]bool{}
	items := s.items(2 * len(alpha3))
	if s.n.Kind == yaml.SequenceNode && len(s.n.Content) == 0 {
		s.fault("name countries, or remove the key for all of them", "the list is empty")
	}
	for i := range items {
		code := items[i].text(MaxNameBytes)
		if code == "" {
			continue
		}
		country := Country(code)
		switch {
		case country == "":
			items[i].fault("write an ISO 3166-1 code, as DEU", "%s is not a country", quote(code))
		case seen[country]:
			items[i].fault("keep one", "%s is written twice", quote(code))
		default:
			seen[country] = true
			all = append(all, country)
		}
	}
	return all
}

// regions reads ISO 3166-2 codes without the country.
func (s *spot) regions() []string {
	all := s.texts(maxRegions, MaxNameBytes)
	for _, region := range all {
		if isRegion(region) {
			continue
		}
		mend := "write an ISO 3166-2 code without its country, as CA"
		if _, code, ok := strings.Cut(region, "-"); ok && isRegion(code) {
			mend = "write " + code
		}
		s.fault(mend, "%s is not a region of a country", quote(region))
	}
	return all
}

// isRegion recognises what follows the country in ISO 3166-2: one to three
// letters or digits.
func isRegion(code string) bool {
	for i := range len(code) {
		if c := code[i]; !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return len(code) >= 1 && len(code) <= 3
}

// quietHours reads a span of the day, as 22:00-07:00, in minutes after midnight.
func (s *spot) quietHours() (from, to uint16) {
	const wanted = `a span of the day, as "22:00-07:00"`
	if !s.isScalar(wanted) || s.off() {
		return 0, 0
	}
	text := s.n.Value
	if len(text) == 11 && text[5] == '-' {
		f, okFrom := clock(text[:5])
		t, okTo := clock(text[6:])
		if okFrom && okTo && f != t {
			return f, t
		}
	}
	s.fault("write "+wanted, "%s is not a span of the day", s.shown())
	return 0, 0
}

// clock reads hh:mm from 00:00 to 23:59.
func clock(text string) (minutes uint16, ok bool) {
	if text[2] != ':' || !digits(text[:2]) || !digits(text[3:]) {
		return 0, false
	}
	h, _ := strconv.Atoi(text[:2])
	m, _ := strconv.Atoi(text[3:])
	return uint16(h*60 + m), h < 24 && m < 60
}

// readUnknown finds the market of a missing country: the one named, else the
// strictest.
func (src *Source) readUnknown(s *spot) {
	src.Unknown = strictest(src.Markets)
	if s == nil {
		return
	}
	name := s.text(MaxNameBytes)
	for i := range src.Markets {
		if src.Markets[i].Name == name {
			src.Unknown = i
			return
		}
	}
	if name != "" {
		s.fault("name one of the markets", "there is no market %s", quote(name))
	}
}

// strictest returns the index of the strictest market: by what it requires, then
// by cap factor, precision, quiet hours, what is sensitive and how long it keeps; the first of equals.
func strictest(markets []Market) int {
	best := 0
	for i := range markets {
		if markets[i].stricter(&markets[best]) {
			best = i
		}
	}
	return best
}

func (m *Market) stricter(than *Market) bool {
	return cmp.Or(
		cmp.Compare(m.Require, than.Require),
		cmp.Compare(m.CapFactor, than.CapFactor),
		cmp.Compare(m.Precision, than.Precision),
		-cmp.Compare(m.quietMinutes(), than.quietMinutes()),
		-cmp.Compare(len(m.Sensitive), len(than.Sensitive)),
		cmp.Compare(m.Retention-1, than.Retention-1), // 0 is then the longest
	) < 0
}

// quietMinutes is how long the market is quiet in a day.
func (m *Market) quietMinutes() int {
	return (int(m.QuietTo) - int(m.QuietFrom) + 1440) % 1440
}
