package loadtest

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// measured is what one worker measures in one window; merged, it is everybody's. Not
// for concurrent use.
type measured struct {
	kinds [loadKinds]kindMeasured
	lag   *hdr.Histogram // as wait, nil until there is something in it
	wait  *hdr.Histogram
	lane  lane

	errors map[string]int
	// Of the window. Unsent are in offered only.
	offered, started, completed, good, late, substituted int64
	sent, received                                       int64 // bytes
	bodies                                               int64 // bytes of decide requests
	reconnects                                           int64
	shown, skipped                                       int64
}

// kindMeasured is one kind of request; its histograms are nil until the first one.
type kindMeasured struct {
	offered, good, failed int64
	corrected, service    *hdr.Histogram
}

func newMeasured(line *timeline) *measured {
	return &measured{lane: newLane(line), errors: map[string]int{}}
}

// exchange is one request and what came of it; the times are from the window's
// beginning.
type exchange struct {
	kind     loadKind
	due      time.Duration // when it was to be sent
	free     time.Duration // when a connection was free for it
	written  time.Duration // when it was sent
	done     time.Duration // when the answer was whole, or it failed
	answered bool          // by HTTP, whatever its status
	failure  string        // as of Report.Errors; "" where it is good
}

// record notes an exchange.
func (m *measured) record(x *exchange, open bool) {
	k := &m.kinds[x.kind]
	if k.corrected == nil {
		k.corrected, k.service = newLatencies(), newLatencies()
	}
	m.offered++
	m.started++
	k.offered++
	m.lane.at(x.due).offered++
	m.lane.at(x.written).started++
	end := m.lane.at(x.done)
	if x.answered {
		m.completed++
		end.completed++
		note(k.service, x.done-x.written)
	}
	if x.failure == "" {
		m.good++
		k.good++
		end.good++
	} else {
		m.errors[x.failure]++
		k.failed++
		end.errors++
	}
	note(k.corrected, x.done-x.due)
	m.lane.note(x.due, x.done-x.due)
	if !open {
		return
	}
	if m.lag == nil {
		m.lag, m.wait = newLatencies(), newLatencies()
	}
	note(m.lag, x.written-x.free)
	note(m.wait, x.free-x.due)
	if x.free > x.due {
		m.late++
	}
}

// giveUp notes a request that was due and never sent.
func (m *measured) giveUp(due, now time.Duration) {
	k := &m.kinds[loadDecide]
	if k.corrected == nil {
		k.corrected, k.service = newLatencies(), newLatencies()
	}
	m.offered++
	m.errors[failureNotSent]++
	m.lane.at(due).offered++
	m.lane.at(now).errors++
	note(k.corrected, now-due)
	m.lane.note(due, now-due)
}

// merge adds what another measured; the lanes stay apart.
func (m *measured) merge(o *measured) {
	for i := range m.kinds {
		to, from := &m.kinds[i], &o.kinds[i]
		to.offered, to.good, to.failed = to.offered+from.offered, to.good+from.good, to.failed+from.failed
		to.corrected = merged(to.corrected, from.corrected)
		to.service = merged(to.service, from.service)
	}
	m.lag, m.wait = merged(m.lag, o.lag), merged(m.wait, o.wait)
	for name, n := range o.errors {
		m.errors[name] += n
	}
	for _, c := range [...]struct{ to, from *int64 }{
		{&m.offered, &o.offered},
		{&m.started, &o.started},
		{&m.completed, &o.completed},
		{&m.good, &o.good},
		{&m.late, &o.late},
		{&m.substituted, &o.substituted},
		{&m.sent, &o.sent},
		{&m.received, &o.received},
		{&m.bodies, &o.bodies},
		{&m.reconnects, &o.reconnects},
		{&m.shown, &o.shown},
		{&m.skipped, &o.skipped},
	} {
		*c.to += *c.from
	}
}

// merged is both together, in the first; nil is an empty one.
func merged(to, from *hdr.Histogram) *hdr.Histogram {
	if from == nil {
		return to
	}
	if to == nil {
		to = newLatencies()
	}
	to.Merge(from)
	return to
}

// Kinds of failures; http_NNN beside them.
const (
	failureConnect   = "connect"
	failureTimeout   = "timeout"
	failureClosed    = "closed"
	failureBroken    = "broken"
	failureMalformed = "malformed"
	failureRejected  = "rejected"
	failureNotSent   = "not_sent"
)

// failureOf is the kind of an error on a connection that was there.
func failureOf(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return failureTimeout
	case errors.Is(err, errClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failureClosed
	case errors.Is(err, errMalformed):
		return failureMalformed
	}
	return failureBroken
}

func failureOfStatus(status int) string { return "http_" + strconv.Itoa(status) }
