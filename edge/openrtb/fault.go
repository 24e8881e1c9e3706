package openrtb

import (
	"fmt"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with what was sent.
type Fault struct {
	// Field is the path of the field, e.g. candidates[3].campaign; "body" for a syntax
	// error.
	Field string
	// Detail says what is wrong with it. It never contains an identifier.
	Detail string
}

// Faults is the error that Parse and Finish return: everything that was found, in the
// order of the body. A syntax error ends the reading and comes last.
type Faults []Fault

// Error joins all faults in one line.
func (f Faults) Error() string {
	var b strings.Builder
	for i := range f {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f[i].Field)
		b.WriteString(": ")
		b.WriteString(f[i].Detail)
	}
	return b.String()
}

// place is the object being read, for the names of faults: object[index].list[sub].
// A negative index is left out.
type place struct {
	object string
	index  int
	list   string
	sub    int
	hush   bool // values may identify someone: do not repeat them
}

var top = place{index: -1, sub: -1}

// in returns the place of a plain object.
func in(object string, hush bool) place {
	return place{object: object, index: -1, sub: -1, hush: hush}
}

func (at *place) field(name string) string {
	var b []byte
	for _, part := range [...]struct {
		name  string
		index int
	}{{at.object, at.index}, {at.list, at.sub}, {name, -1}} {
		if part.name == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, '.')
		}
		b = append(b, part.name...)
		if part.index >= 0 {
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(part.index), 10)
			b = append(b, ']')
		}
	}
	return string(b)
}

// fault notes what is wrong with a field of the object being read.
func (p *reader) fault(name, detail string) {
	if len(p.faults) == MaxFaults {
		p.unlisted++
		return
	}
	p.faults = append(p.faults, Fault{Field: p.at.field(name), Detail: detail})
}

// require notes that a field is missing, unless it was given and is a fault already.
func (p *reader) require(name, detail string) {
	field := p.at.field(name)
	for i := len(p.faults) - 1; i >= 0; i-- {
		if p.faults[i].Field == field {
			return
		}
	}
	p.fault(name, detail)
}

// syntax notes a syntax error at byte i and returns -1, the position of nothing more to
// read.
func (p *reader) syntax(i int, what string) int {
	if i >= len(p.buf) {
		i, what = len(p.buf), what+", but the body ends"
	}
	p.broken = Fault{Field: "body", Detail: fmt.Sprintf("byte %d: %s", i, what)}
	return -1
}

// err returns everything noted, or nil.
func (p *reader) err() error {
	if len(p.faults) == 0 && p.broken.Field == "" {
		return nil
	}
	f := p.faults
	if p.unlisted > 0 {
		f = append(f, Fault{Field: f[len(f)-1].Field, Detail: fmt.Sprintf("%d further faults are not listed", p.unlisted)})
	}
	if p.broken.Field != "" {
		f = append(f, p.broken)
	}
	return f
}

// wrong notes that the value at i is no want, and returns the position after it.
func (p *reader) wrong(i int, name, want string) int {
	end := p.skip(i)
	if end < 0 {
		return end
	}
	detail := "must be " + want + ", not "
	switch c := p.buf[i]; c {
	case '"':
		detail += "a string"
	case '{':
		detail += "an object"
	case '[':
		detail += "a list"
	case 't', 'f', 'n':
		detail += string(p.buf[i:end])
	default:
		detail += "a number"
		if !p.at.hush {
			detail = fmt.Sprintf("%s (%.32s)", detail, p.buf[i:end])
		}
	}
	p.fault(name, detail)
	return end
}
