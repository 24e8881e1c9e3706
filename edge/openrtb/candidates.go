package openrtb

import "fmt"

// candidatesPlace is where a request's candidates were found.
type candidatesPlace uint8

const (
	nowhere candidatesPlace = iota
	atTop
	inExt
	inBoth // a fault
)

// readCandidates reads the list at i, which stands at place.
func (r *Request) readCandidates(i int, place candidatesPlace) int {
	p := &r.read.reader
	if p.null(i) {
		if r.candidates == place {
			r.candidates, r.Candidates = nowhere, r.Candidates[:0]
		}
		return i + 4
	}
	if r.candidates != nowhere && r.candidates != place {
		p.at = top
		p.fault("candidates", "both at the top level and in ext: give them once")
		r.candidates = inBoth
		return p.skip(i)
	}
	r.candidates, r.Candidates = place, r.Candidates[:0]
	ok, i := p.is(i, '[', "candidates", "a list")
	if !ok {
		return i
	}
	at := p.at
	p.at = place.candidate()
	n := 0
	for i, more := p.element(i, true); ; i, more = p.element(i, false) {
		if !more {
			p.at = at
			if n == 0 {
				p.fault("candidates", "empty, at least one is needed")
			}
			if n > MaxCandidates {
				p.tooMany("candidates", n, MaxCandidates)
			}
			return i
		}
		if n++; n > MaxCandidates {
			i = p.skip(i)
			continue
		}
		p.at.index = n - 1
		if n <= cap(r.Candidates) {
			r.Candidates = r.Candidates[:n]
			r.Candidates[n-1] = Candidate{}
		} else {
			r.Candidates = append(r.Candidates, Candidate{})
		}
		i = p.readCandidate(i, &r.Candidates[n-1])
	}
}

func (c candidatesPlace) candidate() place {
	if c == inExt {
		return place{object: "ext.candidates", sub: -1}
	}
	return place{object: "candidates", sub: -1}
}

func (p *reader) tooMany(name string, n, max int) {
	p.fault(name, fmt.Sprintf("%d given, at most %d are allowed", n, max))
}

// readCandidate reads the candidate at i.
func (p *reader) readCandidate(i int, c *Candidate) int {
	if i >= len(p.buf) || p.buf[i] != '{' {
		return p.wrong(i, "", "an object")
	}
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				if len(c.Campaign) == 0 && i >= 0 {
					p.require("campaign", "required")
				}
				return i
			}
			i = p.skip(i)
		case "campaign":
			c.Campaign, i = p.text(i, "campaign", MaxName)
		case "creative":
			c.Creative, i = p.text(i, "creative", MaxName)
		case "item":
			c.Item, i = p.text(i, "item", MaxName)
		case "category":
			c.Category, i = p.text(i, "category", MaxName)
		case "interest_from":
			c.InterestFrom, i = p.text(i, "interest_from", MaxName)
		case "interest_at":
			c.InterestAt, c.HasInterestAt, i = p.uint32(i, "interest_at")
		case "interest_count":
			c.InterestCount, c.HasInterestCount, i = p.uint32(i, "interest_count")
		default:
			i = p.skip(i)
		}
	}
}
