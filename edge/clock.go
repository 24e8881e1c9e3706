package edge

import (
	"sync/atomic"
	"time"
)

// futureSeconds is how far ahead of now an event may stand: less is a clock that
// is a little off and is taken as now, more is refused. The contract's 5 minutes.
const futureSeconds = 5 * 60

// clockBound is how far the wall clock may be from what it is measured by. Chosen:
// far above what machines that ask a time server are off by, and a fifth of how far
// ahead an event may stand.
const clockBound = time.Minute

// clock gives the second that a request is judged and stamped with. It never
// steps back: a wall clock that does would re-open caps. Nor does it follow a wall
// clock that steps ahead, which would make the node forget what is still to count: it
// goes by the monotonic clock, until the servers of the cluster say that the wall
// clock is right, or the node is started anew. Safe for concurrent use.
type clock struct {
	// request: "now" is what the request says in `at`, for replays of old logs.
	request bool
	highest atomic.Uint32
	anchor  atomic.Pointer[anchor]
	offset  atomic.Int64 // of the wall clock when it was last checked, in ns
}

// anchor is a moment at which the time is known.
type anchor struct {
	local time.Time     // with the monotonic clock
	ahead time.Duration // of local's wall clock
}

// time returns the time at which the local clocks were as now says.
func (a *anchor) time(now time.Time) time.Time {
	return a.local.Round(0).Add(now.Sub(a.local) - a.ahead)
}

// check compares the wall clock of now with the servers', which was as servers says
// when the local clocks were as asked says; or, if that is zero, with the time that
// goes on from the last check. Call it about every second.
func (c *clock) check(now, asked, servers time.Time) {
	last := c.anchor.Load()
	ahead := time.Duration(0)
	switch {
	case !servers.IsZero():
		ahead = now.Round(0).Sub(servers.Add(now.Sub(asked)))
	case last != nil:
		ahead = now.Round(0).Sub(last.time(now))
	}
	c.offset.Store(int64(ahead))
	if ahead.Abs() <= clockBound {
		ahead = 0
	}
	c.anchor.Store(&anchor{now, ahead})
}

// wrong says how far the wall clock is ahead, where that is over the bound.
func (c *clock) wrong() (ahead time.Duration, wrong bool) {
	ahead = time.Duration(c.offset.Load())
	return ahead, ahead.Abs() > clockBound
}

// wall returns the second of local time, by the last check where the wall clock has
// stepped since.
func (c *clock) wall(now time.Time) uint32 {
	a := c.anchor.Load()
	if a == nil {
		return uint32(now.Unix())
	}
	known := a.time(now)
	if a.ahead == 0 && now.Round(0).Sub(known).Abs() <= clockBound {
		return uint32(now.Unix())
	}
	return uint32(known.Unix())
}

// at returns the second of a request that came in at now and says asked of
// itself (0: nothing). Under the requests' clock a request that says nothing is of
// the latest second that any said: the wall's time would make all of an old log too
// old to count.
func (c *clock) at(now time.Time, asked uint32) uint32 {
	if !c.request {
		return c.raise(c.wall(now))
	}
	if asked == 0 {
		return c.highest.Load()
	}
	c.raise(asked)
	return asked
}

// raise returns the highest second so far, now included.
func (c *clock) raise(now uint32) uint32 {
	for {
		highest := c.highest.Load()
		if now <= highest {
			return highest
		}
		if c.highest.CompareAndSwap(highest, now) {
			return now
		}
	}
}
