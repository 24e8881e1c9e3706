package policy

import (
	"fmt"
	"strings"
)

// CanKeep reports whether a record of a person can say that it is kept for so many
// seconds and no longer: days up to 31, or multiples of 15 days from 45 to 510. It is
// caps.RetentionOf, which this package may not know of.
func CanKeep(seconds uint32) bool {
	days := seconds / day
	return seconds%day == 0 && days > 0 && (days <= 31 || days%15 == 0 && days <= 510)
}

// marketRetention reads the retention of one market: one that records of people
// can carry, and none that the whole policy would not allow.
func (src *Source) marketRetention(s *spot) (seconds uint32) {
	const representable = "days up to 31d, or a multiple of 15d from 45d to 510d"
	entries := s.entries("exposures", "purchases")
	for i := range entries {
		e := &entries[i]
		if e.key == "purchases" {
			e.fault("write it under the retention of the whole policy", "purchases are kept alike in every market")
			continue
		}
		n := e.span(day, maxRetention)
		switch {
		case n == 0:
		case n > src.Retention.Exposures:
			e.fault(fmt.Sprintf("write at most %s, or raise retention.exposures", Span(src.Retention.Exposures)),
				"%s is longer than exposures are kept in any market", e.shown())
		case !CanKeep(n):
			mend := fmt.Sprintf("write %s, as %s", representable, Span(representableBelow(n)))
			e.fault(mend, "%s cannot be written into the record of a person", e.shown())
		default:
			seconds = n
		}
	}
	return seconds
}

// representableBelow is the longest retention of a market that is no longer; n is at
// least a day.
func representableBelow(n uint32) uint32 {
	for n -= n % day; !CanKeep(n); n -= day {
	}
	return n
}

// Note is something about a policy that is no fault, and that whoever wrote it may
// not have had in mind.
type Note struct {
	Key  string `json:"key"` // path of the key, as in Fault
	Text string `json:"text"`
}

// Notes are what is to be said of a policy: of each rule that looks further back
// than a market keeps, where it does. At most 1,000, and then one that counts the rest.
func (p *Policy) Notes() []Note {
	var notes []Note
	more := 0
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		key := "campaigns." + pathKey(c.ID)
		add := func(key, rule string, whole uint32) {
			short := p.shorterMarkets(whole)
			switch {
			case short == "":
			case len(notes) == maxChanges:
				more++
			default:
				notes = append(notes, Note{key, fmt.Sprintf("%s looks further back than is kept of what is shown in %s: who is shown something there is counted over that time only", rule, short)})
			}
		}
		for k := range c.Caps {
			limit := &c.Caps[k]
			add(fmt.Sprintf("%s.caps[%d]", key, k), fmt.Sprintf("%d per %s within %s", limit.Limit, limit.Per, limit.Within), limit.Window.reach())
		}
		add(key+".spacing", "spacing of "+Span(c.Spacing), c.Spacing)
	}
	if more > 0 {
		notes = append(notes, Note{"", fmt.Sprintf("and %d more", more)})
	}
	return notes
}

// shorterMarkets names the markets that keep for less, and for how long.
func (p *Policy) shorterMarkets(seconds uint32) string {
	var names []string
	for i := range p.Markets {
		if m := &p.Markets[i]; m.Retention != 0 && m.Retention < seconds {
			also := ""
			if i == p.Unknown { // an event of an ad server often says none
				also = ", also where no country is said"
			}
			names = append(names, fmt.Sprintf("%s (%s%s)", m.Name, Span(m.Retention), also))
		}
	}
	return strings.Join(names, ", ")
}

// shortest is the shortest retention that a market has of its own; 0: none has one.
func (p *Policy) shortest() (seconds uint32) {
	for i := range p.Markets {
		if own := p.Markets[i].Retention; own != 0 && (seconds == 0 || own < seconds) {
			seconds = own
		}
	}
	return seconds
}

// within is what is left of a time where nothing older than the retention is known.
func within(seconds, retention uint32) uint32 {
	if retention == 0 {
		return seconds
	}
	return min(seconds, retention)
}
