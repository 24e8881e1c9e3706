package atrest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// KeySize is the length of a key, in bytes; MostKeys how many a file of them may have.
// Chosen: the one in use and those of files that are still to be sealed anew.
const (
	KeySize  = 32
	MostKeys = 4
)

// Errors of ParseKeys.
var (
	// ErrKeySize: not one to four times 32 bytes.
	ErrKeySize = errors.New("a key file is 32 random bytes, or those of up to 4 keys, newest first")
	// ErrKeyText: text, as digits or base64, in the place of the bytes that it stands for.
	ErrKeyText = errors.New("a key file is random bytes and no text")
	// ErrKeyZero: a key of one byte repeated, or the same one twice.
	ErrKeyZero = errors.New("a key file holds random bytes, each key once")
)

// Keys are the keys that files are sealed under. They do not print themselves.
type Keys struct{ all []key }

// key keeps its bytes where package fmt does not find them.
type key struct {
	fingerprint [8]byte
	derive      func(purpose string, salt []byte) []byte // 32 bytes
}

// ParseKeys reads the content of a key file: keys of 32 bytes, the one in use first, then
// those that older files are sealed under. It wraps ErrKeySize, ErrKeyText or ErrKeyZero.
func ParseKeys(b []byte) (Keys, error) {
	if n := len(b) / KeySize; len(b)%KeySize != 0 || n < 1 || n > MostKeys {
		return Keys{}, fmt.Errorf("%w; this has %d bytes", ErrKeySize, len(b))
	}
	if isText(b) {
		return Keys{}, ErrKeyText
	}
	var keys Keys
	for raw := b; len(raw) > 0; raw = raw[KeySize:] {
		k := newKey(raw[:KeySize])
		if bytes.Count(raw[:KeySize], raw[:1]) == KeySize || keys.find(k.fingerprint) != nil {
			return Keys{}, ErrKeyZero
		}
		keys.all = append(keys.all, k)
	}
	return keys, nil
}

// isText says that all bytes print: for 32 random ones the chance is under 1 in 10^13.
func isText(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

func newKey(raw []byte) (k key) {
	root := bytes.Clone(raw)
	k.derive = func(purpose string, salt []byte) []byte {
		b, err := hkdf.Key(sha256.New, root, salt, "restraint at rest v1 "+purpose, 32)
		if err != nil {
			panic("BUG: derive key: " + err.Error()) // only for sizes over 8160 bytes
		}
		return b
	}
	copy(k.fingerprint[:], k.derive("fingerprint", nil))
	return k
}

func (k Keys) find(fingerprint [8]byte) *key {
	for i := range k.all {
		if k.all[i].fingerprint == fingerprint {
			return &k.all[i]
		}
	}
	return nil
}

// Fingerprint is 16 hex digits that tell the key in use from others and say nothing of it;
// "" of no keys.
func (k Keys) Fingerprint() string {
	if len(k.all) == 0 {
		return ""
	}
	return hex.EncodeToString(k.all[0].fingerprint[:])
}

// String is the fingerprint, and never a key.
func (k Keys) String() string { return "atrest.Keys(" + k.Fingerprint() + ")" }

// GoString is String.
func (k Keys) GoString() string { return k.String() }

// file is what the frames of a file with the salt are sealed by.
func (k *key) file(salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(k.derive("file", salt))
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return aead
}

// sum is that of the head of the file at a path.
func (k *key) sum(head []byte, path string) []byte {
	h := hmac.New(sha256.New, k.derive("head", nil))
	h.Write(head)
	h.Write([]byte(path))
	return h.Sum(nil)[:sumSize]
}
