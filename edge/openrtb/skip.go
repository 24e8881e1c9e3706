package openrtb

import "fmt"

// skip returns the position after the value at i, having checked that it is one. It does
// not recurse, so nesting costs a bit and never the stack, and it writes nothing to the
// body.
func (p *reader) skip(i int) int {
	buf := p.buf
	depth := 0
	for {
		if uint(i) >= uint(len(buf)) {
			return p.syntax(i, "expected a value")
		}
		switch c := buf[i]; c {
		case '{', '[':
			if depth == MaxDepth {
				return p.syntax(i, fmt.Sprintf("nested deeper than %d", MaxDepth))
			}
			end := space(buf, i+1)
			if end < len(buf) && buf[end] == c+2 { // ']' is '['+2, '}' is '{'+2
				i = end + 1
				break
			}
			p.push(depth, c == '{')
			depth++
			if i = end; c == '{' {
				if i = p.skipKey(i); i < 0 {
					return i
				}
			}
			continue
		case '"':
			i = p.skipString(i)
		default:
			i = p.scalar(i)
		}
		if i, depth = p.leave(i, depth); i < 0 || depth == 0 {
			return i
		}
	}
}

// push notes whether level depth is an object.
func (p *reader) push(depth int, object bool) {
	if bit := uint64(1) << (depth % 64); object {
		p.open[depth/64] |= bit
	} else {
		p.open[depth/64] &^= bit
	}
}

// leave reads on from the end of a value, out of every object and list that ends there, to
// the next value. Depth 0 is the end of the outermost one.
func (p *reader) leave(i, depth int) (int, int) {
	buf := p.buf
	for i >= 0 && depth > 0 {
		object := p.open[(depth-1)/64]>>((depth-1)%64)&1 != 0
		if i = space(buf, i); i < len(buf) {
			if buf[i] == ',' {
				if i = space(buf, i+1); object {
					i = p.skipKey(i)
				}
				return i, depth
			}
			if object && buf[i] == '}' || !object && buf[i] == ']' {
				i, depth = i+1, depth-1
				continue
			}
		}
		if object {
			return p.syntax(i, "expected ',' or '}' after a value"), depth
		}
		return p.syntax(i, "expected ',' or ']' after a value"), depth
	}
	return i, depth
}

func (p *reader) skipKey(i int) int {
	_, _, value := p.keyBounds(i)
	return value
}

// skipString returns the position after the string whose opening quote is at i.
func (p *reader) skipString(i int) int {
	end := special(p.buf, i+1)
	if end < len(p.buf) && p.buf[end] == '"' {
		return end + 1
	}
	if end, _ = p.closing(end); end < 0 {
		return end
	}
	return end + 1
}

// scalar returns the position after the number, boolean or null at i.
func (p *reader) scalar(i int) int {
	rest := p.buf[i:]
	switch rest[0] {
	case 't':
		if len(rest) >= 4 && string(rest[:4]) == "true" {
			return i + 4
		}
	case 'f':
		if len(rest) >= 5 && string(rest[:5]) == "false" {
			return i + 5
		}
	case 'n':
		if len(rest) >= 4 && string(rest[:4]) == "null" {
			return i + 4
		}
	default:
		if end := p.number(i); end >= 0 {
			return end
		}
	}
	return p.syntax(i, "expected a value")
}
