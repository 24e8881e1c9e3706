package suppress

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
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
	errNoPhone     = errors.New("it is not a phone number")
	errE164        = errors.New("it is not a phone number in E.164 (+ and 10 to 15 digits), which uid2 asks for")
	errTenDigits   = errors.New("it is not a US phone number of ten digits")
	errPhoneLength = errors.New("it has not the 7 to 15 digits of a phone number")
)

// Names of the sources whose raw values normalize can hash begin and end so.
const (
	emailPrefix = "email"
	phonePrefix = "phone"
	sha1Suffix  = "_sha1" // LiveRamp's phones
)

// normalize appends the canonical form of an identifier in an upload: for a
// source called email…_sha256 or phone…_sha256 (or …_sha1) the hash of the
// normalised value, unless the value is such a hash already; for every other
// source what Canonical gives. The raw value stays in the caller's row and on
// the stack.
func normalize(dst []byte, scheme, source string, id []byte) ([]byte, error) {
	isEmail, isPhone := strings.HasPrefix(source, emailPrefix), strings.HasPrefix(source, phonePrefix)
	old := strings.HasSuffix(source, sha1Suffix)
	if scheme == None || !isEmail && !isPhone || !old && !strings.HasSuffix(source, hashSuffix) {
		return Canonical(dst, source, id)
	}
	id = bytes.TrimSpace(id)
	switch {
	case len(id) == 0:
		return dst, errEmpty
	case len(id) > maxIdentifierBytes:
		return dst, errLong
	case !old && looksHashed(id):
		return canonicalHash(dst, id)
	case old && len(id) == 2*sha1.Size && isHex(id):
		return append(dst, bytes.ToLower(id)...), nil
	}
	if err := notHash(id); err == errPrefix || err == errHexBase64 || err == errMD5 || err == errSHA1 {
		return dst, err // or the digits of a hash would make a phone number
	}
	var buf [256]byte
	text, err := buf[:0], error(nil)
	if isEmail {
		text, err = normalEmail(text, scheme, id)
	} else if text, err = normalPhone(text, scheme, id); err == nil {
		if digits := len(bytes.TrimPrefix(text, []byte("+"))); digits < 7 || digits > 15 {
			err = errPhoneLength
		}
	}
	if err != nil {
		return dst, err
	}
	if old {
		sum := sha1.Sum(text)
		return hex.AppendEncode(dst, sum[:]), nil
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(dst, sum[:]), nil
}

// normalEmail appends the address as a scheme writes it before hashing.
func normalEmail(dst []byte, scheme string, id []byte) ([]byte, error) {
	id = bytes.TrimSpace(id)
	if scheme == SchemeLiveRamp && bytes.ContainsAny(id, " \t\r\n\v\f\u00a0") {
		id = bytes.Join(bytes.Fields(id), nil)
	}
	from := len(dst)
	dst = appendLower(dst, id)
	text := dst[from:]
	at := bytes.IndexByte(text, '@')
	if at <= 0 || at == len(text)-1 || bytes.IndexByte(text[at+1:], '@') >= 0 ||
		bytes.ContainsAny(text, " \t\r\n\v\f") || !utf8.Valid(text) {
		return dst[:from], errNoEmail
	}
	domain := string(text[at+1:])
	switch {
	case scheme == SchemeMeta && !(metaLocal(text[:at]) && metaDomain(text[at+1:])):
		return dst[:from], errNoEmail
	case domain == "gmail.com" && (scheme == SchemeUID2 || scheme == SchemeGoogle),
		domain == "googlemail.com" && scheme == SchemeGoogle:
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
	for _, atom := range bytes.Split(local, []byte(".")) {
		if len(atom) == 0 {
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
	labels := bytes.Split(domain, []byte("."))
	for _, label := range labels {
		if len(label) == 0 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if !alphanumeric(c) && c != '-' {
				return false
			}
		}
	}
	return len(labels) >= 2
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
		if len(id) < 11 || len(id) > 16 || id[0] != '+' || len(appendDigits(nil, id)) != len(id)-1 {
			return dst, errE164
		}
		return append(dst, id...), nil
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
