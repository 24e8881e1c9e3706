package edge

import (
	"sync/atomic"
	"time"
)

// futureSeconds is how far ahead of now an event may stand: less is a clock that
// is a little off and is taken as now, more is refused. The contract's 5 minutes.
const futureSeconds = 5 * 60

// clock gives the second that a request is judged and stamped with. It never
// steps back: a wall clock that does would re-open caps. Safe for concurrent use.
type clock struct {
	// request: "now" is what the request says in `at`, for replays of old logs.
	request bool
	highest atomic.Uint32
}

// at returns the second of a request that came in at wall and says asked of
// itself (0: nothing). Under the requests' clock a request that says nothing is of
// the latest second that any said: the wall's time would make all of an old log too
// old to count.
func (c *clock) at(wall time.Time, asked uint32) uint32 {
	now := uint32(wall.Unix())
	if c.request {
		now = asked
	}
	if c.request && asked != 0 {
		c.raise(asked)
		return asked
	}
	return c.raise(now)
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
