package suppress

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

// Seals are the epochs of the identifier secret. What names members is sealed under
// the secret of the epoch in use before it leaves the memory: in key files, journals
// and changes. Keys themselves do not change, so a file is sealed anew without being
// sorted anew, and filters stay as they are. Safe for concurrent use.
type Seals interface {
	// Active is the fingerprint of the epoch in which files and changes are written.
	Active() string
	// Subkey is the key of 32 bytes of an epoch for one purpose and salt; nil where the
	// epoch seals nothing. The error says that this node has not its secret.
	Subkey(fingerprint, purpose string, salt []byte) ([]byte, error)
}

// A sealed form has in the place of the fingerprint of 32 bytes:
//
//	 0   16  fingerprint of the epoch, padded with zero bytes
//	16   16  salt, random, of this file or change
const (
	sealName = 16
	sealSalt = 16
	sealTag  = 16 // of AES-256-GCM
	sealNew  = 12 // nonce of AES-256-GCM
)

// sealing is how one file or change is written.
type sealing struct {
	fingerprint string
	sealed      bool
	salt        [sealSalt]byte
}

// append appends the field of 32 bytes.
func (f *sealing) append(dst []byte) []byte {
	if !f.sealed {
		return appendFingerprint(dst, f.fingerprint)
	}
	var name [sealName]byte
	copy(name[:], f.fingerprint)
	return append(append(dst, name[:]...), f.salt[:]...)
}

// parseSealing reads the field.
func parseSealing(b []byte, sealed bool) (f sealing) {
	if !sealed {
		return sealing{fingerprint: string(bytes.TrimRight(b[:fingerprintSize], "\x00"))}
	}
	f.fingerprint, f.sealed = string(bytes.TrimRight(b[:sealName], "\x00")), true
	copy(f.salt[:], b[sealName:])
	return f
}

// vault has the keys of a Store's epochs.
type vault struct {
	fingerprint string // of the cluster, and of what is not sealed
	seals       Seals  // nil: there is no other epoch
}

// active is the fingerprint of the epoch in use.
func (v vault) active() string {
	if v.seals == nil {
		return v.fingerprint
	}
	return v.seals.Active()
}

// next is how the next file or change is written, and its key; nil: it is not sealed.
func (v vault) next(purpose string) (f sealing, block cipher.Block, err error) {
	f.fingerprint = v.fingerprint
	if v.seals == nil {
		return f, nil, nil
	}
	f.fingerprint, f.sealed = v.seals.Active(), true
	_, _ = rand.Read(f.salt[:]) // never fails; it ends the process instead
	if block, err = v.block(f, purpose); err == nil && block == nil {
		f = sealing{fingerprint: f.fingerprint}
	}
	return f, block, err
}

// open is the key of what was written so; nil: it is not sealed. The error wraps
// ErrFingerprint, ErrEpoch or ErrDamaged.
func (v vault) open(f sealing, purpose string) (cipher.Block, error) {
	if !f.sealed && f.fingerprint != v.fingerprint {
		return nil, fmt.Errorf("%w: it says %q, this node has %q; start with that secret, or remove the file and upload the list again",
			ErrFingerprint, f.fingerprint, v.fingerprint)
	}
	if v.seals == nil {
		if f.sealed {
			return nil, fmt.Errorf("%w: %q", ErrEpoch, f.fingerprint)
		}
		return nil, nil
	}
	block, err := v.block(f, purpose)
	if err == nil && f.sealed && block == nil {
		err = fmt.Errorf("%w: sealed in an epoch that seals nothing", ErrDamaged)
	}
	return block, err
}

func (v vault) block(f sealing, purpose string) (cipher.Block, error) {
	key, err := v.seals.Subkey(f.fingerprint, purpose, f.salt[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrEpoch, f.fingerprint, err)
	}
	if key == nil {
		return nil, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return block, nil
}

// reads says whether what has this fingerprint can be read.
func (v vault) reads(fingerprint string) error {
	if v.seals == nil {
		_, err := v.open(sealing{fingerprint: fingerprint}, "")
		return err
	}
	if _, err := v.seals.Subkey(fingerprint, "", nil); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrEpoch, fingerprint, err)
	}
	return nil
}

// Purposes of keys.
const (
	sealsKeys    = "list keys"
	sealsJournal = "list journal"
	sealsChange  = "list change"
)

// gcm is AES-256-GCM of a key that was derived.
func gcm(block cipher.Block) cipher.AEAD {
	if block == nil {
		return nil
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return aead
}

// The keys of a file are sealed by AES-256 in counter mode (NIST SP 800-38A): key i
// with the counter i, so that a single one can be read; what follows them counts from
// 2^127. A file has a key of its own and each counter is used once. Its sums, over what
// is sealed, tell when it was changed by accident, and those of a shipment by anybody
// who cannot change its document.
func keysFrom(block cipher.Block, place uint64) cipher.Stream {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[8:], place)
	return cipher.NewCTR(block, iv[:])
}

func leavingFrom(block cipher.Block) cipher.Stream {
	iv := [aes.BlockSize]byte{0x80}
	return cipher.NewCTR(block, iv[:])
}

// unsealed reads what is sealed by a stream; with block nil it is r itself.
func unsealed(r io.Reader, block cipher.Block, stream func(cipher.Block) cipher.Stream) io.Reader {
	if block == nil {
		return r
	}
	return cipher.StreamReader{S: stream(block), R: r}
}

func allKeys(block cipher.Block) cipher.Stream { return keysFrom(block, 0) }
