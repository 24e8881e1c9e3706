package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"sync/atomic"
)

// subkeys derives the token keys of (epoch, start, day) and keeps the latest used.
//
// The store is a fixed table of 128 pairs of slots: a pair holds the two latest
// keys that fall there. Losing one costs a derivation (about 3 us), never an
// answer. It has no lock: entries are immutable, and of two stores at once
// either may win.
type subkeys struct {
	epochs *Epochs
	slots  [128][2]atomic.Pointer[subkey]
}

type subkey struct {
	epoch int
	start uint64
	day   uint16
	aead  cipher.AEAD
}

func (k *subkeys) pair(start uint64, day uint16) *[2]atomic.Pointer[subkey] {
	// A start is random, so its low bits spread.
	return &k.slots[(start^uint64(day))%uint64(len(k.slots))]
}

// get returns the key of (epoch, start, day), nil of an epoch that this node has not; one that it had to derive is not kept.
func (k *subkeys) get(epoch int, start uint64, day uint16) *subkey {
	pair := k.pair(start, day)
	for i := range pair {
		if s := pair[i].Load(); s != nil && s.epoch == epoch && s.start == start && s.day == day {
			return s
		}
	}
	info := append(make([]byte, 0, 32), "token key "...)
	info = binary.BigEndian.AppendUint64(info, start)
	info = binary.BigEndian.AppendUint16(info, day)
	root, err := k.epochs.at(epoch, "token")
	if err != nil {
		return nil
	}
	block, err := aes.NewCipher(derive(root, string(info), 32))
	if err != nil {
		panic("BUG: token cipher: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: token cipher: " + err.Error())
	}
	return &subkey{epoch: epoch, start: start, day: day, aead: aead}
}

// put keeps s, in place of the older of its pair.
func (k *subkeys) put(s *subkey) {
	pair := k.pair(s.start, s.day)
	first := pair[0].Load()
	if first == s || pair[1].Load() == s {
		return
	}
	pair[1].Store(first)
	pair[0].Store(s)
}
