package loadtest

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// bodies writes a replay's requests.
type bodies struct {
	log        *eventLog
	source     string // of the users' identifiers
	run        string // what stands before users and event identities
	name       string // the log's
	advertiser string
	country    string
}

// appendDecide appends the decide request of an impression row.
func (b *bodies) appendDecide(dst []byte, r *row) []byte {
	dst = append(dst, `{"at":`...)
	dst = strconv.AppendInt(dst, r.second(), 10)
	dst = b.appendPerson(append(dst, ','), r)
	dst = append(dst, `,"candidates":[{`...)
	dst = b.appendCandidate(dst, r)
	return append(dst, `}],"want":1,"hold":false,"token":false}`...)
}

// appendEvent appends one NDJSON line: an impression, a purchase or a return.
func (b *bodies) appendEvent(dst []byte, r *row) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, r.kind.String()...)
	dst = append(dst, `","id":`...)
	dst = appendString(dst, "replay:"+b.run+":"+b.name+":"+strconv.FormatUint(uint64(r.seq), 10))
	dst = append(dst, `,"at":`...)
	dst = strconv.AppendInt(dst, r.second(), 10)
	dst = b.appendPerson(append(dst, ','), r)
	dst = append(dst, ',')
	if r.kind == kindImpression {
		dst = b.appendCandidate(dst, r)
	} else {
		dst = append(dst, `"advertiser":`...)
		dst = appendString(dst, b.advertiser)
		dst = b.appendNamed(dst, `,"item":`, r.item)
		dst = b.appendNamed(dst, `,"category":`, r.category)
	}
	return append(dst, '}', '\n')
}

func (b *bodies) appendPerson(dst []byte, r *row) []byte {
	if b.source == "user.id" {
		dst = append(dst, `"user":{"id":`...)
	} else {
		dst = append(dst, `"user":{"eids":[{"source":`...)
		dst = appendString(dst, b.source)
		dst = append(dst, `,"uids":[{"id":`...)
	}
	dst = appendString(dst, b.user(r))
	if b.source == "user.id" {
		dst = append(dst, '}')
	} else {
		dst = append(dst, `}]}]}`...)
	}
	if b.country != "" {
		dst = append(dst, `,"device":{"geo":{"country":`...)
		dst = appendString(dst, b.country)
		dst = append(dst, `}}`...)
	}
	return dst
}

func (b *bodies) user(r *row) string {
	if b.run == "" {
		return b.log.users.text[r.user]
	}
	return b.run + ":" + b.log.users.text[r.user]
}

func (b *bodies) appendCandidate(dst []byte, r *row) []byte {
	dst = b.appendNamed(dst, `"campaign":`, r.campaign)
	dst = b.appendNamed(dst, `,"creative":`, r.creative)
	dst = b.appendNamed(dst, `,"item":`, r.item)
	return b.appendNamed(dst, `,"category":`, r.category)
}

func (b *bodies) appendNamed(dst []byte, key string, number uint32) []byte {
	if number == 0 {
		return dst
	}
	return appendString(append(dst, key...), b.log.names.text[number])
}

// appendString appends s, which is valid UTF-8, as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// verdict is one decision as answered.
type verdict struct {
	Campaign string `json:"campaign"`
	Show     bool   `json:"show"`
	Reason   string `json:"reason"`
}

// parseVerdict reads the answer to a request with one candidate.
func parseVerdict(body []byte, campaign string) (verdict, error) {
	var a struct {
		Decisions []verdict `json:"decisions"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return verdict{}, fmt.Errorf("read answer: %w: %w", ErrNode, err)
	}
	if len(a.Decisions) != 1 || a.Decisions[0].Campaign != campaign {
		return verdict{}, fmt.Errorf("read answer: %w: want one decision for campaign %q, got %q", ErrNode, campaign, clip200(body))
	}
	v := a.Decisions[0]
	if v.Show == (v.Reason != "") {
		return verdict{}, fmt.Errorf("read answer: %w: show is %t and the reason %q", ErrNode, v.Show, v.Reason)
	}
	return v, nil
}

// accepted is the answer to a batch of events.
type accepted struct {
	Accepted int `json:"accepted"`
	Rejected []struct {
		Line   int    `json:"line"`
		Detail string `json:"detail"`
	} `json:"rejected"`
}

// parseAccepted checks that every line is accounted for.
func parseAccepted(body []byte, lines int) (accepted, error) {
	var a accepted
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("read answer: %w: %w", ErrNode, err)
	}
	if a.Accepted+len(a.Rejected) != lines {
		return a, fmt.Errorf("read answer: %w: %d accepted and %d rejected of %d events", ErrNode, a.Accepted, len(a.Rejected), lines)
	}
	for _, r := range a.Rejected {
		if r.Line < 1 || r.Line > lines {
			return a, fmt.Errorf("read answer: %w: rejects line %d of %d", ErrNode, r.Line, lines)
		}
	}
	return a, nil
}

// parseProblem returns the detail of a problem+json body, or its beginning.
func parseProblem(body []byte) string {
	var p struct {
		Title, Detail string
		Errors        []struct{ Field, Detail string }
	}
	if json.Unmarshal(body, &p) != nil || p.Title+p.Detail == "" {
		return clip200(body)
	}
	text := p.Title + ": " + p.Detail
	if len(p.Errors) > 0 {
		text += " (" + p.Errors[0].Field + ": " + p.Errors[0].Detail + ")"
	}
	return clip200([]byte(text))
}

// parseClock returns what a status says of the node's clock; "" where it says nothing.
func parseClock(body []byte) (string, error) {
	var s struct {
		Clock string `json:"clock"`
	}
	err := json.Unmarshal(body, &s)
	return s.Clock, err
}
