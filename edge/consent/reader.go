package consent

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/minio/highwayhash"
)

// MaxString is the length in bytes beyond which a string is not read, and so
// refuses: openrtb.MaxConsent. Chosen; the longest real strings are near 2,000.
const MaxString = 8 << 10

// EntryBytes is what one decoded string is taken to cost in memory: the entry and
// ristretto's own bookkeeping, measured by TestMemoryOfEntries.
const EntryBytes = 320

// Reader reads consent signals and remembers what strings it has seen say. It is
// safe for concurrent use.
//
// No string is kept. What is remembered is found by 128 bits of a keyed hash of the
// string, under a key made when the Reader is, with the vendor and the sections in
// force compared in full: a string is taken for another once in 2^128. It may be
// forgotten at any time, which costs decoding it again.
type Reader struct {
	cache   *ristretto.Cache[uint64, entry]
	key     [32]byte
	decoded atomic.Uint64
}

// entry is what is remembered of a string. It holds no pointer.
type entry struct {
	check uint64 // the half of the hash that is not the key
	asked question
	says  gpp // of a TCF string: tcf alone
}

// question is what a string was read for.
type question struct {
	named  sections // those in force of a GPP string; 0 for all
	vendor uint16
	tcf    bool // the string is a TCF string
}

// New returns a Reader that uses about so many bytes for what it remembers, at
// least EntryBytes. Close it when done.
func New(bytes int64) (*Reader, error) {
	if bytes < EntryBytes {
		return nil, fmt.Errorf("remember consent strings in %d bytes: give at least %d", bytes, EntryBytes)
	}
	r := &Reader{}
	if _, err := rand.Read(r.key[:]); err != nil {
		return nil, fmt.Errorf("make key of consent strings: %w", err)
	}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, entry]{
		NumCounters:            max(1, 10*(bytes/EntryBytes)),
		MaxCost:                bytes,
		BufferItems:            64,
		IgnoreInternalCost:     true,
		KeyToHash:              func(k uint64) (uint64, uint64) { return k, 0 },
		TtlTickerDurationInSec: 3600, // nothing expires
	})
	if err != nil {
		return nil, fmt.Errorf("open cache of consent strings: %w", err)
	}
	r.cache = cache
	return r, nil
}

// Close stops what the Reader runs. It may not be used afterwards.
func (r *Reader) Close() { r.cache.Close() }

// Stats are counts since the Reader was made.
type Stats struct {
	Decoded uint64 // strings that had to be decoded: not seen before, or forgotten
}

// Stats returns the counts.
func (r *Reader) Stats() Stats { return Stats{Decoded: r.decoded.Load()} }

// says returns what a string says, from memory or by reading it.
func (r *Reader) says(dst *gpp, text []byte, q question) {
	if len(text) > MaxString {
		*dst = gpp{}
		dst.problem = GPPUnreadable
		dst.tcf.problem = TCFUnreadable
		return
	}
	sum := highwayhash.Sum128(text, r.key[:])
	key, check := binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])
	// Mixing in the question is undone by comparing it, so no two strings of one
	// question come to share a key and a check by it.
	key ^= q.mix()
	if e, ok := r.cache.Get(key); ok && e.check == check && e.asked == q {
		*dst = e.says
		return
	}
	r.decoded.Add(1)
	if q.tcf {
		*dst = gpp{}
		dst.tcf = readTCF(text, q.vendor)
	} else {
		*dst = parseGPP(text, q.named, q.vendor)
	}
	r.cache.Set(key, entry{check: check, asked: q, says: *dst}, EntryBytes)
}

// mix spreads a question over 64 bits, so that one string asked about in several
// ways takes as many places.
func (q question) mix() uint64 {
	m := uint64(q.named)*0x9E3779B97F4A7C15 ^ uint64(q.vendor)*0xC2B2AE3D27D4EB4F
	if q.tcf {
		m = ^m
	}
	return m
}
