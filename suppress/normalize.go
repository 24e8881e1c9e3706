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
	errCountryCode = errors.New("it begins with 0, which no country code does; write it with + and the country code")
	errInvisible   = errors.New("it has a character in it that cannot be seen, such as a byte order mark; export it without")
	errQuoted      = errors.New("it stands in quotes of its own; export it without, or send it as csv")
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
	case f.digest == nil && quoted(id):
		return dst, errQuoted
	case f.digest == nil && invisible(id):
		return dst, errInvisible
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

// quoted says that quotes of a file were taken for a part of the identifier: "u1"
// in a plain file, ="00123" from a spreadsheet.
func quoted(id []byte) bool {
	id = bytes.TrimPrefix(id, []byte("="))
	return len(id) > 1 && id[0] == '"' && id[len(id)-1] == '"'
}

// invisible says that there is a format character in it, as files that were joined
// and texts that were copied have. Those that join letters belong to writing.
func invisible(id []byte) bool {
	for n, c := range id {
		if c >= utf8.RuneSelf {
			return bytes.IndexFunc(id[n:], func(r rune) bool {
				return unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
			}) >= 0
		}
	}
	return false
}
