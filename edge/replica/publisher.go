package replica

import (
	"context"
	"errors"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How the outbox is sent on. Chosen, but for what ack says.
const (
	// linger is how long a change waits for others to share its message.
	linger = 2 * time.Millisecond
	// window is how many messages are on their way at once.
	window = 256
	// ackWithin is how long the oldest may be without an answer. A server without a leader does not answer at all.
	ackWithin = 2 * time.Second
	// retryLeast and retryMost bound the pause before everything unanswered is sent again.
	retryLeast, retryMost = 20 * time.Millisecond, time.Second
)

// publisher sends what the outbox has of one content to its stream, in order, and again until it is acknowledged (go-back-N): one
// goroutine, a window of messages on their way, and after an error, a silence or a lost connection all that is unanswered once more: then
// one at a time, until one is stored, so that what cannot be stored does not have what follows it stored again and again. An error never
// means that a message was not stored; as all changes are merges, that does no harm.
type publisher struct {
	js        jetstream.JetStream
	connected func() bool
	lostTouch func() uint64 // how often a connection was lost
	cutter    cutter
	start     string        // see headerStart
	wake      chan struct{} // something was appended
	synced    time.Duration // after so long an acknowledged message has outlived a loss of the broker's power
	now       func() time.Time
	notices   *notices

	ways     []onItsWay
	deadline time.Time // of the first of them
	pause    time.Duration
	said     string       // the refusal that was logged last
	last     lastStored   // the message that was acknowledged last
	touch    uint64       // lostTouch when the stream was last known to have it
	behind   atomic.Int64 // since when something waits to be acknowledged, in ns; 0: nothing does
	restart  atomic.Bool

	sent    atomic.Uint64 // messages acknowledged
	resent  atomic.Uint64 // times that the window was sent again
	refused atomic.Uint64 // messages that a server refused

	mu    sync.Mutex
	acked Position // all before it has been acknowledged
	marks []mark   // ascending
}

type onItsWay struct {
	ack     jetstream.PubAckFuture
	through Position
	sum     uint32 // of the message
}

// lastStored is a message that was acknowledged.
type lastStored struct {
	sequence uint64 // 0: none
	sum      uint32
}

// mark is how far the acknowledgements had come at a time.
type mark struct {
	at    time.Time
	acked Position
}

// headerStart names the process that sent a message: what it sent, it has applied itself.
const headerStart = "Restraint-Start"

// signal says that something was appended.
func (p *publisher) signal() {
	p.behind.CompareAndSwap(0, p.now().UnixNano())
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// again makes the publisher send the whole outbox once more: the broker has lost what it had acknowledged.
func (p *publisher) again() {
	p.restart.Store(true)
	p.signal()
}

// run publishes until stop is closed.
func (p *publisher) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer p.cutter.tail.close()
	for !ended(stop) {
		if p.restart.Swap(false) {
			p.forget()
		}
		err := p.prove(stop)
		if err == nil {
			err = p.fillWindow()
		}
		if err != nil {
			p.goBack(stop, err)
			continue
		}
		wait := p.idle()
		var ok <-chan *jetstream.PubAck
		var failed <-chan error
		if len(p.ways) > 0 {
			ok, failed = p.ways[0].ack.Ok(), p.ways[0].ack.Err()
			wait = max(0, p.deadline.Sub(p.now()))
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case ack := <-ok:
			p.answered(ack)
			p.drain()
		case err := <-failed:
			p.goBack(stop, err)
		case <-timer.C:
			if len(p.ways) > 0 {
				p.goBack(stop, errNoAck)
			}
		case <-p.wake:
			pauseFor(linger, stop)
		}
	}
}

// prove looks, after the connection was lost, whether the stream still has the message that was acknowledged last. Where it has not, the
// broker came back with an older store or none: what it acknowledged is sent again, as far as the outbox has it.
func (p *publisher) prove(stop <-chan struct{}) error {
	touch := p.lostTouch()
	if touch == p.touch || p.last.sequence == 0 || !p.connected() {
		return nil
	}
	has, err := p.streamHas(p.last)
	if err == nil && !has { // a peer of the leader may answer for it and lag behind: look twice
		pauseFor(retryMost, stop)
		has, err = p.streamHas(p.last)
	}
	if err != nil {
		return err
	}
	if !has {
		p.notices.add("the broker has lost messages that it had acknowledged; the outbox is sent once more", "stream", streamOf(p.cutter.content), "sequence", p.last.sequence)
		p.forget()
	}
	p.touch = touch
	return nil
}

func (p *publisher) streamHas(m lastStored) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	s, err := p.js.Stream(ctx, streamOf(p.cutter.content))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if s.CachedInfo().State.FirstSeq > m.sequence && s.CachedInfo().State.LastSeq >= m.sequence {
		return true, nil // it has gone by age
	}
	raw, err := s.GetMsg(ctx, m.sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && crc32.Checksum(raw.Data, castagnoli) == m.sum, err
}

// drain takes the acknowledgements that are there already.
func (p *publisher) drain() {
	for len(p.ways) > 0 {
		select {
		case ack := <-p.ways[0].ack.Ok():
			p.answered(ack)
		default:
			return
		}
	}
}

var errNoAck = errors.New("no acknowledgement in time")

// idle is how long to wait where nothing is on its way: for the connection, or for something to send.
func (p *publisher) idle() time.Duration {
	if !p.connected() {
		return retryLeast
	}
	return time.Second
}

// fillWindow sends until the window is full or nothing is left.
func (p *publisher) fillWindow() error {
	most := window
	if p.pause > 0 {
		most = 1
	}
	for len(p.ways) < most && p.connected() {
		m, ok, err := p.cutter.next()
		if err != nil {
			p.notices.add("the outbox cannot be read to be sent; it is tried again", "error", err.Error())
			return err
		}
		if !ok {
			if len(p.ways) == 0 { // what is left is of the other content
				p.behind.Store(0)
				p.note(p.cutter.tail.at)
			}
			return nil
		}
		p.behind.CompareAndSwap(0, p.now().UnixNano())
		ack, err := p.js.PublishMsgAsync(&nats.Msg{
			Subject: subjectOf(p.cutter.content), Data: m.payload, Header: nats.Header{headerStart: {p.start}},
		}, jetstream.WithExpectStream(streamOf(p.cutter.content)), jetstream.WithRetryAttempts(0))
		if err != nil {
			return err
		}
		if len(p.ways) == 0 {
			p.deadline = p.now().Add(ackWithin)
		}
		p.ways = append(p.ways, onItsWay{ack, m.through, crc32.Checksum(m.payload, castagnoli)})
	}
	return nil
}

// answered notes that the oldest message is stored.
func (p *publisher) answered(ack *jetstream.PubAck) {
	through := p.ways[0].through
	p.last = lastStored{ack.Sequence, p.ways[0].sum}
	p.ways = append(p.ways[:0], p.ways[1:]...)
	p.pause, p.said = 0, ""
	p.sent.Add(1)
	p.deadline = p.now().Add(ackWithin)
	p.note(through)
}

// note notes that the broker has all of the content before the position.
func (p *publisher) note(before Position) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = max(p.acked, before)
	if n := len(p.marks); n == 0 || p.marks[n-1].acked < p.acked && now.Sub(p.marks[n-1].at) >= time.Second {
		p.marks = append(p.marks, mark{now, p.acked})
	}
}

// back forgets what is on its way; what is unanswered is sent again.
func (p *publisher) back() {
	p.ways = p.ways[:0]
	p.cutter.back(p.position())
}

// goBack is back after a pause that grows from failure to failure. A refusal by the server, which does not pass by itself, is said once.
func (p *publisher) goBack(stop <-chan struct{}, err error) {
	p.back()
	p.resent.Add(1)
	var refusal *jetstream.APIError
	if errors.As(err, &refusal) || errors.Is(err, nats.ErrMaxPayload) {
		p.refused.Add(1)
		if p.said != err.Error() {
			p.said = err.Error()
			p.notices.add("the broker refuses changes; they wait in the outbox: see its max_payload, max_file_store and the limits of the stream",
				"stream", streamOf(p.cutter.content), "error", err.Error())
		}
	}
	p.pause = min(max(retryLeast, 2*p.pause), retryMost)
	pauseFor(p.pause, stop)
}

// forget takes nothing for acknowledged.
func (p *publisher) forget() {
	p.mu.Lock()
	p.acked, p.marks = 0, nil
	p.mu.Unlock()
	p.last = lastStored{}
	p.back()
}

// position is the place in the outbox before which all has been acknowledged.
func (p *publisher) position() Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked
}

// released is the place before which the outbox is not needed: acknowledged so long ago that it has outlived a loss of the broker's power.
func (p *publisher) released() (before Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for len(p.marks) > 1 && now.Sub(p.marks[1].at) >= p.synced {
		p.marks = p.marks[1:]
	}
	if len(p.marks) > 0 && now.Sub(p.marks[0].at) >= p.synced {
		before = p.marks[0].acked
	}
	return before
}

// oldest is for how long something has been waiting to be acknowledged.
func (p *publisher) oldest() time.Duration {
	since := p.behind.Load()
	if since == 0 {
		return 0
	}
	return max(0, p.now().Sub(time.Unix(0, since)))
}

func ended(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// pauseFor waits, or until stop is closed.
func pauseFor(d time.Duration, stop <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop:
	}
}
