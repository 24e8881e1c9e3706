package identity

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The record's keys are of their own, the same on every node, and others under another
// secret.
func TestAuditKeys(t *testing.T) {
	a, err := ParseSecret(bytes.Repeat([]byte{1}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseSecret(bytes.Repeat([]byte{2}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSecret(bytes.Repeat([]byte{1}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	key := NewHasher(a).Key("user.id", []byte("u-1"))
	digest := NewDigests(a).Digest(key)
	if raw, err := hex.DecodeString(digest); err != nil || len(raw) != DigestBytes || bytes.Equal(raw, key[:]) {
		t.Errorf("%q: %v", digest, err)
	}
	if NewDigests(again).Digest(key) != digest || NewDigests(b).Digest(key) == digest || NewDigests(a).Digest(Key{}) == digest {
		t.Error("digests do not tell keys and secrets apart")
	}
	if a.AuditKey() != again.AuditKey() || a.AuditKey() == b.AuditKey() || bytes.Contains(bytes.Repeat([]byte{1}, SecretSize), func() []byte { k := a.AuditKey(); return k[:4] }()) {
		t.Error("keys of chains")
	}
}
