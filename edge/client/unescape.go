package client

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape reads the string that began at start and has an escape at s.i.
func (s *scanner) unescape(start int) []byte {
	out := append(s.scratch[:0], s.b[start:s.i]...)
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			s.scratch = out
			return out
		case c == '\\':
			out = s.escape(out)
		case c < 0x20:
			s.fail()
		default:
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n == 1 {
				s.fail()
				return nil
			}
			out = append(out, s.b[s.i:s.i+n]...)
			s.i += n
		}
	}
	s.fail()
	return nil
}

// escape appends what the escape at s.i stands for.
func (s *scanner) escape(out []byte) []byte {
	if s.i+1 >= len(s.b) {
		s.fail()
		return out
	}
	c := s.b[s.i+1]
	s.i += 2
	switch c {
	case '"', '\\', '/':
		return append(out, c)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'u':
		r := s.hex()
		if utf16.IsSurrogate(r) {
			if !s.word(`\u`) {
				s.fail()
			}
			if r = utf16.DecodeRune(r, s.hex()); r == utf8.RuneError {
				s.fail() // half a pair is no character
			}
		}
		return utf8.AppendRune(out, r)
	}
	s.fail()
	return out
}

// hex reads four digits.
func (s *scanner) hex() rune {
	if s.i+4 > len(s.b) {
		s.fail()
		return 0
	}
	var r rune
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			s.fail()
			return 0
		}
		r = r<<4 | rune(c)
	}
	s.i += 4
	return r
}
