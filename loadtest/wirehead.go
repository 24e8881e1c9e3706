package loadtest

import (
	"bytes"
	"fmt"
)

var crlf = []byte("\r\n")

// wireHead is what the head of an answer says that matters here.
type wireHead struct {
	status  int
	length  int // of the body; -1: not said
	chunked bool
	close   bool
}

// parseHead reads a head, from the status line to the empty line.
func parseHead(head []byte) (h wireHead, err error) {
	line, rest, _ := bytes.Cut(head, crlf)
	version, after, _ := bytes.Cut(line, []byte(" "))
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.close = true
	default:
		return h, fmt.Errorf("%w: it begins with %.20q", errMalformed, line)
	}
	if len(after) < 3 || len(after) > 3 && after[3] != ' ' || !isVisible(after) {
		return h, fmt.Errorf("%w: status line %.40q", errMalformed, line)
	}
	for _, c := range after[:3] {
		if c < '0' || c > '9' {
			return h, fmt.Errorf("%w: status line %.40q", errMalformed, line)
		}
		h.status = 10*h.status + int(c-'0')
	}
	if h.status < 100 {
		return h, fmt.Errorf("%w: status %d", errMalformed, h.status)
	}
	h.length = -1
	for {
		line, rest, _ = bytes.Cut(rest, crlf)
		if len(line) == 0 {
			break
		}
		if err := h.field(line); err != nil {
			return h, err
		}
	}
	if h.chunked && h.length >= 0 {
		return h, fmt.Errorf("%w: both a length and chunks", errMalformed)
	}
	return h, nil
}

// field reads one header line.
func (h *wireHead) field(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) {
		return fmt.Errorf("%w: header line %.40q", errMalformed, line)
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	if !isVisible(value) {
		return fmt.Errorf("%w: header line %.40q", errMalformed, line)
	}
	switch {
	case is(name, "content-length"):
		n, ok := 0, len(value) > 0 && len(value) < 10
		for _, c := range value {
			ok = ok && c >= '0' && c <= '9'
			n = 10*n + int(c-'0')
		}
		if !ok || h.length >= 0 && h.length != n {
			return fmt.Errorf("%w: length %.20q", errMalformed, value)
		}
		h.length = n
	case is(name, "transfer-encoding"):
		if h.chunked || !is(value, "chunked") {
			return fmt.Errorf("%w: transfer encoding %.20q", errMalformed, value)
		}
		h.chunked = true
	case is(name, "connection"):
		h.close = h.close || is(value, "close")
	}
	return nil
}

// is compares without regard to the case of ASCII letters; lower is in lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isVisible says whether b has no control characters but tabs.
func isVisible(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isToken says whether b can be the name of a header field (RFC 9110, 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0:
		default:
			return false
		}
	}
	return true
}

// parseChunkSize reads the size of a chunk, in at most 6 hexadecimal digits. No node
// sends extensions.
func parseChunkSize(line []byte) (size int, ok bool) {
	if len(line) == 0 || len(line) > 6 {
		return 0, false
	}
	for _, c := range line {
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
		size = size<<4 | int(c)
	}
	return size, true
}
