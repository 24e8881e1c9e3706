package suppress

import (
	"bytes"
	"unicode"
)

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
		switch {
		case len(dst) == from+1 || bytes.ContainsFunc(id, unicode.IsLetter): // an extension's digits would join the number's
			return dst[:from], errNoPhone
		case dst[from+1] == '0':
			return dst[:from], errCountryCode
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

// shortened says that a spreadsheet or a table of numbers has written an
// identifier as a number that it is not: 1.23E+10, 4,9171E+12, 4.9171E12,
// 4917112345678.0, 4917112345678,00. Without a mark or a sign 12e5 is no number:
// it may be hexadecimal.
func shortened(id []byte) bool {
	digits, mark := 0, -1
	for n, c := range id {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case n == 0 && (c == '+' || c == '-'):
		case (c == '.' || c == ',') && mark < 0 && n > 0:
			mark = n
		case (c == 'E' || c == 'e') && digits > 0:
			exponent := bytes.TrimPrefix(id[n+1:], []byte("+"))
			signed := len(exponent) < len(id[n+1:])
			return len(exponent) > 0 && (signed || mark > 0) && len(bytes.Trim(exponent, "0123456789")) == 0
		default:
			return false
		}
	}
	after := len(id) - mark - 1
	return mark > 0 && digits-after > 1 && (after == 1 || after == 2) && len(bytes.Trim(id[mark+1:], "0")) == 0
}
