package main

import (
	"context"
	"fmt"
	"time"
)

const sectionEvents = "Events"

// eventConnections is how many batches are under way at once.
const eventConnections = 4

// batchesPerTurn is how many batches are made for each turn: at 500,000 events a second
// they last 2.4 seconds, longer than a turn. Those of a quick run are few.
const batchesPerTurn = 1200

// measureEvents measures how many events a second a node acknowledges in batches over
// HTTP: each is in its outbox when it is answered.
func (b *bench) measureEvents(ctx context.Context) error {
	n, err := b.filledNode(ctx)
	if err != nil {
		return err
	}
	b.say("events in batches of %d", b.sizes.EventBatch)
	batches := batchesPerTurn
	if b.sizes.Quick {
		batches = 30
	}
	var perSecond []float64
	for turn := range b.sizes.Turns {
		rate, err := b.eventTurn(ctx, n, eventRequests(b.sizes.Users, batches, b.sizes.EventBatch, uint64(time.Now().UnixNano())+uint64(turn)))
		if err != nil {
			return err
		}
		perSecond = append(perSecond, rate)
		if err := settle(ctx, n.cmd.Process.Pid, 5*time.Second); err != nil {
			return err
		}
	}
	b.add(plainRow(sectionEvents, fmt.Sprintf("acknowledged over HTTP, batches of %d", b.sizes.EventBatch), "events/s", perSecond, atLeast(50_000)))
	return nil
}

// eventTurn sends batches, each once, over a few connections, and returns the events a
// second.
func (b *bench) eventTurn(ctx context.Context, n *node, requests [][]byte) (float64, error) {
	l, err := openLoop(ctx, &target{addr: n.bid}, eventConnections)
	if err != nil {
		return 0, err
	}
	defer l.close()
	type end struct {
		sent int
		err  error
	}
	ends := make(chan end, eventConnections)
	began := time.Now()
	for i, w := range l.wires {
		go func() {
			var e end
			for k := i; k < len(requests) && e.err == nil && time.Since(began) < b.sizes.Slice && ctx.Err() == nil; k += eventConnections {
				if _, e.err = w.ask(requests[k], readHTTP); e.err == nil {
					e.sent++
				}
			}
			ends <- e
		}()
	}
	sent := 0
	for range eventConnections {
		e := <-ends
		if e.err != nil && err == nil {
			err = fmt.Errorf("send events: %w", e.err)
		}
		sent += e.sent
	}
	return float64(sent*b.sizes.EventBatch) / time.Since(began).Seconds(), err
}
