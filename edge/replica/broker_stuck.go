package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How a stuck server is noticed and restarted. Chosen.
const (
	// mendEvery is how often it is looked at.
	mendEvery = time.Second
	// silentAfter is how long a server may answer nothing that is sent to it: some tries of what waits ackWithin for its answer.
	silentAfter = 10 * time.Second
	// roomBytes is what the disk must take for a restart to be worth it.
	roomBytes = 256 << 10
	// mendLeast and mendMost bound the pause between two restarts. It begins anew once the server has been well for as long as mendMost.
	mendLeast, mendMost = 2 * time.Second, 5 * time.Minute
)

// mender restarts the embedded server when it is stuck. A server whose disk was full takes nothing any more, also when there is room again:
// it has stopped JetStream, or a stream of it refuses to write and says nothing. What was acknowledged is not at stake: a publisher looks
// after the restart whether the streams have what they acknowledged, and sends the outbox again where they do not.
type mender struct {
	stopped func() string // why the server takes nothing at all; "": it may take something
	// answers counts the answers of the server. waiting: one is due.
	answers func() (count uint64, waiting bool)
	room    func() error
	restart func() error
	notices *notices

	heard   uint64
	silent  int // looks since an answer is due; looks, not time, so that a process which stood still blames nobody
	pause   time.Duration
	next    time.Time // no restart before
	well    time.Time // since when it has not been stuck; zero: it is
	mu      sync.Mutex
	stuck   string // why; "": it is not
	renewed uint64 // restarts
}

// run looks until ctx ends.
func (m *mender) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.step(time.Now())
		pauseFor(mendEvery, ctx.Done())
	}
}

// step looks once. The times that it is given ascend.
func (m *mender) step(now time.Time) {
	why, known := m.look()
	if !known {
		return
	}
	if why == "" {
		m.say("")
		if m.well.IsZero() {
			m.well = now
		}
		if now.Sub(m.well) >= mendMost {
			m.pause = 0
		}
		return
	}
	m.well = time.Time{}
	if err := m.room(); err != nil {
		m.say(why + ": " + err.Error())
		return
	}
	m.say(why)
	if now.Before(m.next) {
		return
	}
	m.pause = min(max(mendLeast, 2*m.pause), mendMost)
	m.next = now.Add(m.pause)
	err := m.restart()
	m.mu.Lock()
	m.renewed++
	m.mu.Unlock()
	m.silent = 0
	if err != nil {
		m.notices.add("the embedded NATS server does not start again; it is tried again", "error", err.Error(), "after", m.pause.String())
		return
	}
	m.notices.log.Info("the embedded NATS server was restarted, since it was stuck", "next_not_within", m.pause.String())
}

// look says why the server is stuck. While an answer is due, and not overdue, nothing is known: also of one that was restarted.
func (m *mender) look() (why string, known bool) {
	if why := m.stopped(); why != "" {
		return why, true
	}
	count, waiting := m.answers()
	if !waiting || count != m.heard {
		m.heard, m.silent = count, 0
	}
	if !waiting {
		return "", true
	}
	if m.silent++; m.silent <= int(silentAfter/mendEvery) {
		return "", false
	}
	return fmt.Sprintf("it has answered nothing for %s or more", silentAfter), true
}

// say notes why the server is stuck, and logs when that begins and ends.
func (m *mender) say(why string) {
	m.mu.Lock()
	was := m.stuck
	m.stuck = why
	m.mu.Unlock()
	switch {
	case was == "" && why != "":
		m.notices.add("the embedded NATS server is stuck; decisions go on, events wait in the outbox, and it is restarted when its disk has room", "why", why)
	case was != "" && why == "":
		m.notices.log.Info("the embedded NATS server is stuck no more")
	}
}

// state is why the server is stuck, "" where it is not, and how often it was restarted.
func (m *mender) state() (stuck string, restarts uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stuck, m.renewed
}

// stopped says why the server can take nothing.
func (e *embedded) stopped() string {
	s := e.server.Load()
	switch {
	case s == nil:
		return "it does not start"
	case !s.JetStreamEnabled():
		return "it has stopped JetStream, as it does when its disk is full"
	}
	return ""
}

// room looks whether the disk takes anything.
func (e *embedded) room() (err error) {
	path := filepath.Join(e.dir, "room.tmp")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, roomBytes))
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close(), os.Remove(path))
	}
	return err
}

// answers counts what the broker has answered to what was sent. waiting: something was sent, or this node asks to be taken, and the server
// may be silent.
func (c *cluster) answers() (count uint64, waiting bool) {
	count = c.asked.Load()
	waiting = !c.joined.Load()
	for i := range c.senders {
		p := &c.senders[i]
		count += p.sent.Load() + p.refused.Load()
		waiting = waiting || p.behind.Load() != 0
	}
	return count, waiting
}

// silence reports whether the error is that of a server which gave no answer, or has no JetStream.
func silence(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrNoStreamResponse)
}
