package suppress

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"
)

// maxIdentifierBytes bounds an identifier, as the bid request's parser does.
const maxIdentifierBytes = 1024

// hashSuffix marks the sources whose identifiers are SHA-256 hashes.
const hashSuffix = "_sha256"

// What is wrong with an identifier. None of them shows it.
var (
	errEmpty      = errors.New("it is empty")
	errLong       = errors.New("it has more than 1024 bytes")
	errText       = errors.New("it is not UTF-8, or has control characters")
	errNoDevice   = errors.New("all zeros is no identifier")
	errPrefix     = errors.New("the hash has a 0x prefix; export it without")
	errHexBase64  = errors.New("it is base64 of a hash in hexadecimal; export base64 of the 32 bytes, or the hexadecimal itself")
	errMD5        = errors.New("it looks like MD5 (32 digits); this source takes SHA-256")
	errSHA1       = errors.New("it looks like SHA-1 (40 digits); this source takes SHA-256")
	errInnerSpace = errors.New("there is white space inside it")
	errNothing    = errors.New("it is the hash of nothing: the cell was empty before it was hashed")
	errPlainEmail = errors.New("it looks like an email address that is not hashed; hash it, or name its scheme with normalize")
	errNotHash    = errors.New("it is neither 64 hexadecimal digits nor base64 of 32 bytes (44 characters)")
)

const hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Canonical appends the form in which an identifier of a source is hashed into a
// Key. Whoever makes keys, from a bid request or from an upload, takes this form
// first, or the same person has two keys. White space at both ends goes. For
// sources that end in _sha256, 64 hexadecimal digits of either case and base64
// of the 32 bytes both become 64 lower-case digits; anything else is an error,
// and so is the hash of nothing. For ifa, letters become lower-case, as devices
// write them in either case, and all zeros is an error. Identifiers of
// other sources are taken as given. The error says what is wrong and never shows
// the identifier. It allocates only if dst has no room for 64 bytes, or len(id).
func Canonical(dst []byte, source string, id []byte) ([]byte, error) {
	id = bytes.TrimSpace(id)
	if len(id) == 0 {
		return dst, errEmpty
	}
	if strings.HasSuffix(source, hashSuffix) {
		return canonicalHash(dst, id)
	}
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

func canonicalHash(dst, id []byte) ([]byte, error) {
	from := len(dst)
	switch len(id) {
	case 2 * 32:
		var sum [32]byte
		if _, err := hex.Decode(sum[:], id); err != nil {
			return dst, notHash(id)
		}
		dst = hex.AppendEncode(dst, sum[:])
	case 44:
		var sum [33]byte
		if n, err := base64.StdEncoding.Strict().Decode(sum[:], id); err != nil || n != 32 {
			return dst, notHash(id)
		}
		dst = hex.AppendEncode(dst, sum[:32])
	default:
		return dst, notHash(id)
	}
	if string(dst[from:]) == hashOfNothing {
		return dst[:from], errNothing
	}
	return dst, nil
}

// notHash names the fault that is most likely.
func notHash(id []byte) error {
	switch {
	case bytes.HasPrefix(id, []byte("0x")) || bytes.HasPrefix(id, []byte("0X")):
		return errPrefix
	case bytes.ContainsAny(id, " \t\r\n\v\f"):
		return errInnerSpace
	case bytes.IndexByte(id, '@') >= 0:
		return errPlainEmail
	case len(id) == 88 && id[87] == '=':
		return errHexBase64
	case len(id) == 32 && isHex(id):
		return errMD5
	case len(id) == 40 && isHex(id):
		return errSHA1
	}
	return errNotHash
}

func isHex(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
			return false
		}
	}
	return true
}

// looksHashed says that b is a SHA-256 hash as Canonical takes it: hashing it
// again would make a member that nobody is.
func looksHashed(b []byte) bool {
	if len(b) == 64 {
		return isHex(b)
	}
	var sum [33]byte
	if len(b) != 44 || b[43] != '=' {
		return false
	}
	n, err := base64.StdEncoding.Strict().Decode(sum[:], b)
	return err == nil && n == 32
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
