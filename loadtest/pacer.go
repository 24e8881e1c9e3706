package loadtest

import (
	"sync"
	"sync/atomic"
	"time"
)

// longestNap is how long a leader waits before it looks whether the run was stopped.
const longestNap = 50 * time.Millisecond

// pacer hands out the arrivals of a schedule to workers, each when it is due or, where
// no worker was free then, as soon as one is. One worker, the leader, waits for the next
// arrival; when it is due, the leader wakes the worker that became idle last to lead in
// its place, and sends. So as many connections are in use as the target's answers make
// necessary, the same ones again and again, and nothing is handed from one thread to
// another before it is sent.
type pacer struct {
	began    time.Time
	arrivals *arrivals
	alarm    *alarm
	// until is when waiting arrivals are given up, from began.
	until time.Duration
	// unsent is told of each arrival that was given up, when it was due and given up.
	unsent  func(due, now time.Duration)
	stopped atomic.Bool

	mu      sync.Mutex
	idle    []chan struct{}
	leading bool
	// freeSince is when the worker came that found nobody leading: since then, some
	// worker has been free.
	freeSince time.Duration
	done      bool
	workers   int
	come      int // workers that have asked for an arrival
	busy      int // workers that are about one
	most      int // busy at one time
}

// seat is a worker's place at a pacer. Its channel has room for one.
type seat struct {
	wake chan struct{}
	come bool
	busy bool
}

// turn is an arrival that was given to a worker.
type turn struct {
	due time.Duration // when it was to be sent, from began
	// free is when a connection was free for it: due, unless all were busy then.
	free time.Duration
}

func (p *pacer) now() time.Duration { return time.Since(p.began) }

// stop ends the schedule now: what is due later is not offered any more.
func (p *pacer) stop() { p.stopped.Store(true) }

// take returns the next arrival when it is due, and ends the worker's last; false when
// there are no more.
func (p *pacer) take(at *seat) (t turn, ok bool) {
	p.mu.Lock()
	p.sit(at)
	if p.leading {
		p.idle = append(p.idle, at.wake)
		p.mu.Unlock()
		<-at.wake
		p.mu.Lock()
	}
	p.leading = true
	done, free := p.done, p.freeSince
	p.mu.Unlock()
	if !done {
		t, ok = p.lead(free)
	}
	p.mu.Lock()
	if p.done = !ok; ok {
		at.busy = true
		p.busy++
		p.most = max(p.most, p.busy)
	}
	if last := len(p.idle) - 1; last >= 0 {
		p.idle[last] <- struct{}{}
		p.idle = p.idle[:last]
	} else {
		p.leading = false
	}
	p.mu.Unlock()
	return t, ok
}

// sit notes that a worker is free. Until all have come for the first time, some has
// been since the beginning.
func (p *pacer) sit(at *seat) {
	if at.busy {
		at.busy = false
		p.busy--
	}
	if !at.come {
		at.come = true
		p.come++
		return
	}
	if !p.leading && p.come == p.workers {
		p.freeSince = p.now()
	}
}

// lead waits for the next arrival; some worker has been free since that time.
func (p *pacer) lead(free time.Duration) (turn, bool) {
	due, ok := p.arrivals.next()
	if !ok {
		return turn{}, false
	}
	now := p.now()
	for now < due && !p.stopped.Load() {
		p.alarm.wait(min(due-now, longestNap))
		now = p.now()
	}
	if p.stopped.Load() || now > p.until {
		p.giveUp(due, now)
		return turn{}, false
	}
	return turn{due, max(due, free)}, true
}

// giveUp reports the arrivals that were due and will not be sent.
func (p *pacer) giveUp(due, now time.Duration) {
	for ok := true; ok && due <= now; due, ok = p.arrivals.next() {
		p.unsent(due, now)
	}
}
