package client

import (
	"errors"
	"unicode/utf8"
)

// maxDepth bounds how deep what is passed over may nest. Chosen.
const maxDepth = 32

var errSyntax = errors.New("it is not the JSON it should be")

// scanner reads JSON (RFC 8259) from the front of its bytes. After a fault, ok is false
// and stays so, and nothing that was read may be used.
type scanner struct {
	b       []byte
	i       int
	bad     bool
	scratch []byte // of a string with escapes
}

func (s *scanner) fail() { s.bad, s.i = true, len(s.b) }

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// take passes over c, which may stand after white space.
func (s *scanner) take(c byte) bool {
	if s.space(); s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) must(c byte) {
	if !s.take(c) {
		s.fail()
	}
}

// more goes to the next element of a list or member of an object that ends with end; n
// is how many there were.
func (s *scanner) more(end byte, n int) bool {
	if s.bad || s.take(end) {
		return false
	}
	if n > 0 {
		s.must(',')
	}
	return !s.bad
}

// member reads the name of the next member; false at the end of the object.
func (s *scanner) member(n int) ([]byte, bool) {
	if !s.more('}', n) {
		return nil, false
	}
	name := s.text()
	s.must(':')
	return name, !s.bad
}

// text reads a string. It aliases the bytes, or scratch until the next one.
func (s *scanner) text() []byte {
	s.must('"')
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1]
		case c == '\\':
			return s.unescape(start)
		case c < 0x20:
			s.fail()
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n == 1 {
				s.fail()
				return nil
			}
			s.i += n
		}
	}
	s.fail()
	return nil
}

// whole reads a number without sign, fraction or exponent, below 2^32.
func (s *scanner) whole() uint32 {
	s.space()
	start, n := s.i, uint64(0)
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		if n = n*10 + uint64(s.b[s.i]-'0'); n > 1<<32-1 {
			s.fail()
			return 0
		}
		s.i++
	}
	if s.i == start || s.b[start] == '0' && s.i > start+1 || s.i < len(s.b) && (s.b[s.i] == '.' || s.b[s.i]|0x20 == 'e') {
		s.fail()
	}
	return uint32(n)
}

func (s *scanner) boolean() bool {
	s.space()
	if s.word("true") {
		return true
	}
	if !s.word("false") {
		s.fail()
	}
	return false
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
		s.i += len(w)
		return true
	}
	return false
}

// skip passes over any value.
func (s *scanner) skip(depth int) {
	if s.space(); s.i == len(s.b) || depth == maxDepth {
		s.fail()
		return
	}
	switch c := s.b[s.i]; {
	case c == '{':
		s.i++
		for n := 0; ; n++ {
			if _, ok := s.member(n); !ok {
				return
			}
			s.skip(depth + 1)
		}
	case c == '[':
		s.i++
		for n := 0; s.more(']', n); n++ {
			s.skip(depth + 1)
		}
	case c == '"':
		s.text()
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	default:
		if !s.word("true") && !s.word("false") && !s.word("null") {
			s.fail()
		}
	}
}

func (s *scanner) digits() {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	if s.i == start {
		s.fail()
	}
}

func (s *scanner) number() {
	s.word("-")
	if !s.word("0") {
		s.digits()
	}
	if s.word(".") {
		s.digits()
	}
	if s.word("e") || s.word("E") {
		if !s.word("+") {
			s.word("-")
		}
		s.digits()
	}
}
