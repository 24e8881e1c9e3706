package suppress

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// jsonField is one member of an object; value aliases the line it is in.
type jsonField struct {
	name  string
	value []byte
}

// jsonFields appends the members of an object in their order, those of one name
// too, which encoding/json would drop. Bytes that are not UTF-8 are refused
// before anything is decoded: encoding/json makes one character of them all, and
// so one person of many.
func jsonFields(dst []jsonField, line []byte) ([]jsonField, string) {
	line = bytes.TrimSpace(line)
	switch {
	case !utf8.Valid(line):
		return dst, "it is not UTF-8"
	case !json.Valid(line) || line[0] != '{':
		return dst, "it is not a JSON object"
	}
	at := space(line, 1)
	for line[at] != '}' {
		end := valueEnd(line, at)
		f := jsonField{name: string(line[at+1 : end-1])}
		if strings.IndexByte(f.name, '\\') >= 0 && json.Unmarshal(line[at:end], &f.name) != nil {
			return dst, "it is not a JSON object"
		}
		at = space(line, space(line, end)+1) // the colon
		end = valueEnd(line, at)
		f.value = line[at:end]
		dst = append(dst, f)
		if at = space(line, end); line[at] == ',' {
			at = space(line, at+1)
		}
	}
	return dst, ""
}

func space(b []byte, at int) int {
	for b[at] == ' ' || b[at] == '\t' || b[at] == '\r' || b[at] == '\n' {
		at++
	}
	return at
}

// valueEnd is the end of the value that starts at a place of valid JSON.
func valueEnd(b []byte, at int) int {
	depth := 0
	for {
		switch b[at] {
		case '"':
			for at++; b[at] != '"'; at++ {
				if b[at] == '\\' {
					at++
				}
			}
			at++
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\t', '\r', '\n':
			at++ // within an object or array: a value starts with none of them
		default:
			for bytes.IndexByte([]byte(",]} \t\r\n"), b[at]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
}

// fieldsOf gives the members called so, else those that differ in case only.
func fieldsOf(row []jsonField, name string) (at []jsonField) {
	for _, f := range row {
		if f.name == name {
			at = append(at, f)
		}
	}
	if at != nil {
		return at
	}
	for _, f := range row {
		if strings.EqualFold(f.name, name) {
			at = append(at, f)
		}
	}
	return at
}

// maxDots bounds the depth of a path (chosen: the deepest seen in an export is 3).
const maxDots = 8

// jsonColumn gives the members of a column: fieldsOf its name, else of the path
// that its dots make, at most maxDots.
func jsonColumn(row []jsonField, name string) []jsonField {
	if at := fieldsOf(row, name); at != nil || strings.Count(name, ".") > maxDots {
		return at
	}
	for n := range len(name) {
		if name[n] != '.' {
			continue
		}
		for _, outer := range fieldsOf(row, name[:n]) {
			if outer.value[0] != '{' {
				continue
			}
			inner, why := jsonFields(nil, outer.value)
			if at := jsonColumn(inner, name[n+1:]); why == "" && at != nil {
				return at
			}
		}
	}
	return nil
}
