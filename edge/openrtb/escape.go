package openrtb

import (
	"unicode/utf16"
	"unicode/utf8"
)

// closing returns the position of the quote that ends a string, from the position of any
// byte in it, and whether there is a backslash before it. It checks escapes and UTF-8.
func (p *reader) closing(i int) (end int, escaped bool) {
	buf := p.buf
	for {
		if i = special(buf, i); i >= len(buf) {
			return p.syntax(i, "a string has no end"), false
		}
		switch c := buf[i]; {
		case c == '"':
			return i, escaped
		case c == '\\':
			escaped = true
			n := escape(buf[i:])
			if n == 0 {
				return p.syntax(i, "no such escape"), false
			}
			i += n
		case c < ' ':
			return p.syntax(i, "a control character in a string must be escaped"), false
		default:
			r, n := utf8.DecodeRune(buf[i:])
			if r == utf8.RuneError && n == 1 {
				return p.syntax(i, "not valid UTF-8"), false
			}
			i += n
		}
	}
}

// escape returns the length of the escape that b begins with, 0 for none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads the four hexadecimal digits of a \u escape.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape undoes the escapes of s, which closing has checked, in place: what it returns
// is a prefix of s. A NUL or half a surrogate pair is named in broken, for neither can be
// part of a name.
func unescape(s []byte) (plain []byte, broken string) {
	w := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' {
			s[w] = c
			w, i = w+1, i+1
			continue
		}
		c = s[i+1]
		if c != 'u' {
			s[w] = unescaped(c)
			w, i = w+1, i+2
			continue
		}
		r, _ := hex4(s[i+2:])
		i += 6
		if r == 0 {
			return nil, "contains a NUL"
		}
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
				low, _ = hex4(s[i+2:])
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, "contains half a surrogate pair"
			}
			i += 6
		}
		// At most four bytes for twelve read, three for six: the writing never overtakes.
		w += utf8.EncodeRune(s[w:w+utf8.RuneLen(r)], r)
	}
	return s[:w:w], ""
}

// unescaped returns what the letter of a two-byte escape stands for.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
