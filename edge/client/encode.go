package client

import (
	"strconv"
	"time"
)

// encoder appends the members of JSON objects. A field that is empty is left out.
type encoder struct{ b []byte }

// key begins a member: a comma unless it is the first, and its name. Names are ours and
// need no escapes.
func (e *encoder) key(name string) {
	if last := e.b[len(e.b)-1]; last != '{' && last != '[' {
		e.b = append(e.b, ',')
	}
	e.b = append(e.b, '"')
	e.b = append(e.b, name...)
	e.b = append(e.b, '"', ':')
}

func (e *encoder) text(name, value string) {
	if value != "" {
		e.key(name)
		e.b = appendString(e.b, value)
	}
}

// number leaves out 0, whole does not.
func (e *encoder) number(name string, value int64) {
	if value != 0 {
		e.whole(name, value)
	}
}

func (e *encoder) whole(name string, value int64) {
	e.key(name)
	e.b = appendInt(e.b, value)
}

func appendInt(dst []byte, value int64) []byte { return strconv.AppendInt(dst, value, 10) }

func (e *encoder) time(name string, t time.Time) {
	if !t.IsZero() {
		e.number(name, t.Unix())
	}
}

func (e *encoder) flag(name string, f Flag) {
	if f != Unknown {
		e.key(name)
		e.b = append(e.b, '0'+byte(f-No))
	}
}

func (e *encoder) yes(name string, value bool) {
	if value {
		e.key(name)
		e.b = append(e.b, "true"...)
	}
}

func (e *encoder) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	e.open(name, '[')
	for i, v := range values {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = appendString(e.b, v)
	}
	e.b = append(e.b, ']')
}

// open begins a member that is an object or a list.
func (e *encoder) open(name string, bracket byte) {
	e.key(name)
	e.b = append(e.b, bracket)
}

// element begins an object in a list.
func (e *encoder) element() {
	if e.b[len(e.b)-1] == '}' {
		e.b = append(e.b, ',')
	}
	e.b = append(e.b, '{')
}

// shut ends the object or list that began at from, and takes it back where nothing was
// put into it.
func (e *encoder) shut(from int, bracket byte) {
	if last := e.b[len(e.b)-1]; last == '{' || last == '[' {
		e.b = e.b[:from]
		return
	}
	e.b = append(e.b, bracket)
}

// appendString appends s as a JSON string (RFC 8259, section 7). What is not UTF-8 is left
// for the node to name.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		if c >= 0x20 {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
