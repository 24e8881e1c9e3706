package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamPosition is where a node is in a stream. It proves itself: no other message has the stream's number and time of the one before it.
type StreamPosition struct {
	Created int64  // when the stream was made, in ns: its identity
	Next    uint64 // the lowest sequence that has not been applied; 0: none was
	Time    int64  // when message Next-1 was stored, in ns; 0 where that is not known
	Known   int64  // until when nothing of the stream was missing, in ns; 0: never
}

// standing is how a stream stands to a position in it.
type standing uint8

const (
	// same: what follows the position follows what was applied.
	same standing = iota
	// another: the stream was made anew, or has lost its end and perhaps grown again. It is read from its first message, and everything
	// that the outbox still has is sent again.
	another
	// gap: messages that were not applied have gone, by age or by size.
	gap
)

// stands compares a stream with a position in it.
func stands(ctx context.Context, js jetstream.JetStream, stream string, p StreamPosition) (standing, *jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return same, nil, err
	}
	info := s.CachedInfo()
	switch {
	case p.Next <= 1 && info.State.FirstSeq > 1:
		return gap, info, nil
	case p.Next <= 1:
		return same, info, nil
	case info.Created.UnixNano() != p.Created, info.State.LastSeq+1 < p.Next:
		return another, info, nil
	case info.State.FirstSeq > p.Next:
		return gap, info, nil
	case info.State.FirstSeq == p.Next || p.Time == 0: // its age took the message that would prove it
		return same, info, nil
	}
	m, err := s.GetMsg(ctx, p.Next-1)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return another, info, nil
	case err != nil:
		return same, nil, err
	case m.Time.UnixNano() != p.Time:
		return another, info, nil
	}
	return same, info, nil
}

// begin looks at the stream and returns the sequence to read from.
func (f *follower) begin(ctx context.Context) (from uint64, err error) {
	p := f.position()
	how, info, err := stands(ctx, f.js, f.stream, p)
	if how == another && err == nil { // a peer of the leader may answer for it and lag behind: look twice
		pauseFor(time.Second, ctx.Done())
		how, info, err = stands(ctx, f.js, f.stream, p)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, errors.Join(err, f.missing(ctx))
	}
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", f.stream, err)
	}
	end, err := f.end(ctx, info)
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", f.stream, err)
	}
	if how == gap || how == another && info.State.FirstSeq > 1 {
		if filled, err := f.fill(ctx, info); err != nil {
			f.notices.log.Info("no snapshot of another node could be taken", "stream", f.stream, "error", err.Error())
		} else if filled {
			p, how = f.position(), same
		}
	}
	switch how {
	case another:
		f.notices.add("the broker has lost messages or its stream was made anew; it is read from its first message",
			"stream", f.stream, "next", p.Next, "last", info.State.LastSeq)
		f.lost()
		p = StreamPosition{Known: p.Known}
		if info.State.FirstSeq > 1 {
			f.gapped(p.Next, info.State.FirstSeq)
		}
	case gap:
		f.gapped(p.Next, info.State.FirstSeq)
	}
	p.Created = info.Created.UnixNano()
	p.Next = max(p.Next, 1, info.State.FirstSeq)
	f.set(p)
	f.target(end)
	return p.Next, nil
}

// fill merges a snapshot of another node that reaches the stream's first message, and moves to where that had come.
func (f *follower) fill(ctx context.Context, info *jetstream.StreamInfo) (filled bool, err error) {
	p, err := f.peers(ctx, f.stream)
	if err != nil || p.Created != info.Created.UnixNano() || p.Next < info.State.FirstSeq || p.Next > info.State.LastSeq+1 {
		return false, err
	}
	f.mu.Lock()
	f.at.Created, f.at.Next, f.at.Time, f.gap = p.Created, p.Next, p.Time, ""
	f.mu.Unlock()
	return true, nil
}
