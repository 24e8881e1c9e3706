package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How a stream is read. Chosen.
const (
	// askWithin bounds a request to the broker; one that is sent while there is no leader is dropped.
	askWithin = time.Second
	// lookEvery is how often the stream is compared with the position while nothing else gives cause to.
	lookEvery = 2 * time.Second
	// pullBytes are asked for at once.
	pullBytes = 8 << 20
)

// follower reads a stream in order, for ever, and applies it. It is what the library's ordered consumer does, but it notices a stream that
// was made anew or rolled back, and gives up on a request in a second.
type follower struct {
	js      jetstream.JetStream
	stream  string
	subject string // the one subject that is read; "": all
	// apply applies a message. After an error the reader begins anew with that message.
	apply     func(m jetstream.Msg) error
	lost      func()                      // the broker has lost what it had acknowledged
	missing   func(context.Context) error // makes the stream, which is not there
	lostTouch func() uint64               // how often a connection was lost
	// peers merges a snapshot of another node that has come far enough in the stream, and returns how far; false where there is none.
	peers   func(ctx context.Context, stream string, enough func(StreamPosition) bool) (StreamPosition, bool, error)
	own     bool     // the stream is an embedded server's
	gaps    accepted // that are gone on without
	notices *notices
	waiting string // why it waits for the snapshot of another node, as it was logged last; of the goroutine that runs it

	mu       sync.Mutex
	at       StreamPosition
	last     uint64 // of the stream, when it was looked at
	looked   bool   // it has been since the start
	reached  bool   // all that it had when it was first looked at has been applied
	first    uint64 // its last message then
	proven   bool   // the stream goes on from the position of the start, or a peer's snapshot was taken
	accepted uint64 // gaps gone on without
	stuck    string // why the next message cannot be applied
}

// position is what has been applied.
func (f *follower) position() StreamPosition {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *follower) set(p StreamPosition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = p
}

// target notes what the stream's last message is; the node is behind until it has been applied.
func (f *follower) target(last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.looked {
		f.first, f.looked = last, true
	}
	f.last = max(last, f.at.Next-1)
	f.note()
}

// note notes whether all there is has been applied. f.mu is held.
func (f *follower) note() {
	f.reached = f.reached || f.at.Next > f.first
	if f.at.Next > f.last {
		f.at.Known = time.Now().UnixNano()
	}
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	pause := retryLeast
	for ctx.Err() == nil {
		begun := time.Now()
		f.follow(ctx)
		if time.Since(begun) > retryMost {
			pause = retryLeast
		}
		pauseFor(pause, ctx.Done())
		pause = min(2*pause, retryMost)
	}
}

var (
	errJump  = errors.New("the consumer's sequence jumped")
	errStood = errors.New("the stream is not the one that was read")
)

// follow reads from the position on until something is wrong.
func (f *follower) follow(ctx context.Context) error {
	touch := f.lostTouch()
	from, err := f.begin(ctx)
	if err != nil {
		return err
	}
	creating, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c, err := f.js.CreateConsumer(creating, f.stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second, MaxDeliver: 1, FilterSubject: f.subject,
	})
	if err != nil {
		return fmt.Errorf("follow stream %s: %w", f.stream, err)
	}
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	reading, err := c.Consume(f.handler(touch, fail), jetstream.PullMaxBytes(pullBytes), jetstream.PullHeartbeat(askWithin/2), jetstream.PullExpiry(2*askWithin),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { fail(err) }))
	if err != nil {
		return fmt.Errorf("follow stream %s: %w", f.stream, err)
	}
	err = f.watch(ctx, failed)
	reading.Stop()
	<-reading.Closed() // nothing is applied from here on
	return err
}

// handler applies messages in order; after one out of order, or after the connection was lost, none.
func (f *follower) handler(touch uint64, fail func(error)) jetstream.MessageHandler {
	var delivered uint64
	broken := false
	return func(m jetstream.Msg) {
		if broken {
			return
		}
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Consumer != delivered+1 {
			broken = true
			fail(errJump)
			return
		}
		delivered++
		// A server that comes back with an older store has this consumer of then, and goes on with it without a word.
		if f.lostTouch() != touch || meta.Sequence.Stream < f.position().Next {
			broken = true
			fail(errStood)
			return
		}
		if at := f.position().Next; meta.Sequence.Stream > at && at > 0 && f.subject == "" {
			f.gapped(f.position().Created, at, meta.Sequence.Stream)
		}
		if err := f.apply(m); err != nil {
			broken = true
			if errors.Is(err, ErrVersion) || errors.Is(err, ErrEpoch) {
				f.stop(meta.Sequence.Stream, err)
			}
			fail(err)
			return
		}
		f.mu.Lock()
		f.stuck = ""
		f.at.Next, f.at.Time = meta.Sequence.Stream+1, meta.Timestamp.UnixNano()
		f.last = max(f.last, meta.Sequence.Stream+meta.NumPending)
		f.note()
		f.mu.Unlock()
	}
}

// stop notes that the message with a sequence is of a later version, or of an epoch of which this node has not the secret.
func (f *follower) stop(sequence uint64, err error) {
	mend, what := "update this node", "a message of another node is of a later version; update this node"
	if errors.Is(err, ErrEpoch) {
		mend, what = "give this node the newest secret file", "a message of another node is sealed in an epoch that this node cannot read; give it the newest secret file of the cluster"
	}
	f.mu.Lock()
	said := f.stuck != ""
	f.stuck = fmt.Sprintf("message %d of %s cannot be read: %v: %s", sequence, f.stream, err, mend)
	f.mu.Unlock()
	if !said {
		f.notices.add(what, "stream", f.stream, "sequence", sequence, "error", err.Error())
	}
}

// watch waits for an error, and now and then looks whether the stream is still the one that is read.
func (f *follower) watch(ctx context.Context, failed <-chan error) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-ticker.C:
		}
		p := f.position()
		asking, cancel := context.WithTimeout(ctx, askWithin)
		how, info, err := stands(asking, f.js, f.stream, p)
		var end uint64
		if err == nil {
			end, err = f.end(asking, info)
		}
		cancel()
		if err == nil && how != same && p == f.position() {
			return errStood
		}
		if err == nil {
			f.target(end)
			f.mend(ctx, info)
		}
	}
}

// end is the sequence of the last message that there is to read; 0: there is none.
func (f *follower) end(ctx context.Context, info *jetstream.StreamInfo) (uint64, error) {
	if f.subject == "" {
		return info.State.LastSeq, nil
	}
	last, err := lastMessage(ctx, f.js, f.stream, f.subject)
	if errors.Is(err, errNoEntry) {
		return 0, nil
	}
	return last.sequence, err
}
