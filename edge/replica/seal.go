package replica

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// Seals are the epochs of the identifier secret: what names people is sealed under the secret of the epoch in use before it leaves the
// process, on disk and on the wire. An epoch has a fingerprint of 16 hex digits; that of the cluster is of epoch 0, which seals nothing.
// All methods may be called from any goroutine.
type Seals interface {
	// Active is the epoch in which this node writes, Newest the last that it can read.
	Active() (number int, fingerprint string)
	Newest() (number int, fingerprint string)
	// Readable are the fingerprints of all epochs that it can read.
	Readable() []string
	// Subkey is the key of 32 bytes of an epoch for one purpose and salt; nil where the epoch seals nothing. The error says that this node
	// has not its secret.
	Subkey(fingerprint, purpose string, salt []byte) ([]byte, error)
	// Activate has this node write in the epoch from now on, unless it writes in a later one. The error says that it has not its secret.
	Activate(fingerprint string) error
}

// ErrEpoch says that something is sealed in an epoch of which this node has not the secret, or no more. It is not to be passed over: it can
// be read once the node has the newest secret file of its cluster.
var ErrEpoch = errors.New("sealed in an epoch that this node cannot read")

// What a seal adds.
const (
	sealSalt  = 16 // random, of a process or a file: each has keys of its own
	sealTag   = 16 // of AES-256-GCM
	sealNonce = 12
	// batchSeal is what a sealed batch has beside its content: salt, nonce, version, tag.
	batchSeal = sealSalt + sealNonce + 1 + sealTag
	// openedKeys is how many keys of other processes' batches are kept. Chosen: one that is not is derived in some microseconds.
	openedKeys = 64
)

// sealer seals and opens. Each process seals its batches under a key of its own, with a count as nonce, so that no nonce comes twice under a
// key whatever is lost or copied; each snapshot has a key of its own too.
type sealer struct {
	seals Seals
	salt  [sealSalt]byte
	count atomic.Uint64
	own   atomic.Pointer[sealKey] // of the epoch in which this process sealed last

	mu     sync.Mutex
	opened map[sealID]cipher.AEAD
}

type sealID struct {
	fingerprint uint64
	salt        [sealSalt]byte
}

type sealKey struct {
	fingerprint uint64
	aead        cipher.AEAD // nil: of epoch 0
}

// newSealer returns nil where there are no epochs.
func newSealer(seals Seals) *sealer {
	if seals == nil {
		return nil
	}
	s := &sealer{seals: seals, opened: make(map[sealID]cipher.AEAD)}
	_, _ = rand.Read(s.salt[:]) // never fails; it ends the process instead
	return s
}

func hexOf(fingerprint uint64) string { return fmt.Sprintf("%016x", fingerprint) }

func parseFingerprint(hex string) (uint64, error) {
	fingerprint, err := strconv.ParseUint(hex, 16, 64)
	if err != nil || len(hex) != 16 {
		return 0, fmt.Errorf("fingerprint %q: it must be 16 hex digits", hex)
	}
	return fingerprint, nil
}

// key derives a key; nil where the epoch seals nothing. The error wraps ErrEpoch.
func (s *sealer) key(fingerprint uint64, purpose string, salt []byte) (cipher.AEAD, error) {
	key, err := s.seals.Subkey(hexOf(fingerprint), purpose, salt)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrEpoch, hexOf(fingerprint), err)
	}
	if key == nil {
		return nil, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return aead, nil
}

// active is the key for the batches of this process in the epoch in use.
func (s *sealer) active() *sealKey {
	_, hex := s.seals.Active()
	own := s.own.Load()
	if own != nil && hexIs(hex, own.fingerprint) {
		return own
	}
	fingerprint, err := parseFingerprint(hex)
	if err != nil {
		panic("BUG: the epoch in use: " + err.Error())
	}
	own = &sealKey{fingerprint: fingerprint}
	if own.aead, err = s.key(fingerprint, "batch", s.salt[:]); err != nil {
		panic("BUG: the epoch in use has no secret: " + err.Error())
	}
	s.own.Store(own)
	return own
}

// hexIs compares without allocating.
func hexIs(hex string, fingerprint uint64) bool {
	const digits = "0123456789abcdef"
	if len(hex) != 16 {
		return false
	}
	for i := range 16 {
		if hex[i] != digits[fingerprint>>(60-4*i)&15] {
			return false
		}
	}
	return true
}

// opener is the key of another process' batches.
func (s *sealer) opener(id sealID) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if aead := s.opened[id]; aead != nil {
		return aead, nil
	}
	aead, err := s.key(id.fingerprint, "batch", append([]byte(nil), id.salt[:]...)) // a copy, or each id would be on the heap
	if err != nil || aead == nil {
		return nil, err
	}
	if len(s.opened) >= openedKeys {
		clear(s.opened)
	}
	s.opened[id] = aead
	return aead, nil
}

// appendNonce appends the nonce of a count: four zero bytes and the count, big-endian.
func appendNonce(dst []byte, count uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 0), count)
}

// reads returns an error that wraps ErrEpoch for an epoch of which the secret is not here, and ErrFingerprint for a clear form of another
// cluster; sealed says which form it is.
func (c *Codec) reads(fingerprint uint64, sealed bool) error {
	if !sealed && fingerprint != c.Fingerprint {
		return ErrFingerprint
	}
	if c.sealer == nil {
		if sealed {
			return fmt.Errorf("%w: %s", ErrEpoch, hexOf(fingerprint))
		}
		return nil
	}
	if _, err := c.sealer.seals.Subkey(hexOf(fingerprint), "", nil); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrEpoch, hexOf(fingerprint), err)
	}
	return nil
}

// writes is the fingerprint of the epoch in which this node writes.
func (c *Codec) writes() uint64 {
	if c.sealer == nil {
		return c.Fingerprint
	}
	return c.sealer.active().fingerprint
}

// sealBatch seals the batch that begins at from, in its place.
func sealBatch(dst []byte, from int, aead cipher.AEAD) []byte {
	dst = growBy(dst, sealTag)
	batch := dst[from:]
	nonce, body := sealedBatch(batch)
	aead.Seal(body[:0], nonce, body[:len(body)-sealTag], batch[:24])
	return dst
}

// sealedBatch takes a sealed batch apart: the nonce, and what is sealed, tag included.
func sealedBatch(batch []byte) (nonce, body []byte) {
	rest := batch[batchHead+sealSalt:]
	return rest[:sealNonce:sealNonce], rest[sealNonce:]
}

// openBatch appends what is sealed in the batch, of which the checksum is right. The error wraps ErrEpoch, or ErrBatch where it was
// changed, or sealed by somebody without the secret.
func (c *Codec) openBatch(dst, batch []byte) ([]byte, error) {
	fingerprint := binary.LittleEndian.Uint64(batch[8:])
	if len(batch) < batchHead+batchSeal {
		return dst, fmt.Errorf("%w: %d bytes that are sealed", ErrBatch, len(batch))
	}
	if c == nil || c.sealer == nil {
		return dst, fmt.Errorf("%w: %s", ErrEpoch, hexOf(fingerprint))
	}
	aead, err := c.sealer.opener(sealID{fingerprint: fingerprint, salt: [sealSalt]byte(batch[batchHead:])})
	if err != nil {
		return dst, err
	}
	if aead == nil {
		return dst, fmt.Errorf("%w: sealed in epoch 0, which seals nothing", ErrBatch)
	}
	nonce, body := sealedBatch(batch)
	out, err := aead.Open(dst, nonce, body, batch[:24])
	if err != nil {
		return dst, fmt.Errorf("%w: its seal is broken", ErrBatch)
	}
	return out, nil
}

// sealSnapshot has the head say how the file is sealed, and returns its key; nil where it is not.
func (c *Codec) sealSnapshot(head *snapshotFrom) (cipher.AEAD, error) {
	if c == nil || c.sealer == nil {
		return nil, nil
	}
	own := c.sealer.active()
	head.fingerprint = own.fingerprint
	if own.aead == nil {
		return nil, nil
	}
	head.sealed = true
	_, _ = rand.Read(head.salt[:]) // never fails; it ends the process instead
	return c.sealer.key(own.fingerprint, "snapshot", head.salt[:])
}

// openSnapshot makes a snapshot that was verified ready to be merged. The error wraps ErrFingerprint or ErrEpoch.
func (c *Codec) openSnapshot(v *verified) (err error) {
	if err := c.reads(v.fingerprint, v.sealed); err != nil {
		return err
	}
	if !v.sealed {
		return nil
	}
	if v.seal, err = c.sealer.key(v.fingerprint, "snapshot", v.salt[:]); err == nil && v.seal == nil {
		err = fmt.Errorf("%w: sealed in epoch 0, which seals nothing", ErrSnapshot)
	}
	return err
}

// openSection opens a section in its place.
func (v *verified) openSection(x section, b []byte) ([]byte, error) {
	if v.seal == nil {
		return b, nil
	}
	var kind [4]byte
	binary.LittleEndian.PutUint32(kind[:], x.kind)
	records, err := v.seal.Open(b[:0], appendNonce(nil, uint64(x.at)), b, kind[:])
	if err != nil {
		return nil, fmt.Errorf("%w: the seal of the section at %d is broken", ErrSnapshot, x.at)
	}
	return records, nil
}
