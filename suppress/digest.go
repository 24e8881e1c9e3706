package suppress

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// digest is a kind of hash that identifiers come in. The end of a source's name
// declares it: email_sha256, phone_sha1, email_md5.
type digest struct {
	suffix  string
	size    int    // bytes of the hash
	nothing string // the hash of nothing, in hexadecimal
	errNot  error  // what is neither a hash of this kind nor anything that notHash knows
	errSeen error  // a hash of this kind where another is asked for
}

// hashOfNothing is the SHA-256 of nothing.
const hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var digests = [...]digest{
	{
		"_sha256", sha256.Size, hashOfNothing,
		errors.New("it is neither 64 hexadecimal digits nor base64 of 32 bytes (44 characters)"),
		errors.New("it looks like SHA-256; this source takes another hash: name one that ends in _sha256"),
	},
	{
		"_sha1", sha1.Size, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		errors.New("it is not 40 hexadecimal digits"),
		errors.New("it looks like SHA-1 (40 digits); this source takes another hash: name one that ends in _sha1"),
	},
	{
		"_md5", md5.Size, "d41d8cd98f00b204e9800998ecf8427e",
		errors.New("it is not 32 hexadecimal digits"),
		errors.New("it looks like MD5 (32 digits); this source takes another hash: name one that ends in _md5"),
	},
}

// digestOf is the hash that a source is declared to be, nil for none. Most names
// end in a letter, no suffix does: a look at that is inlined, for each identifier
// of each request.
func digestOf(source string) *digest {
	if n := len(source); n == 0 || source[n-1] > '9' {
		return nil
	}
	return suffixOf(source)
}

func suffixOf(source string) *digest {
	for n := range digests {
		if strings.HasSuffix(source, digests[n].suffix) {
			return &digests[n]
		}
	}
	return nil
}

// seenAs is the kind of hash that b can be, nil for none. 64 and 40 and 32
// hexadecimal digits and base64 of 32 bytes are hashes: hashing one again would
// make a member that nobody is.
func seenAs(b []byte) *digest {
	for n := range digests {
		if len(b) == 2*digests[n].size && isHex(b) {
			return &digests[n]
		}
	}
	if len(b) == 44 && b[43] == '=' {
		var sum [33]byte
		if n, err := base64.StdEncoding.Strict().Decode(sum[:], b); err == nil && n == sha256.Size {
			return &digests[0]
		}
	}
	return nil
}

// appendSum appends the hash of a text, in hexadecimal. There is a case for each
// kind, since a text that is given to a func value is copied to the heap.
func (d *digest) appendSum(dst, text []byte) []byte {
	switch d.size {
	case sha256.Size:
		sum := sha256.Sum256(text)
		return hex.AppendEncode(dst, sum[:])
	case sha1.Size:
		sum := sha1.Sum(text)
		return hex.AppendEncode(dst, sum[:])
	}
	sum := md5.Sum(text)
	return hex.AppendEncode(dst, sum[:])
}

// canonical appends the hash as lower-case digits. id has no white space at its ends.
func (d *digest) canonical(dst, id []byte) ([]byte, error) {
	from := len(dst)
	switch {
	case len(id) == 2*d.size:
		var ok bool
		if dst, ok = appendHex(dst, id); !ok {
			return dst[:from], d.notHash(id)
		}
	case len(id) == 44 && d.size == sha256.Size:
		var sum [33]byte
		if n, err := base64.StdEncoding.Strict().Decode(sum[:], id); err != nil || n != d.size {
			return dst, d.notHash(id)
		}
		dst = hex.AppendEncode(dst, sum[:d.size])
	default:
		return dst, d.notHash(id)
	}
	if string(dst[from:]) == d.nothing {
		return dst[:from], errNothing
	}
	return dst, nil
}

// notHash names the fault that is most likely.
func (d *digest) notHash(id []byte) error {
	if err := d.fault(id); err != nil {
		return err
	}
	switch {
	case bytes.IndexByte(id, '@') >= 0:
		return errPlainEmail
	case bytes.ContainsAny(id, " \t\r\n\v\f"):
		return errInnerSpace
	case shortened(id):
		return errShortened
	}
	return d.errNot
}

// fault is what is wrong with something that was meant to be a hash, nil where
// it was not.
func (d *digest) fault(id []byte) error {
	switch {
	case bytes.HasPrefix(id, []byte("0x")) || bytes.HasPrefix(id, []byte("0X")):
		return errPrefix
	case len(id) == 88 && id[87] == '=':
		return errHexBase64
	}
	if as := seenAs(id); as != nil && as != d {
		return as.errSeen
	}
	return nil
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// appendHex appends hexadecimal digits in lower case, eight at a time, and
// reports whether they all are; len(id) is a multiple of eight. The highest bit
// of each byte says whether the byte is in range: with all bytes below 0x80 no
// sum carries into the next one.
func appendHex(dst, id []byte) ([]byte, bool) {
	bad := uint64(0)
	for ; len(id) >= 8; id = id[8:] {
		x := binary.LittleEndian.Uint64(id)
		low := x&^highBits | 0x20*eachByte
		digit := (x&^highBits + (0x80-'0')*eachByte) &^ (x&^highBits + (0x80-'9'-1)*eachByte)
		letter := (low + (0x80-'a')*eachByte) &^ (low + (0x80-'f'-1)*eachByte)
		bad |= x | ^(digit | letter)
		dst = binary.LittleEndian.AppendUint64(dst, low)
	}
	return dst, bad&highBits == 0 && len(id) == 0
}

func isHex(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
			return false
		}
	}
	return true
}
