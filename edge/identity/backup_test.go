package identity

import (
	"bytes"
	"errors"
	"testing"
)

// Each file has a key of its own, also in epoch 0, which seals nothing else.
func TestBackupKey(t *testing.T) {
	s, err := ParseSecret(bytes.Repeat([]byte{7}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	key := func(s Secret, salt string) string {
		t.Helper()
		k, err := s.BackupKey(s.Epochs().Active().Fingerprint, []byte(salt))
		if err != nil || len(k) != 32 {
			t.Fatalf("%d bytes, %v", len(k), err)
		}
		return string(k)
	}
	other, err := ParseSecret(bytes.Repeat([]byte{8}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{key(s, "a"): true, key(s, "b"): true, key(other, "a"): true, string(s.derive("", 32)): true, string(bytes.Repeat([]byte{7}, 32)): true}
	if len(keys) != 5 {
		t.Errorf("%d keys, not 5", len(keys))
	}
	if first := key(s, "a"); first != key(s, "a") {
		t.Error("the key differs from call to call")
	}
	if _, err := s.BackupKey(other.Fingerprint(), []byte("a")); !errors.Is(err, ErrEpoch) {
		t.Errorf("another secret's epoch: %v", err)
	}
}
