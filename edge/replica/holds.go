package replica

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"restraint/caps"
)

// holdsSubject carries holds, on core NATS: best effort. A hold that is lost is one that other nodes do not know of.
const holdsSubject = "restraint.holds"

// maxHolds is how many bytes of holds wait to be sent; more are dropped and counted. Chosen: some thousand.
const maxHolds = 512 << 10

// holdsLinger is how long a hold waits for others to share its message. Chosen: less than the next request of the person takes.
const holdsLinger = 500 * time.Microsecond

// holds sends the places that decisions hold to the other nodes. A decision never waits for it.
type holds struct {
	codec *Codec
	conn  *nats.Conn
	start string
	wake  chan struct{}

	mu      sync.Mutex
	waiting []byte // batches
	sending []byte

	sent    atomic.Uint64 // messages
	dropped atomic.Uint64 // holds
}

// add encodes the holds and returns at once.
func (h *holds) add(changes []caps.Change) {
	h.mu.Lock()
	before := len(h.waiting)
	var err error
	if h.waiting, err = h.codec.AppendBatch(h.waiting, changes); err != nil {
		h.mu.Unlock()
		panic("BUG: a hold cannot be encoded: " + err.Error())
	}
	if len(h.waiting) > maxHolds {
		h.waiting = h.waiting[:before]
		h.dropped.Add(uint64(len(changes)))
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *holds) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-h.wake:
		}
		pauseFor(holdsLinger, stop)
		h.mu.Lock()
		h.waiting, h.sending = h.sending[:0], h.waiting
		h.mu.Unlock()
		if len(h.sending) == 0 {
			continue
		}
		err := h.conn.PublishMsg(&nats.Msg{Subject: holdsSubject, Data: h.sending, Header: nats.Header{headerStart: {h.start}}})
		if err != nil {
			h.dropped.Add(1)
			continue
		}
		h.sent.Add(1)
	}
}
