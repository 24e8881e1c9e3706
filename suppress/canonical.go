package suppress

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// maxIdentifierBytes bounds an identifier, as the bid request's parser does.
const maxIdentifierBytes = 1024

// What is wrong with an identifier. None of them shows it.
var (
	errEmpty      = errors.New("it is empty")
	errLong       = errors.New("it has more than 1024 bytes")
	errText       = errors.New("it is not UTF-8, or has control characters")
	errNoDevice   = errors.New("all zeros is no identifier")
	errPrefix     = errors.New("the hash has a 0x prefix; export it without")
	errHexBase64  = errors.New("it is base64 of a hash in hexadecimal; export base64 of the 32 bytes, or the hexadecimal itself")
	errInnerSpace = errors.New("there is white space inside it")
	errNothing    = errors.New("it is the hash of nothing: the cell was empty before it was hashed")
	errPlainEmail = errors.New("it looks like an email address that is not hashed; hash it, or name its scheme with normalize")
)

// Canonical appends the form in which an identifier of a source is hashed into a
// Key. Whoever makes keys, from a bid request or from an upload, takes this form
// first, or the same person has two keys. White space at both ends goes. The end
// of a source's name declares a hash: for _sha256, 64 hexadecimal digits of
// either case and base64 of the 32 bytes both become 64 lower-case digits; for
// _sha1 and _md5, 40 and 32 digits of either case become lower-case; anything
// else is an error, and so is the hash of nothing. For ifa, letters become lower-case, as devices
// write them in either case, and all zeros is an error. Identifiers of
// other sources are taken as given. The error says what is wrong and never shows
// the identifier. It allocates only if dst has no room for 64 bytes, or len(id).
func Canonical(dst []byte, source string, id []byte) ([]byte, error) {
	id = bytes.TrimSpace(id)
	if len(id) == 0 {
		return dst, errEmpty
	}
	if d := digestOf(source); d != nil {
		return d.canonical(dst, id)
	}
	return canonicalText(dst, source, id)
}

// canonicalText is Canonical for a source that is no hash; id has no white space
// at its ends and is not empty.
func canonicalText(dst []byte, source string, id []byte) ([]byte, error) {
	if len(id) > maxIdentifierBytes {
		return dst, errLong
	}
	if !printable(id) {
		return dst, errText
	}
	if source == "ifa" {
		if len(bytes.Trim(id, "0-")) == 0 {
			return dst, errNoDevice
		}
		return appendLower(dst, id), nil
	}
	return append(dst, id...), nil
}

func printable(b []byte) bool {
	ascii := true
	for _, c := range b {
		if c < 0x20 || c == 0x7f {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(b)
}
