package access

import (
	"sync/atomic"
	"time"
)

// bucket lets through so many at once and so many a second after that. It is the
// generic cell rate algorithm (ITU-T I.371): one number, the time at which all that was
// let through would be paid for at the steady rate. Nothing runs between two calls.
type bucket struct{ paid atomic.Int64 } // nanoseconds since a start of the caller's

// take counts one at now if there is room, and returns 0; else it counts nothing and
// returns how long until there is room for one. every is the time that one costs, burst
// the time that may be owed, at least every.
func (b *bucket) take(now, every, burst time.Duration) (wait time.Duration) {
	for {
		paid := b.paid.Load()
		owed := max(paid, int64(now)) + int64(every)
		if over := owed - int64(now) - int64(burst); over > 0 {
			return time.Duration(over)
		}
		if b.paid.CompareAndSwap(paid, owed) {
			return 0
		}
	}
}

// limit is the rate of one key.
type limit struct {
	bucket
	every, burst time.Duration
	refused      atomic.Uint64
}

// newLimit is nil for a key without a limit. A second is divided to the nanosecond, so
// that the highest rates are kept to 1 in 1,000.
func newLimit(k *Key) *limit {
	if k.Rate == 0 {
		return nil
	}
	every := time.Second / time.Duration(k.Rate)
	return &limit{every: every, burst: every * time.Duration(k.Burst)}
}
