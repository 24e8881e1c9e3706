package loadtest

import (
	"math/rand/v2"
	"strconv"
)

// decideMaker writes the bodies of decide requests from parts made up before. For
// concurrent use; each caller has its own random and buffer.
type decideMaker struct {
	config    *LoadConfig
	people    people
	users     *zipf
	lists     []candidateList
	consents  []consent
	tcf, gpp  []consent // of those
	countries []countryShare
	shells    []shell // empty: requests are made up
	tail      []byte  // after the candidates
}

// countryShare is a country and the sum of shares up to it, of 1.
type countryShare struct {
	country string
	upTo    float64
}

// askedOf is a decide request as made: who it is about, in which circumstances, and what
// it offers. The events that follow from it say the same of the person, or a node would
// judge by itself whether it may keep them.
type askedOf struct {
	user    int
	list    *candidateList
	says    *consent // nil: nothing
	country string   // "": not said
	shell   *shell   // nil: made up
}

func newDecideMaker(c *LoadConfig, lists []candidateList, consents []consent, shells []shell) *decideMaker {
	m := &decideMaker{config: c, people: newPeople(c), users: newZipf(c.Users, c.Zipf), lists: lists, consents: consents, shells: shells}
	for _, says := range consents {
		if says.us {
			m.gpp = append(m.gpp, says)
		} else {
			m.tcf = append(m.tcf, says)
		}
	}
	sum, upTo := 0.0, 0.0
	for _, w := range c.Countries {
		sum += w.Weight
	}
	for _, w := range c.Countries {
		upTo += w.Weight / sum
		m.countries = append(m.countries, countryShare{w.Name, upTo})
	}
	if c.Want > 0 {
		m.tail = strconv.AppendInt(append(m.tail, `,"want":`...), int64(c.Want), 10)
	}
	for _, f := range [...]struct {
		key string
		on  bool
	}{{`,"hold":true`, c.Hold}, {`,"token":true`, c.Token}, {`,"brief":true`, c.Brief}} {
		if f.on {
			m.tail = append(m.tail, f.key...)
		}
	}
	m.tail = append(m.tail, '}')
	return m
}

// appendBody appends the body of a request about a user drawn.
func (m *decideMaker) appendBody(dst []byte, r *rand.Rand) ([]byte, askedOf) {
	a := askedOf{user: m.users.draw(r), list: &m.lists[r.IntN(len(m.lists))]}
	if len(m.shells) > 0 {
		a.shell = &m.shells[r.IntN(len(m.shells))]
	} else {
		a.country = m.country(r)
		if fit := m.fitting(a.country); len(fit) > 0 && percentDrawn(r, m.config.ConsentPercent) {
			a.says = &fit[r.IntN(len(fit))]
		}
	}
	dst = m.appendPerson(append(dst, '{'), &a)
	if a.shell != nil {
		dst = append(dst, a.shell.rest...)
	}
	dst = append(dst, `,"candidates":`...)
	dst = append(dst, a.list.json...)
	return append(dst, m.tail...), a
}

// appendPerson appends the members user, device and regs.
func (m *decideMaker) appendPerson(dst []byte, a *askedOf) []byte {
	s := a.shell
	dst = m.people.appendEIDs(append(dst, `"user":{`...), a.user)
	switch {
	case s != nil:
		dst = append(dst, s.user...)
	case a.says != nil && len(a.says.user) > 0:
		dst = append(append(dst, ','), a.says.user...)
	}
	dst = append(dst, '}')
	if ifa := m.people.hasIFA(a.user); ifa || a.country != "" || s != nil {
		before := len(dst)
		dst = append(dst, `,"device":{`...)
		if ifa {
			dst = append(m.people.appendIFA(dst, a.user), ',')
		}
		if a.country != "" {
			dst = append(append(append(dst, `"geo":{"country":"`...), a.country...), `"},`...)
		}
		if s != nil && len(s.device) > 0 {
			dst = append(append(dst, s.device[1:]...), ',')
		}
		if last := len(dst) - 1; dst[last] == ',' {
			dst[last] = '}'
		} else {
			dst = dst[:before] // nothing was said
		}
	}
	switch {
	case s != nil:
		dst = append(dst, s.regs...)
	case a.says != nil:
		dst = append(append(append(dst, `,"regs":{`...), a.says.regs...), '}')
	}
	return dst
}

// fitting are the consent strings that somebody in a country has; any where it is not
// said.
func (m *decideMaker) fitting(country string) []consent {
	switch country {
	case "":
		return m.consents
	case "USA":
		return m.gpp
	}
	return m.tcf
}

func (m *decideMaker) country(r *rand.Rand) string {
	if len(m.countries) == 0 {
		return ""
	}
	draw := r.Float64()
	for _, c := range m.countries {
		if draw < c.upTo {
			return c.country
		}
	}
	return m.countries[len(m.countries)-1].country
}
