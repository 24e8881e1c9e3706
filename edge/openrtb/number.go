package openrtb

import "fmt"

// integer reads a whole number from lo to hi, both within 15 digits. It returns false for
// null and after a fault.
func (p *reader) integer(i int, name string, lo, hi int64) (int64, bool, int) {
	if n, end := p.plain(i); end > 0 && n >= lo && n <= hi {
		return n, true, end
	}
	end := p.number(i)
	if end < 0 {
		if p.null(i) {
			return 0, false, i + 4
		}
		return 0, false, p.wrong(i, name, "a number")
	}
	n, ok := whole(p.buf[i:end])
	if !ok || n < lo || n > hi {
		p.fault(name, fmt.Sprintf("must be a whole number from %d to %d, not %.32s", lo, hi, p.buf[i:end]))
		return 0, false, end
	}
	return n, true, end
}

// plain reads the usual form of a number, a few digits and nothing else. It returns
// position 0 for any other.
func (p *reader) plain(i int) (int64, int) {
	buf := p.buf
	start, n := i, int64(0)
	for uint(i) < uint(len(buf)) && buf[i]-'0' <= 9 {
		n = n*10 + int64(buf[i]-'0')
		i++
	}
	if size := i - start; size == 0 || size > 15 || size > 1 && buf[start] == '0' {
		return 0, 0
	}
	if i < len(buf) && (buf[i] == '.' || buf[i]|0x20 == 'e') {
		return 0, 0
	}
	return n, i
}

// number returns the position after the number at i, -1 when there is none.
func (p *reader) number(i int) int {
	buf := p.buf
	if i < len(buf) && buf[i] == '-' {
		i++
	}
	if i < len(buf) && buf[i] == '0' {
		i++
	} else if i = digits(buf, i); i < 0 {
		return -1
	}
	if i < len(buf) && buf[i] == '.' {
		if i = digits(buf, i+1); i < 0 {
			return -1
		}
	}
	if i < len(buf) && buf[i]|0x20 == 'e' {
		i++
		if i < len(buf) && (buf[i] == '+' || buf[i] == '-') {
			i++
		}
		i = digits(buf, i)
	}
	return i
}

// digits returns the position after the digits at i, -1 when there are none.
func digits(buf []byte, i int) int {
	start := i
	for uint(i) < uint(len(buf)) && buf[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// wholeLimit bounds what whole returns: every bound given to integer is below it.
const wholeLimit = 1e15

// whole returns the value of a number as JSON writes it, and false when it is not whole or
// not below wholeLimit. 1.50e1 is whole; nothing is rounded.
func whole(b []byte) (int64, bool) {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	var (
		n        int64
		exponent int // of the digits in n
		zeros    int // seen since the last other digit: not in n yet
		point    bool
	)
	for i, c := range b {
		switch {
		case c == '.':
			point = true
			continue
		case c|0x20 == 'e':
			exponent += power(b[i+1:])
			return scaled(n, exponent+zeros, negative)
		}
		if point {
			exponent--
		}
		if c == '0' {
			zeros++
			continue
		}
		for ; zeros > 0 && n != 0; zeros-- {
			if n *= 10; n >= wholeLimit {
				return 0, false
			}
		}
		zeros = 0
		if n = n*10 + int64(c-'0'); n >= wholeLimit {
			return 0, false
		}
	}
	return scaled(n, exponent+zeros, negative)
}

// power reads an exponent with its sign, up to a bound that no number of digits in a body
// makes up for.
func power(b []byte) int {
	negative := b[0] == '-'
	if b[0] == '-' || b[0] == '+' {
		b = b[1:]
	}
	n := 0
	for _, c := range b {
		n = min(n*10+int(c-'0'), 1<<27)
	}
	if negative {
		return -n
	}
	return n
}

func scaled(n int64, exponent int, negative bool) (int64, bool) {
	if n == 0 {
		return 0, true
	}
	if exponent < 0 || exponent > 15 {
		return 0, false
	}
	for ; exponent > 0; exponent-- {
		if n *= 10; n >= wholeLimit {
			return 0, false
		}
	}
	if negative {
		n = -n
	}
	return n, true
}
