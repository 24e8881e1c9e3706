package openrtb

import (
	"encoding/binary"
	"fmt"
)

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
	var key []byte
	if after := p.readCompact(i+1, c); after > 0 {
		key, i = p.next(after)
	} else {
		key, i = p.first(i)
	}
	for ; ; key, i = p.next(i) {
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

// Keys as the eight bytes they are, and what stands between such a key and its string.
const (
	wordCampaign = 'c' | 'a'<<8 | 'm'<<16 | 'p'<<24 | 'a'<<32 | 'i'<<40 | 'g'<<48 | 'n'<<56
	wordCreative = 'c' | 'r'<<8 | 'e'<<16 | 'a'<<24 | 't'<<32 | 'i'<<40 | 'v'<<48 | 'e'<<56
	wordCategory = 'c' | 'a'<<8 | 't'<<16 | 'e'<<24 | 'g'<<32 | 'o'<<40 | 'r'<<48 | 'y'<<56
	wordItem     = 'i' | 't'<<8 | 'e'<<16 | 'm'<<24 | '"'<<32 | ':'<<40 | '"'<<48 // seven bytes, with what follows
	wordValue    = '"' | ':'<<8 | '"'<<16
)

// readCompact reads the four names from the first key of a candidate on, as long as they
// stand in the form that most encoders write: no white space, no escapes, ASCII. Almost
// all candidates are nothing else, and looking for a known word is much faster than looking
// for the end of any key. It returns the position after the last value it has read, 0 if
// none; whatever else comes is left to readCandidate, faults included.
func (p *reader) readCompact(i int, c *Candidate) (after int) {
	buf := p.buf
	for i+12 <= len(buf) && buf[i] == '"' {
		word, value := binary.LittleEndian.Uint64(buf[i+1:]), binary.LittleEndian.Uint32(buf[i+8:])>>8
		start := i + 12
		to := &c.Campaign
		switch {
		case word == wordCampaign && value == wordValue:
		case word == wordCreative && value == wordValue:
			to = &c.Creative
		case word == wordCategory && value == wordValue:
			to = &c.Category
		case word&(1<<56-1) == wordItem:
			to, start = &c.Item, i+8
		default:
			return after
		}
		end := special(buf, start)
		if end >= len(buf) || buf[end] != '"' || end-start > MaxName {
			return after
		}
		*to = buf[start:end:end]
		if after = end + 1; after == len(buf) || buf[after] != ',' {
			return after
		}
		i = after + 1
	}
	return after
}
