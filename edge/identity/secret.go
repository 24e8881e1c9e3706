package identity

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"restraint/edge/durable"
)

// SecretSize is the length of a secret and of its file, in bytes.
const SecretSize = 32

// Errors that OpenSecret and ParseSecret wrap.
var (
	// ErrSecretSize: not exactly SecretSize bytes.
	ErrSecretSize = errors.New("a secret is exactly 32 bytes")
	// ErrSecretZero: all bytes are zero, as a file system can leave a file behind after a power failure.
	ErrSecretZero = errors.New("the secret is all zeros")
	// ErrSecretMode: somebody other than the owner has rights on the file.
	ErrSecretMode = errors.New("the secret can be read or written by others than its owner")
	// ErrSecretFile: a folder, a device or a pipe.
	ErrSecretFile = errors.New("the secret is not a regular file")
)

// Secret is what all nodes of a cluster share and nobody else has. Whoever
// holds it can test whether a known identifier is in the cluster's files.
//
// It never prints itself: not through fmt, not as JSON or text, not in an
// error. The zero Secret is unusable; get one from OpenSecret or ParseSecret.
type Secret struct {
	bytes  hidden[[SecretSize]byte]
	epochs *Epochs
}

// Epochs are those of the secret; all copies of it share them.
func (s Secret) Epochs() *Epochs { return s.epochs }

// hidden keeps a value out of reach of package fmt, which ignores methods of
// what is in an unexported field and follows pointers to arrays and structs,
// for wrong verbs even nested ones. A pointer to a pointer prints as an address.
type hidden[T any] struct{ at **T }

func hide[T any](v T) hidden[T] {
	p := &v
	return hidden[T]{at: &p}
}

func (h hidden[T]) get() *T { return *h.at }

const redacted = "identity.Secret(redacted)"

// String never gives the secret away.
func (Secret) String() string { return redacted }

// GoString never gives the secret away.
func (Secret) GoString() string { return redacted }

// Format never gives the secret away, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText never gives the secret away; JSON and slog use it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// ParseSecret returns the secret with these bytes, which it copies.
// It refuses other lengths than 32 (ErrSecretSize) and zeros (ErrSecretZero).
func ParseSecret(b []byte) (Secret, error) {
	if len(b) != SecretSize {
		return Secret{}, fmt.Errorf("%w, this has %d", ErrSecretSize, len(b))
	}
	if [SecretSize]byte(b) == ([SecretSize]byte{}) {
		return Secret{}, ErrSecretZero
	}
	s := Secret{bytes: hide([SecretSize]byte(b))}
	s.epochs = newEpochs([]epoch{{Epoch: Epoch{Fingerprint: s.Fingerprint()}, secret: s.bytes}})
	return s, nil
}

// OpenSecret reads the secret file at path, of either form (see file.go). Where there is none it makes one
// from the system's random source, mode 0600, together with missing folders
// (mode 0700), and says so by made. Two processes that start at once agree on
// one secret: whichever file is linked into place first, both read.
//
// It refuses a file that group or others have any right on (ErrSecretMode; the group of
// one that is root's may read, where the process is not root), one
// of another length (ErrSecretSize) or with a damaged text (ErrSecretText), and what is
// no regular file (ErrSecretFile).
// The file is on disk (fsync of file and folder) when OpenSecret returns.
func OpenSecret(path string) (s Secret, made bool, err error) {
	s, err = ReadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, false, err
	}
	made, err = makeSecret(path)
	if err != nil {
		return Secret{}, false, fmt.Errorf("make secret file %q: %w", path, err)
	}
	s, err = ReadSecret(path)
	return s, made && err == nil, err
}

// ReadSecret is OpenSecret for a file that is there: it makes none, and wraps
// fs.ErrNotExist.
func ReadSecret(path string) (Secret, error) {
	// Looked at before opening as well: opening a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("read secret file %q: %w", path, ErrSecretFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret file: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	if info, err = f.Stat(); err != nil {
		return Secret{}, fmt.Errorf("read secret file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&openToOthers(info) != 0 {
		return Secret{}, fmt.Errorf("read secret file %q: %w (mode %#o): chmod 600 %q", path, ErrSecretMode, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return Secret{}, fmt.Errorf("read secret file: %w", err)
	}
	s, err := ParseSecretFile(b)
	if errors.Is(err, ErrSecretSize) {
		return Secret{}, fmt.Errorf("read secret file %q: %w, it has %d: copy the file of another node, "+
			"or for a new cluster remove it and a new one is made", path, ErrSecretSize, info.Size())
	}
	if err != nil {
		return Secret{}, fmt.Errorf("read secret file %q: %w: copy the file of another node", path, err)
	}
	return s, nil
}

// openToOthers are the rights that nobody but its owner may have on a secret. The group
// may read one that is root's, where this process is not root: so a secret is handed to a
// service (Kubernetes, with fsGroup). PostgreSQL has the same rule for its keys.
func openToOthers(info fs.FileInfo) fs.FileMode {
	if of, ok := info.Sys().(*syscall.Stat_t); ok && of.Uid == 0 && os.Geteuid() != 0 {
		return 0o037
	}
	return 0o077
}

// makeSecret makes a whole new file at path unless there is one by then.
func makeSecret(path string) (made bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	var b [SecretSize]byte
	_, _ = rand.Read(b[:]) // never fails; it ends the process instead
	staged, err := durable.Stage(path, b[:])
	if err == nil {
		err = staged.CommitNew() // the secret of a process that was quicker stays
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// Fingerprint is 16 hex digits by which two nodes compare their secrets without
// showing them. It tells nothing about the secret or about any key.
func (s Secret) Fingerprint() string {
	return hex.EncodeToString(s.derive("fingerprint", 8))
}

// Equal says whether both are the same secret.
func (s Secret) Equal(o Secret) bool {
	return s.bytes.at != nil && o.bytes.at != nil && *s.bytes.get() == *o.bytes.get()
}

// derive returns size bytes that belong to one purpose: HKDF-SHA-256 (RFC 5869)
// with no salt, since the secret is already uniformly random.
func (s Secret) derive(purpose string, size int) []byte {
	if s.bytes.at == nil {
		panic("BUG: use of the zero identity.Secret")
	}
	return derive(s.bytes.get()[:], purpose, size)
}

func derive(key []byte, purpose string, size int) []byte {
	b, err := hkdf.Key(sha256.New, key, nil, "restraint v1 "+purpose, size)
	if err != nil {
		panic("BUG: derive subkey: " + err.Error()) // only for sizes over 8160 bytes
	}
	return b
}
