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
// string, under a key made when the Reader is, with what was asked mixed in. It may
// be forgotten at any time, which costs decoding the string again.
type Reader struct {
	cache   *ristretto.Cache[uint64, entry]
	key     [32]byte
	decoded atomic.Uint64
	refused atomic.Uint64
}

// entry is what is remembered of a string. It holds no pointer.
type entry struct {
	check uint64 // the half of the hash that is not the key
	says  gpp    // of a TCF string: tcf alone
}

// question is what a string is read for.
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
	// Refused are those of Decoded that were refused whole, or had a section in force
	// that was: they cannot be parsed, are not known or not to be believed.
	Refused uint64
}

// Stats returns the counts.
func (r *Reader) Stats() Stats {
	return Stats{Decoded: r.decoded.Load(), Refused: r.refused.Load()}
}

// says returns what a string says, from memory or by reading it. The work is bounded
// by the length, which is bounded here.
func (r *Reader) says(dst *gpp, text []byte, q question) {
	if len(text) > MaxString {
		*dst = gpp{}
		dst.problem = GPPUnreadable
		dst.tcf.problem = TCFUnreadable
		return
	}
	key, check := r.place(text, q)
	if e, ok := r.cache.Get(key); ok && e.check == check {
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
	if dst.problem != Nothing || dst.tcf.problem != Nothing || dst.canada.problem != Nothing {
		r.refused.Add(1)
	}
	r.cache.Set(key, entry{check: check, says: *dst}, EntryBytes)
}

// place returns where the answer to a question about a string is remembered: 128
// bits. Those of one string differ for any two questions, since each half takes up
// its part of the question one to one; those of two strings are the same once in
// 2^128, whatever is asked, since the hash is keyed.
func (r *Reader) place(text []byte, q question) (key, check uint64) {
	sum := highwayhash.Sum128(text, r.key[:])
	rest := uint64(q.vendor) << 1
	if q.tcf {
		rest |= 1
	}
	key = binary.LittleEndian.Uint64(sum[:]) ^ uint64(q.named)*0x9E3779B97F4A7C15
	return key, binary.LittleEndian.Uint64(sum[8:]) ^ rest*0xC2B2AE3D27D4EB4F
}
