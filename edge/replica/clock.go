package replica

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// clockEvery is how often the servers' clock is read. Chosen.
const clockEvery = 2 * time.Second

// clockRead is the servers' time at a moment of the local clocks.
type clockRead struct {
	asked   time.Time // with the monotonic clock
	servers time.Time
}

// watchClock reads the servers' clock until ctx ends.
func (c *cluster) watchClock(ctx context.Context) {
	for ctx.Err() == nil {
		pauseFor(clockEvery, ctx.Done())
		c.readClock(ctx)
	}
}

// readClock learns the servers' time by when they store something. It is off by no more than half the time that takes, and an answer that
// takes too long is left out.
func (c *cluster) readClock(ctx context.Context) {
	if c.broker.embedded != nil {
		return // its clock is this machine's
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	before := time.Now()
	ack, err := c.broker.publishJS.Publish(ctx, "$KV."+membersBucket+"."+clockKey, nil, jetstream.WithExpectStream("KV_"+membersBucket), jetstream.WithRetryAttempts(0))
	took := time.Since(before)
	if err != nil {
		return
	}
	stream, err := c.broker.readJS.Stream(ctx, ack.Stream)
	if err != nil {
		return
	}
	m, err := stream.GetMsg(ctx, ack.Sequence)
	if err != nil {
		return // written again by another node meanwhile
	}
	c.clock.Store(&clockRead{asked: before.Add(took / 2), servers: m.Time})
}

// serversNow is the servers' time, as far as it is known.
func (c *cluster) serversNow() time.Time {
	if r := c.clock.Load(); r != nil {
		return r.servers.Add(time.Since(r.asked))
	}
	return time.Now()
}
