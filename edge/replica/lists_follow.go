package replica

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"restraint/edge/durable"
)

// ListFollower is who follows the messages of lists.
type ListFollower struct {
	// File keeps how far it has come; without it all is read again. It belongs to what was applied, and goes with it.
	File string
	// Apply is called with each message in order, never concurrently, and with the number of the one before (0: not known). After an error
	// it is called again with the same message, after a pause. The message is not to be kept.
	Apply func(before, number uint64, message []byte) error
	// Sync makes what was applied outlive a loss of power. It is called before File is written.
	Sync func() error
	// Lost is called where the stream no longer has the last message that was applied: it was made anew, or has lost its end.
	Lost func()
}

// saveEvery is how often a position that has changed is written. Chosen: what is read again does no harm.
const saveEvery = 2 * time.Second

// listPosition is the content of ListFollower.File.
type listPosition struct {
	Stream StreamPosition `json:"stream"`
	Number uint64         `json:"number"` // of the last message that was applied
}

// Follow applies messages until ctx ends. It is called once.
func (l *Lists) Follow(ctx context.Context, o ListFollower) {
	for !l.keeper.cluster.joined.Load() {
		pauseFor(retryLeast, ctx.Done())
		if ctx.Err() != nil {
			return
		}
	}
	c := l.keeper.cluster
	var mu sync.Mutex // guards now and orders the saves
	now := readListPosition(o.File)
	saved := now
	f := &follower{
		js: l.keeper.broker.readJS, stream: refusalsStream, subject: listsSubject, lost: o.Lost, missing: l.keeper.broker.ensure, notices: c.notices, at: now.Stream,
		gaps:      l.keeper.broker.options.AcceptGaps,
		lostTouch: l.keeper.broker.disconnects,
		peers: func(context.Context, string, func(StreamPosition) bool) (StreamPosition, bool, error) {
			return StreamPosition{}, false, nil
		},
	}
	f.apply = func(m jetstream.Msg) error {
		number, err := numberOf(nats.Header(m.Headers()))
		if err != nil {
			c.unusable.Add(1)
			return nil
		}
		mu.Lock()
		before := now.Number
		mu.Unlock()
		if err := o.Apply(before, number, m.Data()); err != nil {
			return err
		}
		mu.Lock()
		now.Number = max(before, number)
		mu.Unlock()
		return nil
	}
	save := func() {
		mu.Lock()
		now.Stream = f.position()
		want := now
		mu.Unlock()
		same, known := want, saved.Stream
		same.Stream.Time, same.Stream.Known = known.Time, known.Known // these alone are not worth a write
		if same == saved {
			return
		}
		err := o.Sync()
		if err == nil {
			err = writeListPosition(o.File, want)
		}
		if err != nil {
			c.notices.add("how far lists have come cannot be kept; it is tried again", "error", err.Error())
			return
		}
		saved = want
	}
	l.follower.Store(f)
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	for ctx.Err() == nil {
		pauseFor(saveEvery, ctx.Done())
		save()
	}
	running.Wait()
	save()
}

// readListPosition returns the zero position where there is none that can be read: then all is read again.
func readListPosition(file string) (p listPosition) {
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &p) != nil || p.Number >= maxListNumber {
		return listPosition{}
	}
	return p
}

func writeListPosition(file string, p listPosition) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return durable.Write(file, b)
}

// ListStats says how far this node has come in the messages of lists.
type ListStats struct {
	Connected bool // the broker can be reached, and has taken this node
	Stream    StreamStats
}

// Stats may be called at any time.
func (l *Lists) Stats() (s ListStats) {
	s.Connected = l.keeper.cluster != nil && l.keeper.cluster.joined.Load() && l.keeper.broker.connected()
	if f := l.follower.Load(); f != nil {
		s.Stream = f.stats()
	}
	return s
}
