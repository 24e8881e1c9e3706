package suppress

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// normalEmail appends the address as a scheme writes it before hashing.
func normalEmail(dst []byte, scheme string, id []byte) ([]byte, error) {
	id = bytes.TrimSpace(id)
	from := len(dst)
	dst = appendLower(dst, id)
	if scheme == SchemeLiveRamp {
		dst = dst[:from+len(removeSpace(dst[from:]))]
	}
	text := dst[from:]
	at := bytes.IndexByte(text, '@')
	if at <= 0 || at == len(text)-1 || !utf8.Valid(text) || !plainLocal(text[:at]) || !plainDomain(text[at+1:]) {
		return dst[:from], errNoEmail
	}
	if invisible(text) {
		return dst[:from], errInvisible
	}
	domain := text[at+1:]
	switch {
	case scheme == SchemeMeta && !(metaLocal(text[:at]) && metaDomain(text[at+1:])):
		return dst[:from], errNoEmail
	case string(domain) == "gmail.com" && (scheme == SchemeUID2 || scheme == SchemeGoogle),
		string(domain) == "googlemail.com" && scheme == SchemeGoogle:
		local := text[:at]
		if plus := bytes.IndexByte(local, '+'); plus >= 0 {
			local = local[:plus]
		}
		n := 0
		for _, c := range local {
			if c != '.' {
				text[n] = c
				n++
			}
		}
		if n == 0 {
			return dst[:from], errNoEmail
		}
		text[n] = '@'
		n += 1 + copy(text[n+1:], domain)
		dst = dst[:from+n]
	}
	return dst, nil
}

// plainLocal and plainDomain leave out what is no part of an address but stands
// round it in exports: Zoe <zoe@example.com>, mailto:zoe@example.com,
// 'zoe@example.com', zoe@example.com;. The hash would be nobody's. An address whose
// first part is quoted (RFC 5322, 3.4.1) is left out with them.
func plainLocal(local []byte) bool {
	for _, c := range local {
		if c <= ' ' || c == 0x7f || bytes.IndexByte([]byte(`"(),:;<>[\]`), c) >= 0 {
			return false
		}
	}
	return true
}

func plainDomain(domain []byte) bool {
	label := 0
	for _, c := range domain {
		switch {
		case c == '.' && label == 0:
			return false
		case c == '.':
			label = 0
		case alphanumeric(c) || c == '-' || c == '_':
			label++
		default:
			return false
		}
	}
	return label > 0
}

// metaLocal and metaDomain are the forms that Meta's own normaliser takes
// (dot-separated atoms; at least two labels), and any character beyond ASCII.
func metaLocal(local []byte) bool {
	for more := true; more; {
		var atom []byte
		if atom, local, more = bytes.Cut(local, dot); len(atom) == 0 {
			return false
		}
		for _, c := range atom {
			if !alphanumeric(c) && bytes.IndexByte([]byte("!#$%&'*+/=?^_`{|}~-"), c) < 0 {
				return false
			}
		}
	}
	return true
}

func metaDomain(domain []byte) bool {
	labels := 0
	for more := true; more; labels++ {
		var label []byte
		if label, domain, more = bytes.Cut(domain, dot); len(label) == 0 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if !alphanumeric(c) && c != '-' {
				return false
			}
		}
	}
	return labels >= 2
}

var dot = []byte(".")

// removeSpace takes the white space out of b, in place.
func removeSpace(b []byte) []byte {
	to := 0
	for from := 0; from < len(b); {
		r, size := utf8.DecodeRune(b[from:])
		if !unicode.IsSpace(r) {
			to += copy(b[to:], b[from:from+size])
		}
		from += size
	}
	return b[:to]
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= utf8.RuneSelf
}

// appendLower appends b in lower case.
func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return append(dst, bytes.ToLower(b)...)
		}
	}
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
