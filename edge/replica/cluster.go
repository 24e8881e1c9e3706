package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// group is the routing group that this node publishes in. There is one: a message for each partition would undo the batching.
const group = ".0"

func streamOf(content byte) string {
	if content == batchRefusals {
		return refusalsStream
	}
	return eventsStream
}

func subjectOf(content byte) string {
	if content == batchRefusals {
		return refusalsSubject + group
	}
	return eventsSubject + group
}

// maxAhead is how far ahead of this node's clock the second of another node's change may be: it is taken as no later. A clock that runs
// fast must not make this node forget what is still to count. The contract's bound for events.
const maxAhead = 5 * 60

// cluster sends what a Keeper records to the other nodes and applies what they send.
//
// What they recorded comes on two ways. The streams have everything in order, and say how far this node has come. The subjects of the
// streams are listened to besides: a message then comes at once, also while the servers elect a leader and the streams stand still for
// some seconds. As a change is a merge, it may come twice.
type cluster struct {
	codec     *Codec
	store     *caps.Store
	broker    *broker
	start     string // of this process, in every message it sends
	publisher publisher
	events    follower
	refusals  follower
	holds     holds
	copier    copier
	member    *membership
	applied   func(bytes int) // for the next snapshot
	now       func() time.Time
	notices   *notices

	stop    context.CancelFunc
	running sync.WaitGroup

	records  atomic.Uint64 // applied, of other nodes
	foreign  atomic.Uint64 // batches under another secret
	unusable atomic.Uint64 // batches and changes that could not be applied
	joined   atomic.Bool   // streams are there, and the cluster takes this node
	clock    atomic.Pointer[clockRead]
	fault    atomic.Pointer[error] // why this node is none of the cluster's; nil: it is, as far as is known
}

// positions is how far a node has come, as a snapshot keeps it.
type positions struct {
	events, refusals StreamPosition
	// published is the place in the outbox before which everything has been acknowledged by the broker.
	published Position
}

// newCluster makes what open runs.
func newCluster(k *Keeper, b *broker, from positions) (*cluster, error) {
	c := &cluster{
		codec: &k.codec, store: k.store, broker: b, start: rand.Text(), now: k.options.Now, notices: &k.notices,
		applied: func(bytes int) { k.since.Add(int64(bytes)) },
	}
	c.publisher = publisher{
		js: b.publishJS, connected: func() bool { return c.joined.Load() && b.connected() }, start: c.start, wake: make(chan struct{}, 1),
		cutter: cutter{tail: &tail{outbox: k.outbox, at: from.published}, codec: c.codec},
		synced: k.options.BrokerSync, now: k.options.Now, notices: c.notices, acked: from.published,
	}
	c.events = follower{js: b.readJS, stream: eventsStream, apply: c.streamed, lost: c.publisher.again, missing: b.ensure, own: b.embedded != nil, notices: c.notices, at: from.events}
	c.refusals = follower{js: b.readJS, stream: refusalsStream, apply: c.streamed, lost: c.publisher.again, missing: b.ensure, own: b.embedded != nil, notices: c.notices, at: from.refusals}
	c.copier = copier{keeper: k, broker: b, node: b.options.Node, every: k.options.CopyEvery}
	c.events.peers, c.refusals.peers = c.peers, c.peers
	c.holds = holds{codec: c.codec, conn: b.publish, start: c.start, wake: make(chan struct{}, 1)}
	var err error
	c.member, err = openMembership(b, memberOptions{
		Dir: k.options.Dir, Node: b.options.Node, Fingerprint: k.options.Fingerprint, SecretMade: k.options.SecretMade, Log: k.log,
		Changed: func(error) {},
	})
	return c, err
}

// open begins to publish and to follow. It returns an error that wraps ErrFingerprint or ErrName where the cluster is there and refuses
// this node; one that is not there yet is waited for.
func (c *cluster) open() error {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	trying, cancel := context.WithTimeout(ctx, enterWithin)
	defer cancel()
	entered := c.enter(trying) == nil
	if fault := c.fault.Load(); fault != nil {
		c.stop()
		return *fault
	}
	c.running.Go(func() { c.publisher.run(ctx.Done()) })
	c.running.Go(func() { c.holds.run(ctx.Done()) })
	c.running.Go(func() {
		if entered || c.enter(ctx) == nil {
			c.follow(ctx)
		}
	})
	return nil
}

// enterWithin is how long a start waits for the cluster to take this node, before it goes on without. Chosen.
const enterWithin = 2 * time.Second

// enter makes the streams and joins the cluster, again and again until it has or ctx ends.
func (c *cluster) enter(ctx context.Context) error {
	for waiting := false; ; waiting = true {
		err := c.broker.ensure(ctx)
		if err == nil {
			err = c.member.join(ctx)
		}
		if err == nil {
			c.fault.Store(nil)
			c.joined.Store(true)
			c.readClock(ctx)
			c.publisher.signal()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrFingerprint) || errors.Is(err, ErrName) || errors.Is(err, ErrStream) {
			c.fault.Store(&err)
			if !waiting {
				c.notices.add("the cluster does not take this node", "error", err.Error())
			}
			if _, first := ctx.Deadline(); first {
				return err
			}
		}
		pauseFor(retryMost/4, ctx.Done())
	}
}

// follow follows the streams until ctx ends.
func (c *cluster) follow(ctx context.Context) {
	for _, subject := range []string{eventsSubject + ".>", refusalsSubject + ".>", holdsSubject} {
		if err := c.listen(ctx, subject); err != nil {
			c.notices.add("cannot listen for what other nodes send at once; it comes by the streams", "subject", subject, "error", err.Error())
		}
	}
	c.running.Go(func() { c.refusals.run(ctx) })
	c.running.Go(func() { c.events.run(ctx) })
	if c.broker.embedded != nil {
		return
	}
	c.running.Go(func() { c.watchClock(ctx) })
	c.copier.run(ctx)
}

// refused says why this node is none of the cluster's; nil: it is, as far as is known.
func (c *cluster) refused() error {
	if fault := c.fault.Load(); fault != nil {
		return *fault
	}
	return c.member.reason()
}

// peers merges a snapshot of another node and returns how far that had come in the stream.
func (c *cluster) peers(ctx context.Context, stream string) (StreamPosition, error) {
	if c.broker.embedded != nil {
		return StreamPosition{}, nil
	}
	m, ok, err := c.copier.fetch(ctx, c.store)
	switch {
	case err != nil || !ok:
		return StreamPosition{}, err
	case stream == refusalsStream:
		return m.Refusals, nil
	}
	return m.Events, nil
}

// listen applies what other nodes send as soon as it is sent. The embedded server has no other nodes.
func (c *cluster) listen(ctx context.Context, subject string) error {
	if c.broker.embedded != nil {
		return nil
	}
	s, err := c.broker.read.Subscribe(subject, func(m *nats.Msg) {
		if m.Subject != listsSubject { // a server may refuse what is heard; see Lists
			c.message(m.Data, m.Header.Get(headerStart))
		}
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { s.Unsubscribe() })
	return s.SetPendingLimits(-1, pullBytes)
}

// close publishes what it can within the time, then stops everything. No Record may be running or follow.
func (c *cluster) close(within time.Duration) {
	deadline := time.Now().Add(within)
	for c.broker.connected() && c.publisher.oldest() > 0 && time.Now().Before(deadline) {
		pauseFor(5*time.Millisecond, nil)
	}
	c.stop()
	c.running.Wait()
	leaving, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	c.member.close(leaving)
	c.broker.close()
}

// streamed applies a message of a stream. Changes of lists have a reader of their own.
func (c *cluster) streamed(m jetstream.Msg) error {
	if m.Subject() != listsSubject {
		c.message(m.Data(), nats.Header(m.Headers()).Get(headerStart))
	}
	return nil
}

// message applies what another process has sent. What this one sent, it has applied before it was in the outbox, or does so before a
// snapshot is taken.
func (c *cluster) message(data []byte, start string) {
	if start == c.start {
		return
	}
	ahead := caps.Second(c.now().Unix()) + maxAhead
	var batch Batch
	var change caps.Change
	for rest := data; len(rest) > 0; {
		var err error
		if rest, err = batch.ParseNext(rest); err != nil {
			c.unusable.Add(1)
			c.notices.add("a message of another node cannot be read; update the older of the two programs if it is of another version", "error", err.Error())
			return
		}
		if batch.Fingerprint != c.codec.Fingerprint {
			if c.foreign.Add(1) == 1 {
				c.notices.add("changes of a node with another identifier secret are left out", "theirs", fmt.Sprintf("%016x", batch.Fingerprint))
			}
			continue
		}
		for batch.Next(&change) {
			change.Now = min(change.Now, ahead)
			if err := c.store.Reapply(&change); err != nil {
				c.unusable.Add(1)
				c.notices.add("a change of another node cannot be applied", "error", err.Error())
			}
		}
		c.records.Add(uint64(batch.Records))
	}
	c.applied(len(data))
}

// positions is how far this node has come.
func (c *cluster) positions() positions {
	return positions{events: c.events.position(), refusals: c.refusals.position(), published: c.publisher.position()}
}
