// Package caps answers one question, exactly: how often has this user seen this?
//
// A counter is the small set of its latest exposures. For a user key and a scope (a campaign, an advertiser, a group, one of these in
// one channel, ...) the store keeps the newest Keep exposures, each a second and a 32-bit identity. "At most N in any window" is then
// exact for every window at once: the N-th newest exposure is older than the window or it is not. The same exposure reported again is
// the same exposure. A person with several identifiers is the union of the exposures of all of them.
//
// Every change is a merge (see merge.go): an exposure, a hold, a release, a purchase, a choice, an erasure and the whole record of a
// peer are joined by the same function, so they may come twice, late and in any order.
//
// What the store had to drop leaves a cut: the newest second dropped. A window that reaches back to a cut counts as full. So a bound, an
// eviction or a raised limit can skip a showing too many and never shows one too many. Two things leave no cut. What is older than the
// retention, of the store or of the record (see Retention), because no window reaches further back; whoever raises the retention gets back what came after, not what is gone. And a
// collision of two scopes in one user's record (see tagOf), which makes them one counter, that can only be fuller; the one answer that
// it can turn towards show is Run.
//
// The package does no I/O, starts no goroutine (but one to end the process, see shard.unlock) and has no clock: the callers pass the time, and the store goes by the latest that it
// was ever given, so that a clock that steps back re-opens nothing. Memory is pointer-free (see table), in shards with a mutex each.
// Where several shards are locked, they are locked in ascending order; nothing else is locked inside them but the pool of segments.
package caps

import (
	"errors"
	"math/bits"
	"sync/atomic"
)

// Key is the keyed 128-bit hash of one identifier. It must be uniformly distributed.
type Key = [16]byte

// Second is a Unix time in seconds, good to the year 2106. Zero is never.
type Second uint32

// Never is later than any second that can be stored.
const Never = ^Second(0)

// Bounds, chosen.
const (
	// MaxKeys is the number of keys of one person.
	MaxKeys = 16
	// MaxHold is the longest time in seconds that a place can be held, and how long the trace of an impression or of a release
	// outlasts it so that it also beats a hold that comes later. OpenRTB expects an impression of a video 30 minutes after the bid
	// and more.
	MaxHold = 2 * 60 * 60
	// MaxScopes is the number of scopes in one user's record. The one idle longest goes, and is counted.
	MaxScopes = 1024
	// MaxHoldRows is the number of holds and releases in one user's record. The one that ends soonest goes, leaving a cut.
	MaxHoldRows = 512
	// MinShardMemory is the least budget of a shard in bytes.
	MinShardMemory = 64 << 10
)

// ErrFull says that the budget of refusals, or one user's record of them, has no room. Nothing was applied.
var ErrFull = errors.New("refusals full: raise the memory for refusals")

// Options of a Store. Sizes are in bytes, times in seconds.
type Options struct {
	// Memory is the budget of exposures and holds, all in: records, index, garbage. At least MinShardMemory for each shard is used.
	Memory int64
	// RefusalMemory is the budget of purchases, choices and erasures, which are never evicted.
	RefusalMemory int64
	// Retention is how long an exposure is kept, unless its record has a shorter one of its own. Zero means 90 days.
	Retention uint32
	// PurchaseRetention is how long a purchase is kept. Zero means 400 days.
	PurchaseRetention uint32
	// Shards is a power of two. Zero means one for each 8 MiB of Memory, at least 16 and at most 8,192.
	Shards int
	// Beside, unless nil, is kept and shared with the store.
	Beside Beside
}

// A Store holds the records of all users. Its methods may be called concurrently. It keeps none of the slices that it is given.
type Store struct {
	shards            []shard
	shift             uint // of a hash, to its shard
	pool              pool
	clock             atomic.Uint32
	retention         atomic.Uint32
	purchaseRetention atomic.Uint32
	late              atomic.Uint64
	refused           atomic.Uint64
	limits            atomic.Pointer[Limits]
	cursor            atomic.Uint64 // of Sweep
	beside            Beside        // nil: none
}

// New returns an empty store. It panics when Shards is not a power of two.
func New(o Options) *Store {
	n := o.Shards
	if n == 0 {
		n = 16
		for n < 8192 && int64(n)*(8<<20) < o.Memory {
			n *= 2
		}
		for n > 1 && int64(n)*MinShardMemory > o.Memory {
			n /= 2
		}
	}
	if n < 1 || n&(n-1) != 0 {
		panic("caps: Options.Shards is not a power of two")
	}
	s := &Store{shards: make([]shard, n), shift: uint(64 - bits.TrailingZeros(uint(n))), beside: o.Beside}
	for i := range s.shards {
		s.shards[i].init(o.Memory/int64(n), o.RefusalMemory/int64(n), &s.pool)
	}
	if o.Retention == 0 {
		o.Retention = 90 * 24 * 60 * 60
	}
	if o.PurchaseRetention == 0 {
		o.PurchaseRetention = 400 * 24 * 60 * 60
	}
	s.SetRetention(o.Retention, o.PurchaseRetention)
	return s
}

// SetRetention changes how many seconds exposures and purchases are kept.
func (s *Store) SetRetention(exposures, purchases uint32) {
	s.retention.Store(exposures)
	s.purchaseRetention.Store(purchases)
}

// Now is the latest second that the store was ever given: the one that it goes by.
func (s *Store) Now() Second { return Second(s.clock.Load()) }

// tick takes note of the time and returns the one to go by.
func (s *Store) tick(now Second) Second {
	for {
		high := s.clock.Load()
		if uint32(now) <= high {
			return Second(high)
		}
		if s.clock.CompareAndSwap(high, uint32(now)) {
			return now
		}
	}
}

// rules are what a merge goes by. Whatever has a second below a floor does not exist.
type rules struct {
	now           Second
	horizon       Second // floor of every user's exposures, by the retention
	floor         Second // of this user's exposures: the horizon, or the second after the erasure
	purchaseFloor Second
	passingFloor  Second // of choices that pass
	erased        Second
}

func (s *Store) rules(now Second) rules {
	now = s.tick(now)
	horizon := max(1, before(now, s.retention.Load()))
	return rules{
		now:           now,
		horizon:       horizon,
		floor:         horizon,
		purchaseFloor: max(1, before(now, s.purchaseRetention.Load())),
		passingFloor:  before(now, PassingRetention),
	}
}

// forAll returns the rules for users of whose erasures nothing new is known.
func (r rules) forAll() rules {
	r.floor = r.horizon
	return r
}

// under returns the rules for a user whose erasure is at e.
func (r rules) under(e Second) rules {
	if e != 0 {
		r.erased = e
		r.floor = max(r.floor, after(e, 1))
		r.purchaseFloor = max(r.purchaseFloor, after(e, 1))
	}
	return r
}

// after and before add and subtract without wrapping round.
func after(t Second, d uint32) Second {
	if sum := t + Second(d); sum >= t {
		return sum
	}
	return Never
}

func before(t Second, d uint32) Second {
	if uint32(t) <= d {
		return 0
	}
	return t - Second(d)
}
