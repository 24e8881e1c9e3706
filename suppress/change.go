package suppress

import (
	"bytes"
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
//	     4    1  version: 2 with an until, else 1
//	     5    1  1 add, 2 remove
//	     6    1  1 of identifiers, 2 of identifiers and items
//	     7    1  length of the list's name, 1 to 128
//	     8   32  fingerprint of the identifier secret, padded with zero bytes
//	    40    4  number of keys, 1 to MaxChangeKeys
//	    44    4  CRC-32C of the 44 bytes before and of what follows
//	    48    4  in version 2: until, Unix seconds
//	             the name, then the keys, 16 bytes each
type Change struct {
	List        string
	Fingerprint string // as Options.Fingerprint
	Op          Op
	Items       bool // as Declaration.Items
	// Until is when keys that are added leave by themselves; 0: never.
	Until uint32
	Keys  []Key
}

const (
	changeMagic   = "rslc"
	changeVersion = 2
	changeHead    = 48

	// MaxChangeBytes is the size of the largest Change in bytes: half of what a
	// NATS server takes by default (max_payload, 1 MiB).
	MaxChangeBytes = 512 << 10
	// MaxChangeKeys is how many keys one Change can have, whatever its list is called.
	MaxChangeKeys = (MaxChangeBytes - changeHead - 4 - maxNameBytes) / keySize
)

// AppendChange appends the binary form of c. On error dst is as it was.
func AppendChange(dst []byte, c *Change) ([]byte, error) {
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
	dst = append(dst, changeMagic...)
	dst = append(dst, version, byte(c.Op), byte(shapeOf(c.Items)), byte(len(c.List)))
	dst = appendFingerprint(dst, c.Fingerprint)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.Keys)))
	dst = append(dst, 0, 0, 0, 0)
	if c.Until != 0 {
		dst = binary.BigEndian.AppendUint32(dst, c.Until)
	}
	dst = append(dst, c.List...)
	for i := range c.Keys {
		dst = append(dst, c.Keys[i][:]...)
	}
	binary.BigEndian.PutUint32(dst[from+44:], changeChecksum(dst[from:]))
	return dst, nil
}

// isFingerprint says that a fingerprint is read from its padded field as it was.
func isFingerprint(f string) bool {
	return len(f) <= fingerprintSize && (f == "" || f[len(f)-1] != 0)
}

func changeChecksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:44], castagnoli), castagnoli, b[changeHead:])
}

// ParseChange decodes what AppendChange wrote, and nothing else. It aliases
// nothing of b. The error wraps ErrDamaged, or ErrVersion for a change that a
// newer program made.
func ParseChange(b []byte) (c Change, err error) {
	if len(b) < changeHead || len(b) > MaxChangeBytes || string(b[:4]) != changeMagic {
		return c, fmt.Errorf("parse change of %d bytes: %w: it is none", len(b), ErrDamaged)
	}
	if b[4] == 0 || b[4] > changeVersion {
		return c, fmt.Errorf("parse change: %w: version %d, this program reads %d; update this node", ErrVersion, b[4], changeVersion)
	}
	if changeChecksum(b) != binary.BigEndian.Uint32(b[44:]) {
		return c, fmt.Errorf("parse change of %d bytes: %w: its checksum differs", len(b), ErrDamaged)
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
	c.Keys = make([]Key, keys)
	for i := range c.Keys {
		c.Keys[i] = Key(rest[name+i*keySize:])
	}
	return c, nil
}

// ApplyChange joins in a change that came with a sequence of the stream: see
// Apply. A change that was made under another identifier secret is refused with
// ErrFingerprint, and one of keys of another form than the members have with
// ErrImport: then the generation that brings the new form is to be installed
// first, and the change applied after that. It must not be dropped.
func (s *Store) ApplyChange(seq uint64, c *Change) error {
	if c.Fingerprint != s.o.Fingerprint {
		return fmt.Errorf("apply change to list %q: %w: it says %q, this node has %q; start every node with the same secret",
			c.List, ErrFingerprint, c.Fingerprint, s.o.Fingerprint)
	}
	return s.apply(c.List, newChange(seq, c.Op, c.Until), shapeOf(c.Items), c.Keys)
}
