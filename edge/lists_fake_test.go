package edge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"restraint/edge"
	"restraint/edge/shared"
)

// lists is what the nodes of a test tell one another of lists, in memory.
type lists struct {
	mu       sync.Mutex
	messages []listMessage
	files    map[string][]byte
	changed  chan struct{} // closed at each change
}

type listMessage struct {
	number  uint64
	message []byte
}

func newLists() *lists { return &lists{files: map[string][]byte{}, changed: make(chan struct{})} }

func (l *lists) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lists) now() ([]listMessage, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.messages, l.changed
}

// listLink is one node's way to the lists; it is cut where the link to the documents is.
type listLink struct {
	*lists
	link *link
	mu   sync.Mutex
	at   int // messages applied
	seen int // and those there were then
}

var errCut = errors.Join(shared.ErrAway, errors.New("no servers"))

func (l *listLink) Publish(_ context.Context, message []byte, above uint64) (number uint64, err error) {
	if l.link.Away() {
		return 0, errCut
	}
	l.change(func() {
		number = max(above+1, 1<<40)
		if n := len(l.messages); n > 0 {
			number = max(number, l.messages[n-1].number+1)
		}
		l.messages = append(l.messages, listMessage{number, bytes.Clone(message)})
	})
	return number, nil
}

func (l *listLink) Follow(ctx context.Context, f edge.ListFollower) {
	before, at := uint64(0), 0 // no file is kept: all is read again
	for ctx.Err() == nil {
		messages, changed := l.now()
		if at > len(messages) {
			f.Lost()
			before, at = 0, 0
		}
		for !l.link.Away() && at < len(messages) && ctx.Err() == nil {
			if f.Apply(before, messages[at].number, bytes.Clone(messages[at].message)) == nil {
				before = messages[at].number
				at++
			}
		}
		l.mu.Lock()
		if !l.link.Away() {
			l.at, l.seen = at, len(messages)
		} else if l.seen == 0 {
			l.at, l.seen = 0, 1
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (l *listLink) Read(_ context.Context, yield func(uint64, []byte) error) error {
	if l.link.Away() {
		return errCut
	}
	messages, _ := l.now()
	for _, m := range messages {
		if err := yield(m.number, m.message); err != nil {
			return err
		}
	}
	return nil
}

func (l *listLink) Put(_ context.Context, name string, r io.Reader, size int64) error {
	file, err := io.ReadAll(r)
	if err != nil || int64(len(file)) != size || l.link.Away() {
		return errors.Join(errCut, err)
	}
	l.change(func() { l.files[name] = file })
	return nil
}

func (l *listLink) Get(_ context.Context, name string, _ int64) (io.ReadCloser, error) {
	l.lists.mu.Lock()
	defer l.lists.mu.Unlock()
	file, ok := l.files[name]
	if !ok || l.link.Away() {
		return nil, errors.Join(errCut, fmt.Errorf("no file %s", name))
	}
	return io.NopCloser(bytes.NewReader(file)), nil
}

func (l *listLink) Sweep(context.Context, func(string) bool) error { return nil }

func (l *listLink) Stream() (edge.Stream, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return edge.Stream{Next: uint64(l.at) + 1, Behind: uint64(l.seen - l.at), Reached: l.at == l.seen}, !l.link.Away()
}
