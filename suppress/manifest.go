package suppress

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// manifest is the head of a key file. Numbers are big-endian.
//
//	offset size
//	     0    8  magic "restrkey"
//	     8    4  version: 3 where it is sealed, else 2 where keys leave by themselves,
//	             else 1
//	    12    4  flags: 1 deleted, 2 of identifiers, 4 of identifiers and items,
//	             8 some keys leave at a second of their own (leaving.go)
//	    16    8  generation
//	    24    8  start: changes up to this sequence are in the keys
//	    32    8  number of keys
//	    40    4  when the keys leave, Unix seconds; 0: never
//	    44    4  uploaded, Unix seconds
//	    48   32  fingerprint of the identifier secret, padded with zero bytes; in
//	             version 3 that of its epoch, and a salt (seal.go)
//	    80   16  first half of SHA-256 of the list's name
//	    96   32  SHA-256 of the keys, as they stand there
//	   128   32  SHA-256 of the 128 bytes before
//	   160       the keys, 16 bytes each, strictly ascending; sealed in version 3
//	             what leaving.go says, where the flags say so
type manifest struct {
	deleted    bool
	shape      shape
	generation uint64
	start      uint64
	keys       uint64
	until      uint32 // 0: never
	leaving    bool
	uploaded   uint64
	sealing
	list [16]byte
	sum  [32]byte
}

const (
	manifestMagic   = "restrkey"
	manifestVersion = 3
	manifestSize    = 160
	fingerprintSize = 32
	keySize         = 16

	// maxKeys keeps count times key size well inside an int64 (chosen).
	maxKeys = 1 << 40
)

func nameTag(list string) (tag [16]byte) {
	sum := sha256.Sum256([]byte(list))
	return [16]byte(sum[:16])
}

func (m *manifest) append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, manifestMagic...)
	version, flags := uint32(1), uint32(m.shape)<<1
	if m.deleted {
		flags |= 1
	}
	if m.leaving {
		flags |= 8
	}
	if m.until != 0 || m.leaving {
		version = 2
	}
	if m.sealed {
		version = 3
	}
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, flags)
	for _, n := range [...]uint64{m.generation, m.start, m.keys, uint64(m.until)<<32 | m.uploaded} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	dst = m.sealing.append(dst)
	dst = append(dst, m.list[:]...)
	dst = append(dst, m.sum[:]...)
	sum := sha256.Sum256(dst[from:])
	return append(dst, sum[:]...)
}

// parseManifest decodes and verifies the head; the keys are another matter.
func parseManifest(b []byte) (m manifest, err error) {
	if len(b) < manifestSize {
		return m, fmt.Errorf("parse key file head of %d bytes: %w: it has %d", len(b), ErrDamaged, manifestSize)
	}
	if sum := sha256.Sum256(b[:128]); !bytes.Equal(sum[:], b[128:160]) {
		return m, fmt.Errorf("parse key file head: %w: its checksum differs", ErrDamaged)
	}
	if v := binary.BigEndian.Uint32(b[8:]); string(b[:8]) == manifestMagic && v > manifestVersion {
		return m, fmt.Errorf("parse key file head: %w: %w: version %d, this program reads %d", ErrDamaged, ErrVersion, v, manifestVersion)
	}
	version := binary.BigEndian.Uint32(b[8:])
	if string(b[:8]) != manifestMagic || version == 0 {
		return m, fmt.Errorf("parse key file head %q version %d: %w: this program reads %q version %d",
			b[:8], version, ErrDamaged, manifestMagic, manifestVersion)
	}
	flags := binary.BigEndian.Uint32(b[12:])
	m.deleted, m.leaving, m.shape = flags&1 != 0, flags&8 != 0, shape(flags>>1&^4)
	m.generation = binary.BigEndian.Uint64(b[16:])
	m.start = binary.BigEndian.Uint64(b[24:])
	m.keys = binary.BigEndian.Uint64(b[32:])
	m.until = binary.BigEndian.Uint32(b[40:])
	m.uploaded = uint64(binary.BigEndian.Uint32(b[44:]))
	m.sealing = parseSealing(b[48:80], version == 3)
	copy(m.list[:], b[80:])
	copy(m.sum[:], b[96:])
	if m.shape > shapeItems || m.keys > maxKeys || version < 3 && (version == 2) != (m.until != 0 || m.leaving) {
		return m, fmt.Errorf("parse key file head of %d keys: %w: a field is out of bounds", m.keys, ErrDamaged)
	}
	return m, nil
}

// bytes are those of head and keys.
func (m *manifest) bytes() int64 { return manifestSize + int64(m.keys)*keySize }

// appendFingerprint pads with zero bytes; Open has checked the length.
func appendFingerprint(dst []byte, fingerprint string) []byte {
	var field [fingerprintSize]byte
	copy(field[:], fingerprint)
	return append(dst, field[:]...)
}
