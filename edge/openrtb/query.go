package openrtb

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// queryFields is what Set has seen.
type queryFields struct {
	one    Candidate // creative, item, category and interest, for every candidate
	source []byte
	seen   uint16 // a bit for each key that may come once
	given  int    // campaigns
}

// queryKeys are the keys of the short form that may come once, by their bit in seen.
var queryKeys = [...]string{
	"user", "source", "country", "consent", "gpp", "channel", "creative", "item", "category",
	"interest_at", "at", "want", "hold", "token", "brief",
}

// Set takes one key of the short form of a request, decoded, in any order: user, source
// (of user; by default user.id), country, consent, gpp, channel, at, want, hold, token, brief,
// campaign (up to MaxCandidates times), and creative, item, category and interest_at,
// which are those of every campaign given. An empty value counts as absent, an unknown
// key is skipped. Booleans are true, false, 1 or 0. The fields alias value.
// Call Reset before the first and Finish after the last.
func (r *Request) Set(key, value []byte) {
	if string(key) == "campaign" {
		r.addCampaign(value)
		return
	}
	for bit, name := range queryKeys {
		if string(key) != name || len(value) == 0 {
			continue
		}
		if r.query.seen&(1<<bit) != 0 {
			r.read.fault(name, "given more than once")
		}
		r.query.seen |= 1 << bit
		r.set(name, value)
	}
}

func (r *Request) set(name string, value []byte) {
	p, one := &r.read, &r.query.one
	switch name {
	case "user":
		p.user.id = p.value(name, value, MaxIdentifier)
	case "source":
		r.query.source = p.value(name, value, MaxName)
	case "country":
		p.device.geo.country = p.value(name, value, MaxName)
	case "consent":
		p.user.consent = p.value(name, value, MaxConsent)
	case "gpp":
		p.regs[0].gpp = p.value(name, value, MaxConsent)
	case "channel":
		p.channel = p.value(name, value, MaxName)
	case "creative":
		one.Creative = p.value(name, value, MaxName)
	case "item":
		one.Item = p.value(name, value, MaxName)
	case "category":
		one.Category = p.value(name, value, MaxName)
	case "interest_at":
		n, ok := p.valueInteger(name, value, 0, 1<<32-1)
		one.InterestAt, one.HasInterestAt = uint32(n), ok
	case "at":
		n, ok := p.valueInteger(name, value, 0, 1<<32-1)
		r.At, r.HasAt = uint32(n), ok
	case "want":
		r.wantGiven = true
		n, _ := p.valueInteger(name, value, 1, MaxWant)
		r.Want = int(n)
	case "hold":
		r.Hold = p.valueBoolean(name, value)
	case "token":
		r.Token = p.valueBoolean(name, value)
	case "brief":
		r.Brief = p.valueBoolean(name, value)
	}
}

func (r *Request) addCampaign(value []byte) {
	p := &r.read
	p.at = place{object: "campaign", index: r.query.given, sub: -1}
	r.query.given++
	switch {
	case r.query.given > MaxCandidates:
	case len(value) == 0:
		p.fault("", "empty")
	default:
		r.Candidates = append(r.Candidates, Candidate{Campaign: p.value("", value, MaxName)})
	}
	p.at = top
}

// Finish checks what Set has taken, as Parse does at the end of a body. The error is nil
// or Faults.
func (r *Request) Finish() error {
	p, q := &r.read, &r.query
	if q.given > MaxCandidates {
		p.tooMany("campaign", q.given, MaxCandidates)
	}
	if q.given == 0 {
		p.fault("campaign", "required")
	}
	for i := range r.Candidates {
		c := &r.Candidates[i]
		campaign := c.Campaign
		*c = q.one
		c.Campaign = campaign
	}
	r.candidates = atTop
	r.finish()
	if len(r.Identifiers) > 0 && len(q.source) > 0 {
		r.Identifiers[0].Source = q.source
		if string(q.source) == SourceIFA && allZero(r.Identifiers[0].ID) {
			r.Identifiers = r.Identifiers[:0]
		}
	}
	return p.err()
}

// value checks a string that is kept as Parse checks those of a body.
func (p *reader) value(name string, s []byte, max int) []byte {
	switch {
	case len(s) > max:
		p.fault(name, fmt.Sprintf("%d bytes, at most %d are allowed", len(s), max))
	case !utf8.Valid(s):
		p.fault(name, "not valid UTF-8")
	case bytes.IndexByte(s, 0) >= 0:
		p.fault(name, "contains a NUL")
	default:
		return s[:len(s):len(s)]
	}
	return nil
}

func (p *reader) valueInteger(name string, s []byte, lo, hi int64) (int64, bool) {
	p.buf = s
	if p.number(0) != len(s) {
		p.fault(name, fmt.Sprintf("must be a whole number from %d to %d", lo, hi))
		return 0, false
	}
	n, ok, _ := p.integer(0, name, lo, hi)
	return n, ok
}

func (p *reader) valueBoolean(name string, s []byte) bool {
	switch string(s) {
	case "true", "1":
		return true
	case "false", "0":
	default:
		p.fault(name, "must be true or false")
	}
	return false
}
