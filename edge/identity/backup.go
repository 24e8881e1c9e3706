package identity

import "fmt"

// BackupKey is the key of 32 bytes that seals one file of restraint snapshot export: of the epoch with the fingerprint, for the salt of the file.
// Unlike what a node writes, such a file is sealed in epoch 0 too: it is made to be carried about. The error wraps ErrEpoch.
func (s Secret) BackupKey(fingerprint string, salt []byte) ([]byte, error) {
	const purpose = "snapshot file"
	if fingerprint == s.Fingerprint() {
		return s.derive(fmt.Sprintf("%s %x", purpose, salt), 32), nil
	}
	return s.Epochs().Subkey(fingerprint, purpose, salt)
}
