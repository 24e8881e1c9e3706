package suppress

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Change is a change of one list as it goes from node to node. Its sequence is
// not in it: it is given by the stream that orders the changes for everybody.
//
// Numbers are big-endian.
//
//	offset size
//	     0    4  magic "rslc"
//	     4    1  version: 3 where it is sealed, else 2 with an until, else 1
//	     5    1  1 add, 2 remove
//	     6    1  1 of identifiers, 2 of identifiers and items
//	     7    1  length of the list's name, 1 to 128
//	     8   32  fingerprint of the identifier secret, padded with zero bytes; in
//	             version 3 that of its epoch, and a salt (seal.go)
//	    40    4  number of keys, 1 to MaxChangeKeys
//	    44    4  CRC-32C of the 44 bytes before and of what follows
//	    48    4  in version 2: until, Unix seconds
//	             the name, then the keys, 16 bytes each
//
// In version 3 the name stands at 48, and behind it AES-256-GCM of until, which may be
// 0, and the keys; all before it but the checksum is authenticated, and the tag of 16
// bytes is the end. The key is of epoch and salt, and has sealed nothing else.
type Change struct {
	List        string
	Fingerprint string // as Options.Fingerprint; of one that was sealed, of its epoch
	Op          Op
	Items       bool // as Declaration.Items
	// Until is when keys that are added leave by themselves; 0: never.
	Until uint32
	Keys  []Key
}

const (
	changeMagic   = "rslc"
	changeVersion = 3
	changeHead    = 48

	// MaxChangeBytes is the size of the largest Change in bytes: half of what a
	// NATS server takes by default (max_payload, 1 MiB).
	MaxChangeBytes = 512 << 10
	// MaxChangeKeys is how many keys one Change can have, whatever its list is called.
	MaxChangeKeys = (MaxChangeBytes - changeHead - 4 - maxNameBytes - sealTag) / keySize
)

// AppendChange appends the binary form of c, sealed in the epoch in use; that is its
// Fingerprint then. On error dst is as it was.
func (s *Store) AppendChange(dst []byte, c *Change) ([]byte, error) {
	form, block, err := s.vault.next(sealsChange)
	if err != nil {
		return dst, fmt.Errorf("encode change of list %q: %w", c.List, err)
	}
	c.Fingerprint = form.fingerprint
	return appendChange(dst, c, form, gcm(block))
}

// AppendChange appends the form of c that is not sealed. On error dst is as it was.
func AppendChange(dst []byte, c *Change) ([]byte, error) {
	return appendChange(dst, c, sealing{fingerprint: c.Fingerprint}, nil)
}

func appendChange(dst []byte, c *Change, form sealing, seal cipher.AEAD) ([]byte, error) {
	if err := checkName(c.List); err != nil {
		return dst, fmt.Errorf("encode change: %w", err)
	}
	if (c.Op != Add && (c.Op != Remove || c.Until != 0)) || len(c.Keys) == 0 || len(c.Keys) > MaxChangeKeys || !isFingerprint(c.Fingerprint) {
		return dst, fmt.Errorf("encode change of list %q: %w: op %d, %d keys, fingerprint of %d bytes; want Add or Remove, 1 to %d keys, at most %d bytes",
			c.List, ErrImport, c.Op, len(c.Keys), len(c.Fingerprint), MaxChangeKeys, fingerprintSize)
	}
	from, version := len(dst), byte(1)
	if c.Until != 0 {
		version = 2
	}
	if seal != nil {
		version = 3
	}
	dst = append(dst, changeMagic...)
	dst = append(dst, version, byte(c.Op), byte(shapeOf(c.Items)), byte(len(c.List)))
	dst = form.append(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.Keys)))
	dst = append(dst, 0, 0, 0, 0)
	if seal != nil {
		dst = append(dst, c.List...)
	}
	body := len(dst)
	if c.Until != 0 || seal != nil {
		dst = binary.BigEndian.AppendUint32(dst, c.Until)
	}
	if seal == nil {
		dst = append(dst, c.List...)
	}
	for i := range c.Keys {
		dst = append(dst, c.Keys[i][:]...)
	}
	if seal != nil {
		with := changeWith(dst[from:body])
		dst = append(dst, make([]byte, sealTag)...)
		seal.Seal(dst[body:body], make([]byte, sealNew), dst[body:len(dst)-sealTag], with)
	}
	binary.BigEndian.PutUint32(dst[from+44:], changeChecksum(dst[from:]))
	return dst, nil
}

// changeWith is what is authenticated of a sealed change: its head and name, but for
// the checksum.
func changeWith(head []byte) []byte {
	return append(append([]byte(nil), head[:44]...), head[changeHead:]...)
}

// isFingerprint says that a fingerprint is read from its padded field as it was.
func isFingerprint(f string) bool {
	return len(f) <= fingerprintSize && (f == "" || f[len(f)-1] != 0)
}

func changeChecksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:44], castagnoli), castagnoli, b[changeHead:])
}

// ParseChange decodes what AppendChange wrote, and nothing else. It aliases
// nothing of b. The error wraps ErrDamaged, ErrVersion for a change that a newer
// program made, or ErrEpoch for one that this node cannot open: those two must not be
// dropped.
func (s *Store) ParseChange(b []byte) (Change, error) { return parseChange(b, s.vault) }

// ParseChange decodes a change that is not sealed; of one that is the error wraps
// ErrEpoch.
func ParseChange(b []byte) (Change, error) { return parseChange(b, vault{}) }

func parseChange(b []byte, v vault) (c Change, err error) {
	if len(b) < changeHead || len(b) > MaxChangeBytes || string(b[:4]) != changeMagic {
		return c, fmt.Errorf("parse change of %d bytes: %w: it is none", len(b), ErrDamaged)
	}
	if b[4] == 0 || b[4] > changeVersion {
		return c, fmt.Errorf("parse change: %w: version %d, this program reads %d; update this node", ErrVersion, b[4], changeVersion)
	}
	if changeChecksum(b) != binary.BigEndian.Uint32(b[44:]) {
		return c, fmt.Errorf("parse change of %d bytes: %w: its checksum differs", len(b), ErrDamaged)
	}
	if b[4] == 3 {
		return parseSealedChange(b, v)
	}
	op, of, name, keys := Op(b[5]), shape(b[6]), int(b[7]), binary.BigEndian.Uint32(b[40:])
	rest, until := b[changeHead:], uint32(0)
	wrong := (op != Add && op != Remove) || (of != shapePlain && of != shapeItems) || keys == 0 || keys > MaxChangeKeys
	if b[4] == 2 && len(rest) >= 4 {
		until, rest = binary.BigEndian.Uint32(rest), rest[4:]
		wrong = wrong || op != Add
	}
	if wrong || (b[4] == 2) != (until != 0) || len(rest) != name+int(keys)*keySize {
		return c, fmt.Errorf("parse change of %d bytes: %w: op %d, form %d, %d keys", len(b), ErrDamaged, op, of, keys)
	}
	c = Change{List: string(rest[:name]), Op: op, Items: of == shapeItems, Until: until}
	if err := checkName(c.List); err != nil {
		return Change{}, fmt.Errorf("parse change: %w: %w", ErrDamaged, err)
	}
	c.Fingerprint = string(bytes.TrimRight(b[8:40], "\x00"))
	c.Keys = keysOf(rest[name:])
	return c, nil
}

// parseSealedChange decodes one of version 3, whose checksum is right.
func parseSealedChange(b []byte, v vault) (c Change, err error) {
	op, of, keys := Op(b[5]), shape(b[6]), binary.BigEndian.Uint32(b[40:])
	body := changeHead + int(b[7])
	if op != Add && op != Remove || of != shapePlain && of != shapeItems || keys == 0 || keys > MaxChangeKeys || len(b) != body+4+int(keys)*keySize+sealTag {
		return c, fmt.Errorf("parse change of %d bytes: %w: op %d, form %d, %d keys", len(b), ErrDamaged, op, of, keys)
	}
	form := parseSealing(b[8:40], true)
	c = Change{List: string(b[changeHead:body]), Op: op, Items: of == shapeItems, Fingerprint: form.fingerprint}
	if err := checkName(c.List); err != nil {
		return Change{}, fmt.Errorf("parse change: %w: %w", ErrDamaged, err)
	}
	block, err := v.open(form, sealsChange)
	if err != nil {
		return Change{}, fmt.Errorf("parse change of list %q: %w", c.List, err)
	}
	opened, err := gcm(block).Open(nil, make([]byte, sealNew), b[body:], changeWith(b[:body]))
	if err != nil {
		return Change{}, fmt.Errorf("parse change of list %q: %w: its seal is broken", c.List, ErrDamaged)
	}
	c.Until, c.Keys = binary.BigEndian.Uint32(opened), keysOf(opened[4:])
	if op == Remove && c.Until != 0 {
		return Change{}, fmt.Errorf("parse change of list %q: %w: a removal until a second", c.List, ErrDamaged)
	}
	return c, nil
}

func keysOf(b []byte) []Key {
	keys := make([]Key, len(b)/keySize)
	for i := range keys {
		keys[i] = Key(b[i*keySize:])
	}
	return keys
}

// Foreign says that a change, which ParseChange could read, was made under another
// identifier secret.
func (s *Store) Foreign(c *Change) bool { return s.vault.reads(c.Fingerprint) != nil }

// ApplyChange joins in a change that came with a sequence of the stream: see
// Apply. A change that was made under another identifier secret is refused with
// ErrFingerprint or ErrEpoch, and one of keys of another form than the members have with
// ErrImport: then the generation that brings the new form is to be installed
// first, and the change applied after that. It must not be dropped.
func (s *Store) ApplyChange(seq uint64, c *Change) error {
	if err := s.vault.reads(c.Fingerprint); err != nil {
		return fmt.Errorf("apply change to list %q: %w", c.List, err)
	}
	return s.apply(c.List, newChange(seq, c.Op, c.Until), shapeOf(c.Items), c.Keys)
}
