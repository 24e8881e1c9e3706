package suppress

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// shipmentKeys gives the keys of a key file that comes from elsewhere. Its end
// is an error unless every byte was as the shipment and its own head say, so
// whoever has read it to the end has verified it.
type shipmentKeys struct {
	in    io.Reader // all that comes
	of    *Shipment
	whole hash.Hash // of the file
	sum   hash.Hash // of the keys

	head    manifest
	form    []byte // of the head
	file    io.Reader
	keys    *keyReader // nil: the head was not read
	last    pair
	n       uint64
	leaving *leaving // at the end: what the keys are followed by
	vault   vault
	seal    cipher.Block // nil: they are not sealed
	// unsealed says that the shipment's own sum is not known yet.
	unsealed bool
}

func newShipmentKeys(in io.Reader, of *Shipment, whole hash.Hash, v vault) *shipmentKeys {
	return &shipmentKeys{in: in, of: of, whole: whole, sum: sha256.New(), vault: v}
}

func (k *shipmentKeys) next() (pair, bool, error) {
	if k.keys == nil {
		if err := k.begin(); err != nil {
			return pair{}, false, err
		}
	}
	p, ok, err := k.keys.next()
	switch {
	case err == nil && !ok:
		return p, false, k.end()
	case err != nil:
		return p, false, k.fault(err)
	case k.n > 0 && !k.last.less(p):
		return p, false, fmt.Errorf("%w: key %d is out of order", ErrDamaged, k.n)
	}
	k.n++
	k.last = p
	return p, true, nil
}

// begin reads the head, which has to say what the shipment says.
func (k *shipmentKeys) begin() error {
	file := io.TeeReader(io.LimitReader(k.in, k.of.Bytes), k.whole)
	head := make([]byte, manifestSize)
	if n, err := io.ReadFull(file, head); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return k.short(int64(n))
		}
		return fmt.Errorf("read shipment: %w", err)
	}
	m, err := parseManifest(head)
	if err != nil {
		return err
	}
	sh := k.of
	want := manifest{
		deleted: sh.Deleted, shape: sh.shape(), generation: sh.Generation, start: sh.Start, keys: sh.Keys, uploaded: sh.Uploaded, until: sh.Until, leaving: sh.Leaving > 0,
		sealing: sealing{fingerprint: sh.Fingerprint, sealed: sh.Sealed, salt: m.salt}, list: nameTag(sh.List), sum: m.sum,
	}
	switch {
	case m.fingerprint != want.fingerprint:
		return fmt.Errorf("%w: its head says %q, the shipment %q", ErrFingerprint, m.fingerprint, want.fingerprint)
	case m.list != want.list:
		return fmt.Errorf("%w: it belongs to another list than %q", ErrDamaged, sh.List)
	case m != want:
		return fmt.Errorf("%w: its head says generation %d, start %d, %d keys, and the shipment another", ErrDamaged, m.generation, m.start, m.keys)
	}
	if k.seal, err = k.vault.open(m.sealing, sealsKeys); err != nil {
		return err
	}
	k.head, k.form, k.file = m, head, file
	k.keys = newKeyReader(unsealed(io.TeeReader(io.LimitReader(file, int64(m.keys)*keySize), k.sum), k.seal, allKeys))
	return nil
}

// end is reached after as many bytes as the shipment has, or fewer.
func (k *shipmentKeys) end() error {
	if k.n < k.of.Keys {
		return k.short(manifestSize + int64(k.n)*keySize)
	}
	if k.head.leaving {
		l, err := readLeaving(k.file, k.form, k.n, k.seal)
		if err != nil {
			return err
		}
		if uint64(l.len()) != k.of.Leaving {
			return fmt.Errorf("%w: %d of its keys leave at a second of their own, the shipment says %d", ErrDamaged, l.len(), k.of.Leaving)
		}
		k.leaving = l
	}
	if n, err := io.ReadFull(k.in, make([]byte, 1)); n > 0 || err != io.EOF {
		if n == 0 {
			return fmt.Errorf("read shipment: %w", err)
		}
		return fmt.Errorf("%w: it has more than the %d bytes of the shipment", ErrDamaged, k.of.Bytes)
	}
	if !bytes.Equal(k.sum.Sum(nil), k.head.sum[:]) {
		return fmt.Errorf("%w: the checksum of its keys differs", ErrDamaged)
	}
	if !k.unsealed && hex.EncodeToString(k.whole.Sum(nil)) != k.of.SHA256 {
		return fmt.Errorf("%w: its checksum is not that of the shipment", ErrDamaged)
	}
	return nil
}

func (k *shipmentKeys) fault(err error) error {
	if k.keys.cut {
		return k.short(manifestSize + int64(k.n)*keySize)
	}
	return fmt.Errorf("read shipment: %w", err)
}

func (k *shipmentKeys) short(n int64) error {
	return fmt.Errorf("%w: it ends after some %d of %d bytes; fetch it again", ErrDamaged, n, k.of.Bytes)
}
