package openrtb

import (
	"bytes"
	"iter"
)

// Lines yields the events of a body, each with the number of the line it begins on, from
// 1: those of NDJSON, one a line, ended by \n or \r\n; blank lines are counted and not
// yielded. A body that is one object and nothing else is one event, on however many lines
// it stands: it is told from NDJSON by its first value not ending on the line where it
// begins. The slices alias body.
func Lines(body []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		if at := space(body, 0); single(body, at) {
			yield(1+bytes.Count(body[:at], newline), body[at:])
			return
		}
		for number := 1; len(body) > 0; number++ {
			line := body
			if end := bytes.IndexByte(body, '\n'); end >= 0 {
				line, body = body[:end:end], body[end+1:]
			} else {
				body = nil
			}
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			if space(line, 0) == len(line) {
				continue
			}
			if !yield(number, line) {
				return
			}
		}
	}
}

var newline = []byte{'\n'}

// single reports whether one value that stands on several lines is all there is from i.
func single(body []byte, i int) bool {
	if i == len(body) || body[i] != '{' {
		return false
	}
	// An object that is whole on its line, by far the most common, is not looked at twice.
	end := bytes.IndexByte(body[i:], '\n')
	if end < 0 {
		return true
	}
	p := reader{buf: body}
	after := p.skip(i)
	return after > i+end && space(body, after) == len(body)
}
