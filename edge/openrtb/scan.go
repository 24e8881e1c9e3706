package openrtb

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// reader walks one body. Its methods take the position to read at and return the position
// after what they read, or -1 once a syntax error has been noted; they pass -1 on.
type reader struct {
	buf      []byte
	at       place
	faults   Faults
	unlisted int
	broken   Fault
	open     [(MaxDepth + 63) / 64]uint64 // skip's stack: one bit a level, 1 for an object
}

func (p *reader) reset(body []byte) {
	p.buf, p.at, p.faults, p.unlisted, p.broken = body, top, nil, 0, Fault{}
}

const (
	ones   = 0x0101010101010101
	high   = 0x8080808080808080
	spaces = 1<<' ' | 1<<'\t' | 1<<'\n' | 1<<'\r'
)

// space returns the position of the first byte from i that is not white space.
func space(buf []byte, i int) int {
	for uint(i) < uint(len(buf)) && buf[i] <= ' ' && 1<<buf[i]&uint64(spaces) != 0 {
		i++
	}
	return i
}

// special returns the position of the first byte from i that ends a run of plain string
// bytes: a quote, a backslash, a control character or a byte above ASCII; len(buf) for
// none. Eight bytes at a time: a subtraction borrows into the top bit of a byte exactly
// where that byte was too small, and only carries upwards, so the lowest hit is right
// (the zero-byte test of Bit Twiddling Hacks). A byte above ASCII keeps its top bit in at
// least one of the three terms.
func special(buf []byte, i int) int {
	for ; i+8 <= len(buf); i += 8 {
		w := binary.LittleEndian.Uint64(buf[i:])
		hit := ((w - ' '*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)) & high
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for ; i < len(buf); i++ {
		if c := buf[i]; c == '"' || c == '\\' || c < ' ' || c >= 0x80 {
			return i
		}
	}
	return i
}

// text reads a kept string of at most max bytes. Anything else than a string or null is a
// fault; the result is then nil, as it is for null.
func (p *reader) text(i int, name string, max int) ([]byte, int) {
	buf := p.buf
	if uint(i) >= uint(len(buf)) || buf[i] != '"' {
		if p.null(i) {
			return nil, i + 4
		}
		return nil, p.wrong(i, name, "a string")
	}
	start := i + 1
	end := special(buf, start)
	if end < len(buf) && buf[end] == '"' && end-start <= max {
		return buf[start:end:end], end + 1
	}
	end, escaped := p.closing(end)
	if end < 0 {
		return nil, end
	}
	s, next := buf[start:end:end], end+1
	if escaped {
		var broken string
		if s, broken = unescape(s); broken != "" {
			p.fault(name, broken)
			return nil, next
		}
	}
	if len(s) > max {
		p.fault(name, fmt.Sprintf("%d bytes, at most %d are allowed", len(s), max))
		return nil, next
	}
	return s, next
}

// null reports whether null stands at i.
func (p *reader) null(i int) bool {
	return len(p.buf)-i >= 4 && string(p.buf[i:i+4]) == "null"
}

// first enters the object whose brace is at i, and reads its first key. The key is nil
// when there is none (the position is then after the object) or after a syntax error.
func (p *reader) first(i int) ([]byte, int) {
	i = space(p.buf, i+1)
	if uint(i) < uint(len(p.buf)) && p.buf[i] == '}' {
		return nil, i + 1
	}
	return p.key(i)
}

// next reads on after a value: the next key, or the end of the object as in first.
func (p *reader) next(i int) ([]byte, int) {
	if i < 0 {
		return nil, i
	}
	buf := p.buf
	if i = space(buf, i); uint(i) < uint(len(buf)) {
		if buf[i] == ',' {
			return p.key(space(buf, i+1))
		}
		if buf[i] == '}' {
			return nil, i + 1
		}
	}
	return nil, p.syntax(i, "expected ',' or '}' after a value")
}

// key reads a key and its colon. The position returned is that of the value.
func (p *reader) key(i int) ([]byte, int) {
	end, escaped, value := p.keyBounds(i)
	if value < 0 {
		return nil, value
	}
	key := p.buf[i+1 : end]
	if escaped {
		// A key that cannot be decoded is none that is read here.
		if key, _ = unescape(key); key == nil {
			key = p.buf[i:i]
		}
	}
	return key, value
}

// keyBounds finds the closing quote of the key at i, whether there are escapes before it,
// and the position of the value.
func (p *reader) keyBounds(i int) (end int, escaped bool, value int) {
	buf := p.buf
	if uint(i) >= uint(len(buf)) || buf[i] != '"' {
		return 0, false, p.syntax(i, "expected a key in quotes")
	}
	end = special(buf, i+1)
	if end >= len(buf) || buf[end] != '"' {
		if end, escaped = p.closing(end); end < 0 {
			return 0, false, end
		}
	}
	if i = end + 1; uint(i) >= uint(len(buf)) || buf[i] != ':' {
		if i = space(buf, i); uint(i) >= uint(len(buf)) || buf[i] != ':' {
			return 0, false, p.syntax(i, "expected ':' after a key")
		}
	}
	return end, escaped, space(buf, i+1)
}

// element enters the list whose bracket is at i (begin) or reads on after one of its
// values. It returns the position of the next value and true, or the position after the
// list and false.
func (p *reader) element(i int, begin bool) (int, bool) {
	if i < 0 {
		return i, false
	}
	buf := p.buf
	if begin {
		i = space(buf, i+1)
		if uint(i) < uint(len(buf)) && buf[i] == ']' {
			return i + 1, false
		}
		return i, true
	}
	if i = space(buf, i); uint(i) < uint(len(buf)) {
		if buf[i] == ',' {
			return space(buf, i+1), true
		}
		if buf[i] == ']' {
			return i + 1, false
		}
	}
	return p.syntax(i, "expected ',' or ']' after a value"), false
}

// is reports whether the value at i begins with c, as objects and lists do. Otherwise the
// value is skipped and, unless it is null, noted as a fault.
func (p *reader) is(i int, c byte, name, want string) (bool, int) {
	if uint(i) < uint(len(p.buf)) && p.buf[i] == c {
		return true, i
	}
	if p.null(i) {
		return false, i + 4
	}
	return false, p.wrong(i, name, want)
}

// boolean reads true or false; null is false.
func (p *reader) boolean(i int, name string) (bool, int) {
	switch rest := p.buf[i:]; {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		return true, i + 4
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return false, i + 5
	case p.null(i):
		return false, i + 4
	}
	return false, p.wrong(i, name, "true or false")
}
