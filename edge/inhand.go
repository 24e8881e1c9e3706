package edge

import (
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Bodies are read whole before they are looked at, and nobody is trusted with how many are
// read at once: what all of them take is counted, and a body that would be too much is
// refused while it is read (503). Short ones are free, so that a decision pays nothing: so
// many bytes a connection, at most.
const (
	freeBytes = 64 << 10  // of each body
	mostBytes = 256 << 20 // of all of them beyond that. Chosen: 32 of the longest batches of events
)

// batchBytes is from where on a body of events is a batch that takes milliseconds to work
// on. Of such batches half as many as there are processors are worked on at a time, the
// others wait: the rest of the processors is for decisions. Chosen.
const batchBytes = 8 << 10

// keptReports is the length of the longest batch of events whose memory is kept for the
// next. Chosen.
const keptReports = 1 << 10

// inHand is what the body of one request takes of what all may.
type inHand struct {
	of    *atomic.Int64 // bytes, of all requests
	bytes int64
}

// holds notes that the body takes so many bytes, and says whether it may.
func (h *inHand) holds(size int) bool {
	if size <= freeBytes {
		return true
	}
	more := int64(size) - h.bytes
	if h.of.Add(more) > mostBytes {
		h.of.Add(-more)
		return false
	}
	h.bytes += more
	return true
}

// end gives back what the body took.
func (h *inHand) end() {
	if h.bytes > 0 {
		h.of.Add(-h.bytes)
		h.bytes = 0
	}
}

func tooMuchInHand() *problem {
	p := newProblem(fasthttp.StatusServiceUnavailable, "the node has as many long bodies in hand as it may hold; send this one again, or less at once")
	p.retryAfter = 1
	return p
}

// A caller who does not wait for answers before the next request (pipelining) always has one
// ready, and would have a processor to itself: the runtime looks for requests of others when
// a goroutine waits. So after some that came ahead it waits for a moment.
const (
	aheadMost = 32
	aheadWait = time.Millisecond
)

// inTurn is called before each request of the connection is served.
func (c *watchedConn) inTurn() {
	if !c.same {
		return
	}
	if c.ahead++; c.ahead >= aheadMost {
		c.ahead = 0
		c.listener.turns.Add(1)
		time.Sleep(aheadWait)
	}
}
