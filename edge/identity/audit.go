package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// AuditKey is the key of the audit record's chain. It says nothing of the secret or of
// any other key, so it can be given to an auditor, who then finds every alteration and
// can recognise nobody.
func (s Secret) AuditKey() [32]byte { return [32]byte(s.derive("audit chain", 32)) }

// DigestBytes is how many bytes of a digest are kept.
const DigestBytes = 16

// Digests name people in the audit record. Safe for concurrent use.
type Digests struct{ key hidden[[32]byte] }

// NewDigests returns the digests of the secret's cluster.
func NewDigests(s Secret) *Digests {
	return &Digests{hide([32]byte(s.derive("audit person", 32)))}
}

// Digest is 32 hexadecimal digits that stand for a user key: HMAC-SHA-256 under a
// subkey of its own, cut to DigestBytes. It is the same on all nodes, and who has no
// secret can compare it with no counter, list or token.
func (d *Digests) Digest(k Key) string {
	h := hmac.New(sha256.New, d.key.get()[:])
	h.Write(k[:])
	return hex.EncodeToString(h.Sum(nil)[:DigestBytes])
}
