package policy

import "bytes"

// place is a country (alpha-3) and a region of it, filled up with zeros; without a
// region the whole country.
type place [6]byte

func placeOf[T string | []byte](country string, region T) (p place) {
	copy(p[:3], country)
	copy(p[3:], region)
	return p
}

// places finds the market of a place. The first market that names it applies.
type places struct {
	named map[place]int
	// doubtful are the countries that a market names some regions of: where the
	// region is missing, the strictest market that names the country applies.
	doubtful map[place]int
	rest     int // of a country that no market names
	unknown  int // of no country
}

func newPlaces(markets []Market, unknown int) places {
	p := places{named: map[place]int{}, doubtful: map[place]int{}, rest: unknown, unknown: unknown}
	strict := map[place]int{}
	for i := range markets {
		m := &markets[i]
		if len(m.Countries) == 0 {
			p.rest = i
			break // those after it are never reached
		}
		for _, country := range m.Countries {
			whole := placeOf(country, "")
			if s, found := strict[whole]; !found || m.stricter(&markets[s]) {
				strict[whole] = i
			}
			if len(m.Regions) == 0 {
				p.name(whole, i)
			}
			for _, region := range m.Regions {
				p.name(placeOf(country, region), i)
				p.doubtful[whole] = 0
			}
		}
	}
	for whole := range p.doubtful {
		s := strict[whole]
		if _, named := p.named[whole]; !named && markets[p.rest].stricter(&markets[s]) {
			s = p.rest // what holds in its other regions
		}
		p.doubtful[whole] = s
	}
	return p
}

func (p *places) name(at place, market int) {
	if _, found := p.named[at]; !found {
		p.named[at] = market
	}
}

// MarketOf returns the index of the market of a country, as ISO 3166-1 alpha-3 or
// alpha-2, and a region, as ISO 3166-2 with or without the country, both as a
// request has them. What is no country is of the market Unknown. It does not
// allocate.
func (p *Policy) MarketOf(country, region []byte) int {
	if len(p.Markets) == 1 {
		return 0
	}
	code := Country(country)
	if code == "" {
		return p.places.unknown
	}
	whole := placeOf(code, "")
	if strictest, some := p.places.doubtful[whole]; some {
		within, ok := regionOf(code, region)
		if !ok {
			return strictest
		}
		if i, found := p.places.named[within]; found {
			return i
		}
	}
	if i, found := p.places.named[whole]; found {
		return i
	}
	return p.places.rest
}

// regionOf reads a region of a country: CA, ca or US-CA. The states of the USA, which
// the field writes in more than one way, have two letters (OpenRTB 2.6, geo.region).
func regionOf(country string, region []byte) (at place, ok bool) {
	if i := bytes.IndexByte(region, '-'); i >= 0 {
		if Country(region[:i]) != country {
			return at, false
		}
		region = region[i+1:]
	}
	if len(region) > len(at)-3 {
		return at, false
	}
	at = placeOf(country, region)
	for i, c := range at[3:] {
		if c >= 'a' && c <= 'z' {
			at[3+i] = c - 'a' + 'A'
		}
	}
	if country == "USA" && (len(region) != 2 || at[3] < 'A' || at[4] < 'A') {
		return at, false
	}
	return at, isRegion(string(at[3:][:len(region)]))
}
