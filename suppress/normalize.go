package suppress

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Schemes of Import.Normalize. They conflict, so one belongs to a list: an
// address hashed by one is another person under the next.
//
//	uid2      emails: trim, lower case; at gmail.com dots and +suffix go. Phones
//	          must be E.164 already (unifiedid.com, "Normalization and Encoding")
//	google    the same, also at googlemail.com; phones: the digits after a +
//	          (Google Ads, Customer Match, "Format your data")
//	meta      trim, lower case; phones: digits without leading zeros
//	          (Meta Marketing API, "Customer Information Parameters")
//	liveramp  all white space goes, lower case; phones: ten digits, no country code
//	          (docs.liveramp.com, "Formatting Identifiers")
const (
	SchemeUID2     = "uid2"
	SchemeGoogle   = "google"
	SchemeMeta     = "meta"
	SchemeLiveRamp = "liveramp"
)

// Schemes are the values of Import.Normalize.
func Schemes() []string {
	return []string{None, SchemeUID2, SchemeGoogle, SchemeMeta, SchemeLiveRamp}
}

var (
	errNoEmail     = errors.New("it is not an email address")
	errShortened   = errors.New("a spreadsheet has written it as a shortened number and its digits are lost; format the column as text and export again")
	errNoPhone     = errors.New("it is not a phone number")
	errE164        = errors.New("it is not a phone number in E.164 (+ and 10 to 15 digits), which uid2 asks for")
	errTenDigits   = errors.New("it is not a US phone number of ten digits")
	errPhoneLength = errors.New("it has not the 7 to 15 digits of a phone number")
)

// Names of the sources whose raw values can be hashed begin so.
const (
	emailPrefix = "email"
	phonePrefix = "phone"
)

// form is how the cells of a column become identifiers in canonical form.
type form struct {
	source string
	scheme string  // None for what is taken as given
	digest *digest // nil: the source is no hash
	phone  bool    // with a scheme: phones, else emails
	text   []byte  // what is hashed of the raw value at hand
}

// same says that two forms make the same of a cell.
func (f *form) same(g *form) bool { return f.source == g.source && f.scheme == g.scheme }

// formOf gives the form of a source under a scheme: values of sources called
// email… or phone… that end as a hash does are normalised and hashed, unless they
// are hashes already; every other source takes what Canonical does.
func formOf(scheme, source string) form {
	f := form{source: source, scheme: None, digest: digestOf(source), phone: strings.HasPrefix(source, phonePrefix)}
	if f.digest != nil && (f.phone || strings.HasPrefix(source, emailPrefix)) {
		f.scheme = scheme
	}
	return f
}

// strict says that not just any text can be an identifier.
func (f *form) strict() bool { return f.digest != nil }

// normalize appends the canonical form of an identifier in an upload.
func normalize(dst []byte, scheme, source string, id []byte) ([]byte, error) {
	f := formOf(scheme, source)
	return f.append(dst, id)
}

// append is normalize for one cell after the other; one goroutine at a time. The
// raw value is written over by the next one.
func (f *form) append(dst, id []byte) ([]byte, error) {
	switch id = bytes.TrimSpace(id); {
	case len(id) == 0:
		return dst, errEmpty
	case f.digest == nil && shortened(id):
		return dst, errShortened
	case f.digest == nil:
		return canonicalText(dst, f.source, id)
	case f.scheme == None:
		return f.digest.canonical(dst, id)
	case len(id) > maxIdentifierBytes:
		return dst, errLong
	case seenAs(id) == f.digest:
		return f.digest.canonical(dst, id)
	}
	if err := f.digest.fault(id); err != nil {
		return dst, err // or the digits of a hash would make a phone number
	}
	text, err := f.raw(f.text[:0], id)
	if f.text = text[:0]; err != nil {
		return dst, err
	}
	return f.digest.appendSum(dst, text), nil
}

// raw appends what is hashed of a raw value.
func (f *form) raw(dst, id []byte) ([]byte, error) {
	if !f.phone {
		return normalEmail(dst, f.scheme, id)
	}
	switch {
	case bytes.IndexByte(id, '@') >= 0:
		return dst, errNoPhone // its digits would make one
	case shortened(id):
		return dst, errShortened
	}
	dst, err := normalPhone(dst, f.scheme, id)
	if digits := len(bytes.TrimPrefix(dst, []byte("+"))); err == nil && (digits < 7 || digits > 15) {
		err = errPhoneLength
	}
	return dst, err
}

// shortened says that a spreadsheet or a table of numbers has written an
// identifier as a number that it is not: 1.23E+10, 4,9171E+12, 4917112345678.0.
func shortened(id []byte) bool {
	digits, marks := 0, 0
	for n, c := range id {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case n == 0 && (c == '+' || c == '-'):
		case (c == '.' || c == ',') && marks == 0 && n > 0:
			marks++
		case (c == 'E' || c == 'e') && digits > 0 && n+2 < len(id) && id[n+1] == '+':
			return len(bytes.Trim(id[n+2:], "0123456789")) == 0
		default:
			return false
		}
	}
	return marks == 1 && digits > 2 && bytes.HasSuffix(id, []byte(".0"))
}

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
	if at <= 0 || at == len(text)-1 || bytes.IndexByte(text[at+1:], '@') >= 0 ||
		bytes.ContainsAny(text, " \t\r\n\v\f") || !utf8.Valid(text) {
		return dst[:from], errNoEmail
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

// normalPhone appends the number as a scheme writes it before hashing.
func normalPhone(dst []byte, scheme string, id []byte) ([]byte, error) {
	id = bytes.TrimSpace(id)
	from := len(dst)
	switch scheme {
	case SchemeUID2:
		if len(id) < 11 || len(id) > 16 || id[0] != '+' {
			return dst, errE164
		}
		if dst = appendDigits(append(dst, '+'), id); len(dst) != from+len(id) {
			return dst[:from], errE164
		}
	case SchemeGoogle:
		dst = appendDigits(append(dst, '+'), id)
		if len(dst) == from+1 {
			return dst[:from], errNoPhone
		}
	case SchemeMeta:
		dst = appendDigits(dst, id)
		digits := bytes.TrimLeft(dst[from:], "0")
		dst = append(dst[:from], digits...)
	case SchemeLiveRamp:
		dst = appendDigits(dst, id)
		if len(dst) == from+11 && dst[from] == '1' {
			dst = append(dst[:from], dst[from+1:]...)
		}
		if len(dst) != from+10 {
			return dst[:from], errTenDigits
		}
	}
	return dst, nil
}

func appendDigits(dst, b []byte) []byte {
	for _, c := range b {
		if c >= '0' && c <= '9' {
			dst = append(dst, c)
		}
	}
	return dst
}
