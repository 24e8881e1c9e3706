// Package identity turns what callers send about a person into values that say
// nothing without the cluster's secret, and lets a cluster recognise them again.
//
//	Secret   32 random bytes that all nodes of a cluster share, and the secrets of its epochs
//	Epochs   what is written to disk and wire is sealed under, one after the other (epoch.go)
//	Hasher   (source, identifier) -> 128-bit user key
//	Tags     names of campaigns, items, groups, lists -> 64-bit tags; events -> 32-bit exposure identities
//	Tokens   what one answer stands for, sealed so that a browser can carry it
//
// Every value depends on the secret alone, so all nodes agree without talking,
// and nothing here keeps a raw identifier or a name. Everything but Grant is
// safe for concurrent use.
package identity

import (
	"encoding/binary"

	"github.com/minio/highwayhash"
)

// Key is the user key: what a person's identifier becomes at the door.
// It is the same for the same (source, identifier) under the same secret.
type Key = [16]byte

// Hasher makes user keys. It is safe for concurrent use.
type Hasher struct {
	key hidden[[32]byte]
}

// NewHasher returns the hasher of the secret's cluster.
func NewHasher(s Secret) *Hasher {
	return &Hasher{key: hide([32]byte(s.derive("user key", 32)))}
}

// Bounds up to which Key works on the stack. The second holds the longest
// identifier and source that the request parser lets through.
const (
	keyStackSmall = 192
	keyStackLarge = 4 + 128 + 1024
)

// Key returns the user key of an identifier: HighwayHash-128 of
//
//	4 bytes  length of source, little endian
//	...      source
//	...      id
//
// under a subkey of the secret. The length in front keeps ("ab", "c") and
// ("a", "bc") apart. Neither argument is kept. It does not allocate for
// arguments of up to 1,152 bytes together. Case and white space count: the
// caller normalises first where the source asks for it.
func (h *Hasher) Key(source string, id []byte) Key {
	switch n := 4 + len(source) + len(id); {
	case n <= keyStackSmall:
		var buf [keyStackSmall]byte
		return h.sum(buf[:0], source, id)
	case n <= keyStackLarge:
		var buf [keyStackLarge]byte
		return h.sum(buf[:0], source, id)
	default:
		return h.sum(make([]byte, 0, n), source, id)
	}
}

func (h *Hasher) sum(buf []byte, source string, id []byte) Key {
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(source)))
	buf = append(buf, source...)
	buf = append(buf, id...)
	return highwayhash.Sum128(buf, h.key.get()[:])
}
