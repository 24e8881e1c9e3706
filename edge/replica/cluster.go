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

// maxHeader is more than the header of a message takes.
const maxHeader = 1 << 10

// cluster sends what a Keeper records to the other nodes and applies what they send.
//
// What they recorded comes on two ways. The streams have everything in order, and say how far this node has come. The subjects of the
// streams are listened to besides: a message then comes at once, also while the servers elect a leader and the streams stand still for
// some seconds. As a change is a merge, it may come twice.
type cluster struct {
	codec    *Codec
	store    *caps.Store
	broker   *broker
	start    string       // of this process, in every message it sends
	senders  [2]publisher // of events, of refusals
	events   follower
	refusals follower
	holds    holds
	copier   copier
	member   *membership
	mender   *mender         // nil: the broker is not embedded
	applied  func(bytes int) // for the next snapshot
	now      func() time.Time
	notices  *notices

	stop    context.CancelFunc
	running sync.WaitGroup

	lag      lag
	records  atomic.Uint64 // applied, of other nodes
	foreign  atomic.Uint64 // batches under another secret
	unusable atomic.Uint64 // batches and changes that could not be applied
	ahead    caps.Second   // see the constant
	cutShort atomic.Uint64 // changes of a clock that was ahead
	asked    atomic.Uint64 // answers, of any kind, while the cluster had not taken this node
	joined   atomic.Bool   // streams are there, and the cluster takes this node
	clock    atomic.Pointer[clockRead]
	fault    atomic.Pointer[error] // why this node is none of the cluster's; nil: it is, as far as is known
}

// positions is how far a node has come, as a snapshot keeps it.
type positions struct {
	events, refusals StreamPosition
	// published is the place in the outbox before which everything is on the broker's disk.
	published Position
}

// newCluster makes what open runs.
func newCluster(k *Keeper, b *broker, from positions) (*cluster, error) {
	c := &cluster{
		codec: &k.codec, store: k.store, broker: b, start: rand.Text(), now: k.options.Now, notices: &k.notices,
		applied: func(bytes int) { k.since.Add(int64(bytes)) }, ahead: k.options.ahead,
	}
	for i, content := range [...]byte{batchEvents, batchRefusals} {
		p := &c.senders[i]
		p.js, p.start, p.wake = b.publishJS, c.start, make(chan struct{}, 1)
		p.lostTouch = b.disconnects
		p.connected = func() bool { return c.joined.Load() && b.connected() }
		p.cutter = cutter{tail: &tail{outbox: k.outbox, at: from.published}, codec: c.codec, content: content, most: func() int {
			return int(b.publish.MaxPayload()) - maxHeader
		}}
		p.synced, p.now, p.notices, p.acked = k.options.BrokerSync, k.options.Now, c.notices, from.published
	}
	follow := func(stream string, sender *publisher, at StreamPosition) follower {
		return follower{
			js: b.readJS, stream: stream, apply: c.streamed, lost: sender.again, missing: b.ensure, lostTouch: b.disconnects, peers: c.peers,
			own: b.embedded != nil, gaps: b.options.AcceptGaps, notices: c.notices, at: at,
		}
	}
	c.events = follow(eventsStream, &c.senders[0], from.events)
	c.refusals = follow(refusalsStream, &c.senders[1], from.refusals)
	c.copier.keeper, c.copier.broker, c.copier.node, c.copier.every = k, b, b.options.Node, k.options.CopyEvery
	c.copier.owes.Store(isImported(k.options.Dir))
	c.copier.whole, c.copier.now, c.copier.at, c.copier.ahead = c.whole, c.serversNow, c.positions, c.ahead
	c.holds = holds{codec: c.codec, conn: b.publish, start: c.start, wake: make(chan struct{}, 1)}
	if e := b.embedded; e != nil {
		c.mender = &mender{stopped: e.stopped, answers: c.answers, room: e.room, restart: b.restart, notices: c.notices}
	}
	var err error
	c.member, err = openMembership(b, memberOptions{
		Dir: k.options.Dir, Node: b.options.Node, Fingerprint: k.options.Fingerprint, SecretMade: k.options.SecretMade, Log: k.log,
		Changed: func(error) {}, Seals: k.options.Seals, Epoch: k.anotherEpoch,
	})
	return c, err
}

// open begins to publish and to follow. It returns an error that wraps ErrFingerprint, ErrEpoch or ErrName where the cluster is there and refuses
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
	for i := range c.senders {
		c.running.Go(func() { c.senders[i].run(ctx.Done()) })
	}
	c.running.Go(func() { c.holds.run(ctx.Done()) })
	if c.mender != nil {
		c.running.Go(func() { c.mender.run(ctx) })
	}
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
	for {
		err := c.broker.ensure(ctx)
		if err == nil {
			err = c.member.join(ctx)
		}
		if err == nil {
			c.fault.Store(nil)
			c.joined.Store(true)
			c.readClock(ctx)
			c.signal()
			return nil
		}
		if !silence(err) {
			c.asked.Add(1)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrFingerprint) || errors.Is(err, ErrEpoch) || errors.Is(err, ErrName) || errors.Is(err, ErrStream) {
			if before := c.fault.Swap(&err); before == nil || (*before).Error() != err.Error() {
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
	if err := c.answerErasures(ctx); err != nil {
		c.notices.add("cannot answer whether an erasure is applied here; other nodes take it for not yet", "error", err.Error())
	}
	c.running.Go(func() { c.refusals.run(ctx) })
	if c.broker.embedded == nil {
		c.running.Go(func() { c.watchClock(ctx) })
		c.running.Go(func() { c.copier.run(ctx) })
	}
	// An erasure is to be known before an impression under a token from before it.
	for !c.refusals.stats().Reached && ctx.Err() == nil {
		pauseFor(retryLeast/4, ctx.Done())
	}
	c.events.run(ctx)
}

// refused says why this node is none of the cluster's; nil: it is, as far as is known.
func (c *cluster) refused() error {
	if fault := c.fault.Load(); fault != nil {
		return *fault
	}
	return c.member.reason()
}

// peers merges a snapshot of another node that has come far enough in the stream, and returns how far.
func (c *cluster) peers(ctx context.Context, stream string, enough func(StreamPosition) bool) (StreamPosition, bool, error) {
	if c.broker.embedded != nil {
		return StreamPosition{}, false, nil
	}
	of := func(m *manifest) StreamPosition {
		if stream == refusalsStream {
			return m.Refusals
		}
		return m.Events
	}
	m, ok, err := c.copier.fetch(ctx, c.store, func(m *manifest) bool { return enough(of(m)) })
	return of(&m), ok, err
}

// listen applies what other nodes send as soon as it is sent. The embedded server has no other nodes.
func (c *cluster) listen(ctx context.Context, subject string) error {
	if c.broker.embedded != nil {
		return nil
	}
	s, err := c.broker.read.Subscribe(subject, func(m *nats.Msg) {
		if m.Subject != listsSubject { // a server may refuse what is heard; see Lists
			_ = c.message(m.Data, m.Header.Get(headerStart), c.heardStamp()) // the stream has it too
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
	for c.broker.connected() && c.unsent() > 0 && time.Now().Before(deadline) {
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
	if m.Subject() == listsSubject {
		return nil
	}
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	start := nats.Header(m.Headers()).Get(headerStart)
	if start != c.start {
		c.noteLag(meta.Timestamp)
	}
	return c.message(m.Data(), start, streamStamp(meta.Timestamp))
}

// message applies what another process has sent. What this one sent, it has applied before it was in the outbox, or does so before a
// snapshot is taken. The error says that a batch is of a later version, or of an epoch whose secret is not here: it is not to be passed over. What can be read is applied all the
// same.
func (c *cluster) message(data []byte, start string, when stamp) (later error) {
	if start == c.start {
		return nil
	}
	now := max(caps.Second(c.now().Unix()), c.store.Now())
	batch := c.codec.Batch()
	var change caps.Change
	for rest := data; len(rest) > 0; {
		n, _ := batchLength(rest)
		next, err := batch.ParseNext(rest)
		if err != nil {
			c.unusable.Add(1)
			if (errors.Is(err, ErrVersion) || errors.Is(err, ErrEpoch)) && n <= len(rest) {
				later, rest = err, rest[n:]
				continue
			}
			c.notices.add("a message of another node is damaged and left out", "error", err.Error())
			return later
		}
		rest = next
		if c.codec.foreign(&batch) {
			if c.foreign.Add(1) == 1 {
				c.notices.add("changes of a node with another identifier secret are left out", "theirs", fmt.Sprintf("%016x", batch.Fingerprint))
			}
			continue
		}
		for batch.Next(&change) {
			ok, wait := c.allow(&change, when)
			if wait {
				return later
			}
			if !ok {
				continue
			}
			change.Now = min(change.Now, now) // a clock ahead of this one's must not end here what is still to count
			if err := c.store.Reapply(&change); err != nil {
				c.unusable.Add(1)
				c.notices.add("a change of another node cannot be applied", "error", err.Error())
			}
		}
		c.records.Add(uint64(batch.Records))
	}
	c.applied(len(data))
	return later
}

// positions is how far this node has come.
func (c *cluster) positions() positions {
	return positions{events: c.events.position(), refusals: c.refusals.position(), published: c.released()}
}

// whole reports whether nothing of the streams is missing here.
func (c *cluster) whole() bool {
	events, refusals := c.events.stats(), c.refusals.stats()
	return events.Reached && refusals.Reached && events.Gap == "" && refusals.Gap == ""
}

// bridged reports whether the streams went on from where the snapshot had come, or another node's snapshot did.
func (c *cluster) bridged() bool {
	for _, f := range []*follower{&c.events, &c.refusals} {
		f.mu.Lock()
		proven := f.proven && f.reached
		f.mu.Unlock()
		if !proven {
			return false
		}
	}
	return true
}

// signal says that something was appended to the outbox.
func (c *cluster) signal() {
	for i := range c.senders {
		c.senders[i].signal()
	}
}

// unsent is for how long something has been waiting to be acknowledged.
func (c *cluster) unsent() time.Duration {
	return max(c.senders[0].oldest(), c.senders[1].oldest())
}

// released is the place before which the outbox is not needed by the broker.
func (c *cluster) released() Position {
	return min(c.senders[0].released(), c.senders[1].released())
}
