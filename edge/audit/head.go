package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Head says which entry was the last of a node's log at a time, signed by the log. Who
// has it can tell whether the log still has all entries up to it, as they were.
type Head struct {
	Node string `json:"node"`
	Seq  uint64 `json:"seq"`
	// MAC is that of the entry Seq.
	MAC string    `json:"mac"`
	At  time.Time `json:"at"`
	// Key is the log's public key and Sig its signature (Ed25519), in base64.
	Key string `json:"key"`
	Sig string `json:"sig"`
}

// Errors of a head.
var (
	// ErrHead: it is none, or has fields that none has.
	ErrHead = errors.New("this is no head of an audit record")
	// ErrSignature: its signature does not fit.
	ErrSignature = errors.New("the signature of the head does not fit: it was altered")
)

// maxNode bounds the name of a node in a head, in bytes.
const maxNode = 256

// signed are the bytes that the signature is over.
func (h *Head) signed() []byte {
	return fmt.Appendf(nil, "restraint audit head 1\n%q\n%d\n%s\n%s\n", h.Node, h.Seq, h.MAC, h.At.UTC().Format(time.RFC3339Nano))
}

// Check says whether the head is whole and signed by the key that it names: nil,
// ErrHead or ErrSignature. Whose key that is it does not know.
func (h *Head) Check() error {
	key, err := base64.StdEncoding.DecodeString(h.Key)
	if err != nil || len(key) != ed25519.PublicKeySize || len(h.MAC) != macText || h.Seq == 0 || h.Node == "" || len(h.Node) > maxNode {
		return fmt.Errorf("%w: it lacks a node, a number, a mac or a key", ErrHead)
	}
	sig, err := base64.StdEncoding.DecodeString(h.Sig)
	if err != nil || len(sig) != ed25519.SignatureSize || !ed25519.Verify(key, h.signed(), sig) {
		return ErrSignature
	}
	return nil
}

// signer signs heads.
type signer struct{ key ed25519.PrivateKey }

func (s signer) public() string {
	return base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}

func (s signer) sign(h *Head) {
	h.Key = s.public()
	h.Sig = base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, h.signed()))
}

// signerFile has the seed of the private key.
const signerFile = "signing.key"

// openSigner reads the log's private key, or makes one.
func openSigner(open Opener, dir string) (s signer, err error) {
	name := filepath.Join(dir, signerFile)
	seed, err := open.readWhole(name) // zeros in the place of bytes would be a key that everybody has
	switch {
	case errors.Is(err, fs.ErrNotExist):
		seed = make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails; it ends the process instead
		if err := open.writeFile(name, seed); err != nil {
			return s, fmt.Errorf("make the signing key of the audit record: %w", err)
		}
	case err != nil:
		return s, fmt.Errorf("read the signing key of the audit record: %q: %w: restore it from a backup, or move it away and the record goes on with a new one, on the record", name, err)
	case len(seed) != ed25519.SeedSize:
		return s, fmt.Errorf("read the signing key of the audit record: %q has %d bytes, not %d: restore it from a backup, or move it away and the record goes on with a new one, on the record", name, len(seed), ed25519.SeedSize)
	}
	return signer{ed25519.NewKeyFromSeed(seed)}, nil
}
