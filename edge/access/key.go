package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	prefix     = "rk_"
	idBytes    = 8  // characters of an id
	secretText = 52 // characters of a secret
	// KeyBytes is the length of every key.
	KeyBytes = len(prefix) + idBytes + 1 + secretText
)

// Bounds of a key's limits. Chosen: far beyond what one node answers.
const (
	MaxRate  = 1_000_000  // requests a second
	MaxBurst = 10_000_000 // requests
)

// Key is one line of the file. It has the hash of the secret, never the secret.
type Key struct {
	ID     string
	Client string
	Roles  Roles
	// Reasons: the key may see why a candidate was skipped.
	Reasons bool
	// Rate is in requests a second and Burst in requests; both 0 for no limit.
	Rate, Burst int
	Made        time.Time
	Revoked     time.Time // zero: active

	hash [sha256.Size]byte
}

// Active says whether the key is not revoked.
func (k *Key) Active() bool { return k.Revoked.IsZero() }

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

// Make makes a key with a new id and secret from what is set in k (Client, Roles,
// Reasons, Rate, Burst), at now. It returns the text to hand over, which is nowhere
// else. Faults are those that Parse would report of its line.
func Make(k Key, now time.Time) (made Key, text string, err error) {
	var random [5 + sha256.Size]byte
	_, _ = rand.Read(random[:]) // never fails; it ends the process instead
	k.ID = encoding.EncodeToString(random[:5])
	secret := encoding.EncodeToString(random[5:])
	k.hash = sha256.Sum256([]byte(secret))
	k.Made, k.Revoked = now.UTC().Truncate(time.Second), time.Time{}
	made, faults := parseKey(k.line())
	if len(faults) > 0 {
		return Key{}, "", fmt.Errorf("make key: %s", strings.Join(faults, "; "))
	}
	return made, prefix + k.ID + "_" + secret, nil
}

// line is the key as the file has it, without a line break.
func (k *Key) line() string {
	b := []byte("id=" + k.ID + " client=" + k.Client + " roles=" + k.Roles.String())
	if k.Reasons {
		b = append(b, " reasons=yes"...)
	}
	if k.Rate != 0 {
		b = strconv.AppendInt(append(b, " rate="...), int64(k.Rate), 10)
	}
	if k.Burst != 0 && k.Burst != k.Rate {
		b = strconv.AppendInt(append(b, " burst="...), int64(k.Burst), 10)
	}
	b = k.Made.AppendFormat(append(b, " made="...), time.RFC3339)
	b = hex.AppendEncode(append(b, " sha256="...), k.hash[:])
	if !k.Active() {
		b = k.Revoked.AppendFormat(append(b, " revoked="...), time.RFC3339)
	}
	return string(b)
}

// split takes the text of a key apart; false when it is none. The parts alias text.
func split(text []byte) (id, secret []byte, ok bool) {
	if len(text) != KeyBytes || string(text[:len(prefix)]) != prefix || text[len(prefix)+idBytes] != '_' {
		return nil, nil, false
	}
	id, secret = text[len(prefix):len(prefix)+idBytes], text[KeyBytes-secretText:]
	return id, secret, isBase32(id) && isBase32(secret)
}

func isBase32[T []byte | string](text T) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return len(text) > 0
}

// IDOf is the id that a person means who gives an id, or, by mistake, a whole key.
func IDOf(text string) string {
	if id, _, ok := split([]byte(text)); ok {
		return string(id)
	}
	return text
}

// HoldsKey says whether a text has something in it that looks like a key, so that
// its holder can be told.
func HoldsKey(text []byte) bool {
	_, after, found := bytes.Cut(text, []byte(prefix))
	return found && len(after) > idBytes && after[idBytes] == '_' && isBase32(after[:idBytes])
}

var keyLike = regexp.MustCompile(`rk_[a-zA-Z0-9_]*|[a-z2-7]{40,}`)

// redact is a text for a message, without what could be a secret in it, and short.
func redact(text string) string {
	text = keyLike.ReplaceAllString(text, "(redacted)")
	if len(text) > 80 {
		text = text[:80] + "..."
	}
	return text
}
