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
	// Missed to Hole-1 are the messages that had gone from the stream before they were applied here, for good or until the snapshot of
	// another node that has come to Hole is merged. Hole 0: nothing had. Both 1: they were of a stream that is there no more.
	Missed, Hole uint64
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
	begins := info.State.FirstSeq
	if how == another {
		f.notices.add("the broker has lost messages or its stream was made anew; it is read from its first message",
			"stream", f.stream, "next", p.Next, "last", info.State.LastSeq)
		f.lost()
		f.mu.Lock()
		lost := StreamPosition{Known: p.Known}
		if p.Hole != 0 {
			lost.Missed, lost.Hole = 1, 1
		}
		f.at, f.looked = lost, false
		f.mu.Unlock()
	}
	if p.Next == 0 || how != same { // others may have what the stream has no more, or never had
		filled, err := f.fill(ctx, info, max(begins, f.position().Hole), true)
		if err != nil {
			f.waits(err)
			return 0, fmt.Errorf("take the snapshot of another node: %w", err)
		}
		own := f.own && p.Next > 0 // also where the stream was made anew or has lost its end: this node recorded what it had
		if next := f.position().Next; !filled && !own && begins > max(1, next) {
			f.gapped(info.Created.UnixNano(), next, begins)
		}
		p = f.position()
	}
	if how == same && p.Next > 1 {
		f.mu.Lock()
		f.proven = true
		f.mu.Unlock()
	}
	p.Created = info.Created.UnixNano()
	p.Next = max(p.Next, 1, info.State.FirstSeq)
	f.set(p)
	f.target(end)
	return p.Next, nil
}

// fill merges a snapshot of another node that has come at least to the sequence in this stream, and moves to where that had come, if move:
// while the stream is being read the position stays.
func (f *follower) fill(ctx context.Context, info *jetstream.StreamInfo, atLeast uint64, move bool) (filled bool, err error) {
	created := info.Created.UnixNano()
	p, ok, err := f.peers(ctx, f.stream, func(p StreamPosition) bool {
		return p.Created == created && p.Next >= max(atLeast, 1) && p.Next <= info.State.LastSeq+1 && p.Hole == 0
	})
	if err != nil || !ok {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if move && f.at.Next < p.Next {
		f.at.Created, f.at.Next, f.at.Time = p.Created, p.Next, p.Time
	}
	f.at.Missed, f.at.Hole, f.proven = 0, 0, true
	return true, nil
}

// mend looks for a snapshot of another node that has what is missing here; where there is none, it may be gone on without.
func (f *follower) mend(ctx context.Context, info *jetstream.StreamInfo) {
	hole := f.position().Hole
	if hole == 0 {
		return
	}
	filled, err := f.fill(ctx, info, hole, false)
	switch {
	case filled:
		f.notices.log.Info("what was missing came by the snapshot of another node", "stream", f.stream)
		return
	case err != nil:
		f.waits(err)
	}
	f.accept()
}

// waits logs why the snapshot of another node cannot be taken, once for each reason: it is tried again every few seconds.
func (f *follower) waits(err error) {
	if text := err.Error(); text != f.waiting {
		f.waiting = text
		f.notices.log.Info("the snapshot of another node cannot be taken; it is tried again", "stream", f.stream, "error", text)
	}
}
