package replica

import (
	"sync/atomic"
	"time"
)

// LagBounds are the upper bounds of all but the last bucket of a Lag. Chosen: a message takes under a millisecond where all is well, and
// ten minutes are a node that was away.
var LagBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
}

// Lag is how long messages of other nodes took from when the broker stored them until they were applied, by the servers' clock as this node
// knows it: off by what an answer of the broker takes, at most. While that clock is not known, and before the ends of the streams were
// reached since the start, nothing is counted; a node that was away and catches up counts all that it missed.
type Lag struct {
	// Counts are messages by the bucket they fall in; the last is of those beyond all of LagBounds.
	Counts [len(LagBounds) + 1]uint64
	// Sum of all of them.
	Sum time.Duration
}

// lag is a Lag that is counted.
type lag struct {
	counts [len(LagBounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

func (l *lag) note(took time.Duration) {
	took = max(took, 0)
	bucket := 0
	for bucket < len(LagBounds) && took > LagBounds[bucket] {
		bucket++
	}
	l.counts[bucket].Add(1)
	l.sum.Add(int64(took))
}

func (l *lag) read() (r Lag) {
	for i := range l.counts {
		r.Counts[i] = l.counts[i].Load()
	}
	r.Sum = time.Duration(l.sum.Load())
	return r
}

// noteLag notes that a message of another node, which the broker stored at the time, is about to be applied.
func (c *cluster) noteLag(stored time.Time) {
	if c.clock.Load() != nil && c.events.wasAtEnd() && c.refusals.wasAtEnd() {
		c.lag.note(c.serversNow().Sub(stored))
	}
}

// wasAtEnd reports whether the follower has been at the end of its stream since the start.
func (f *follower) wasAtEnd() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reached
}
