package edge

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A node that is asked more than it can answer answers late, and an ad server whose own
// deadline is over has no use for that. To refuse costs the node nearly what to answer does,
// since most of either is to read the request; what helps is that a caller who is refused
// (503) asks another node for a while. So a small part of the requests is refused, which
// grows while the node is late and shrinks when it is not, until as many callers have gone
// elsewhere as are too many. Most of those who stay are answered in time.
//
// How late a request is nobody can tell from the request: it waits in the kernel and for a
// processor before the node sees it. So the node feels its own pulse: it sends itself a few
// bytes, on the way that requests come, and looks when they arrive. One late pulse is none,
// since a collection or a busy machine makes a few: late is a beat in which none is in time
// (CoDel, RFC 8289, takes the least wait of an interval for the same reason).
//
// Reports are not refused: they say what has happened, and are worth as much when late.
const (
	pulseEvery = 10 * time.Millisecond // Chosen: on an idle machine it takes 1 % of a processor
	beat       = 10                    // pulses, due or late, after which the part is looked at. Chosen: 100 ms
	// Of shedAll requests so many are refused after the first late beat, a quarter more after
	// each further one, and a sixteenth less after one that is not: slower than callers come
	// back, or all would go and come together. By BenchmarkOverload of cmd/restraint.
	shedAll   = 1 << 12
	shedLeast = shedAll / 512
	shedMost  = shedAll - shedAll/16
)

// shedding is how much of what it is asked a node refuses.
type shedding struct {
	limit time.Duration // how long a request may wait; 0: for ever
	part  atomic.Uint32 // of shedAll
	felt  atomic.Int64  // the last pulse, ns

	// Of the one who feels the pulse:
	pulses       int
	inTime, late bool // of this beat
}

// refuses says whether the request that asks is one of the part. It costs nothing while
// none is.
func (s *shedding) refuses() bool {
	part := s.part.Load()
	return part > 0 && rand.Uint32N(shedAll) < part
}

// wait is how long a request has to wait for a processor, by the last pulse.
func (s *shedding) wait() time.Duration { return time.Duration(s.felt.Load()) }

// feel takes in that a pulse came after so long, or, where it has not come, that it is on its
// way since.
func (s *shedding) feel(wait time.Duration, came bool) {
	switch {
	case wait > s.limit:
		s.late = true
	case came:
		s.inTime = true
	}
	if came || wait > s.wait() {
		s.felt.Store(int64(wait))
	}
	if s.pulses++; s.pulses < beat {
		return
	}
	part := s.part.Load()
	switch {
	case s.late && !s.inTime:
		s.part.Store(min(shedMost, part+max(shedLeast, part/4)))
	case s.inTime:
		s.part.Store(part - min(part, max(1, part/16)))
	}
	s.pulses, s.late, s.inTime = 0, false, false
}

// feelPulse feels the pulse until ctx ends. The bytes go through a pipe, which the runtime
// asks the kernel about together with the connections, and to a goroutine of their own,
// which waits for them as that of a connection does.
func (n *Node) feelPulse(ctx context.Context) {
	if n.shedding.limit == 0 {
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		n.log.Warn("no pipe: requests are not refused however long they wait (limits.wait)", "error", err.Error())
		return
	}
	var came atomic.Int64 // pulses
	var took atomic.Int64 // the last one, ns
	ended := make(chan struct{})
	start := time.Now()
	go func() {
		defer close(ended)
		var sent [8]byte
		for {
			if _, err := io.ReadFull(r, sent[:]); err != nil {
				return // the other end is closed
			}
			took.Store(int64(time.Since(start)) - int64(binary.LittleEndian.Uint64(sent[:])))
			came.Add(1)
		}
	}()
	defer func() { w.Close(); <-ended; r.Close() }()
	ticker := time.NewTicker(pulseEvery)
	defer ticker.Stop()
	for sent, at := int64(0), time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Since(start)
		if came.Load() < sent {
			n.shedding.feel(now-at, false)
			continue
		}
		if sent > 0 {
			n.shedding.feel(time.Duration(took.Load()), true)
		}
		if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(now))); err != nil {
			return
		}
		sent, at = sent+1, now
	}
}

// isReport says whether a path of the bid listener is one on which something is reported, or
// somebody says what they want.
func isReport(path []byte) bool {
	rows := doorsOf(path)
	return len(rows) > 0 && rows[0].bid && string(path) != "/v1/decide"
}

// shedAnswer is what a request is told that is refused so, made once.
var shedAnswer = func() []byte {
	return appendJSON(nil, newProblem(fasthttp.StatusServiceUnavailable,
		"the node is asked more than it can answer in time (limits.wait); ask another, or this one again"))
}()

// shed refuses a request, for as little as it can. The connection stays: a new one would cost
// more.
func (n *Node) shed(ctx *fasthttp.RequestCtx) {
	n.metrics.shed.Inc()
	body, length := ctx.RequestBodyStream(), ctx.Request.Header.ContentLength()
	if body != nil && length >= 0 && length <= decideBytes {
		_, _ = io.Copy(io.Discard, body) // what is left is seen by guard, as is one in chunks
	}
	ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	ctx.SetContentType("application/problem+json")
	ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
	ctx.SetBody(shedAnswer)
}
