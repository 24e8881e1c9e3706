// Package sharedtest is the cluster's store of documents in memory, for tests of what
// nodes share: it can be cut, rolled back, made anew and written by strangers.
package sharedtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"restraint/edge/shared"
)

// Document is one document of a store.
type Document struct {
	Content  []byte // never altered
	Revision uint64
}

// State is what a store holds.
type State struct {
	Documents map[string]Document
	Last      uint64 // the newest revision
	Puts      int    // that were taken from nodes
}

// Store is what the nodes of a test have in common. Safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	state   State
	changed chan struct{} // closed at each change
}

// New makes an empty store.
func New() *Store {
	return &Store{state: State{Documents: map[string]Document{}}, changed: make(chan struct{})}
}

// Change changes the store behind the nodes' backs.
func (s *Store) Change(f func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Unseen changes the store without telling anybody.
func (s *Store) Unseen(f func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state)
}

// Write writes a document as a stranger could.
func (s *Store) Write(name string, content []byte) {
	s.Change(func(now *State) { now.put(name, content) })
}

func (now *State) put(name string, content []byte) {
	now.Last++
	now.Documents[name] = Document{bytes.Clone(content), now.Last}
}

// Get is the document of a name; the zero one where there is none.
func (s *Store) Get(name string) Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Documents[name]
}

// Now is a copy of what the store holds.
func (s *Store) Now() State {
	now, _ := s.now()
	return now
}

func (s *Store) now() (State, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.state
	now.Documents = maps.Clone(now.Documents)
	return now, s.changed
}

// Restore makes the store what it was.
func (s *Store) Restore(was State) {
	s.Change(func(now *State) {
		now.Documents, now.Last = maps.Clone(was.Documents), was.Last
	})
}

// Empty makes the store anew.
func (s *Store) Empty() { s.Restore(State{Documents: map[string]Document{}}) }

// Link is a node's way to the store: a shared.Store that can be cut. Safe for
// concurrent use.
type Link struct {
	*Store

	mu            sync.Mutex
	away          bool
	refusal       error
	losing        []string
	before, after func(name string)
}

var _ shared.Store = (*Link)(nil)

// Link makes a way to the store.
func (s *Store) Link() *Link { return &Link{Store: s} }

// Cut has nothing come through, or everything again.
func (l *Link) Cut(away bool) { l.set(func() { l.away = away }) }

// Refuse has the store refuse every Put by err; nil: no more.
func (l *Link) Refuse(err error) { l.set(func() { l.refusal = err }) }

// Before has f called before each Put that comes through, After when it is done and its
// caller does not know yet; nil: no more.
func (l *Link) Before(f func(name string)) { l.set(func() { l.before = f }) }

// After: see Before.
func (l *Link) After(f func(name string)) { l.set(func() { l.after = f }) }

// Lose has Put lose documents whose names begin with prefix, until end is called.
func (l *Link) Lose(prefix string) (end func()) {
	l.set(func() { l.losing = append(l.losing, prefix) })
	return func() { l.set(func() { l.losing = nil }) }
}

// set changes how the link behaves, and has followers look.
func (l *Link) set(f func()) {
	l.mu.Lock()
	f()
	l.mu.Unlock()
	l.Change(func(*State) {})
}

// Away says whether the link is cut.
func (l *Link) Away() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away
}

// errCut is what a link that is cut answers.
var errCut = errors.Join(shared.ErrAway, errors.New("no servers"))

// Put is shared.Store's.
func (l *Link) Put(_ context.Context, name string, content []byte, revision uint64) (next uint64, err error) {
	l.mu.Lock()
	away, refusal, before, after := l.away, l.refusal, l.before, l.after
	for _, prefix := range l.losing {
		away = away || strings.HasPrefix(name, prefix)
	}
	l.mu.Unlock()
	switch {
	case away:
		return 0, errCut
	case refusal != nil:
		return 0, refusal
	case before != nil:
		before(name)
	}
	l.Change(func(now *State) {
		if now.Documents[name].Revision != revision {
			err = shared.ErrConflict
			return
		}
		now.put(name, content)
		now.Puts++
		next = now.Last
	})
	if after != nil {
		after(name)
	}
	return next, err
}

// List is shared.Store's.
func (l *Link) List(_ context.Context, prefix string, each func(name string, content []byte, revision uint64)) error {
	if l.Away() {
		return errCut
	}
	now, _ := l.now()
	for _, name := range now.byRevision() {
		if d := now.Documents[name]; strings.HasPrefix(name, prefix) {
			each(name, d.Content, d.Revision)
		}
	}
	return nil
}

func (now State) byRevision() []string {
	return slices.SortedFunc(maps.Keys(now.Documents), func(a, b string) int {
		return cmp.Compare(now.Documents[a].Revision, now.Documents[b].Revision)
	})
}

// Follow is shared.Store's.
func (l *Link) Follow(ctx context.Context, prefix string, changed func(name string, content []byte, revision uint64)) {
	told := map[string]Document{}
	for ctx.Err() == nil {
		now, wake := l.now()
		if !l.Away() {
			tell(told, now, prefix, changed)
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}

// tell tells what is another in now than was told.
func tell(told map[string]Document, now State, prefix string, changed func(string, []byte, uint64)) {
	for name := range told {
		if _, ok := now.Documents[name]; !ok {
			delete(told, name)
			changed(name, nil, 0)
		}
	}
	for _, name := range now.byRevision() {
		d := now.Documents[name]
		if !strings.HasPrefix(name, prefix) || told[name].Revision == d.Revision && bytes.Equal(told[name].Content, d.Content) {
			continue
		}
		told[name] = d
		changed(name, d.Content, d.Revision)
	}
}
