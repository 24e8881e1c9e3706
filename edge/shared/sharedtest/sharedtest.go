package edge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// kvEntry is a document of a kv.
type kvEntry struct {
	document []byte
	revision uint64
}

// kv is what the nodes of a test share, in memory.
type kv struct {
	mu      sync.Mutex
	last    uint64
	entries map[string]kvEntry
	told    chan struct{} // closed at each change
	puts    int           // that were taken
}

func newKV() *kv { return &kv{entries: map[string]kvEntry{}, told: make(chan struct{})} }

// change changes the store behind the nodes' backs.
func (s *kv) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.told)
	s.told = make(chan struct{})
}

// write writes a document as a stranger could.
func (s *kv) write(name string, document []byte) {
	s.change(func() {
		s.last++
		s.entries[name] = kvEntry{bytes.Clone(document), s.last}
	})
}

func (s *kv) copied() (map[string]kvEntry, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.entries), s.told
}

// kvLink is one node's way to a kv, which can be cut.
type kvLink struct {
	*kv
	away   bool              // guarded by kv.mu
	refuse error             // likewise: what puts fail by
	before func(name string) // called before each Put that gets through
	after  func(name string) // likewise, and before its answer
}

func (l *kvLink) cut(away bool) { l.change(func() { l.away = away }) }

func (l *kvLink) gone() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return errors.Join(ErrAway, errors.New("no servers"))
	}
	return l.refuse
}

func (l *kvLink) Put(_ context.Context, name string, document []byte, revision uint64) (next uint64, err error) {
	if err := l.gone(); err != nil {
		return 0, err
	}
	if l.before != nil {
		l.before(name)
	}
	l.change(func() {
		if l.entries[name].revision != revision {
			err = ErrConflict
			return
		}
		l.last++
		l.puts++
		next = l.last
		l.entries[name] = kvEntry{bytes.Clone(document), next}
	})
	if l.after != nil {
		l.after(name)
	}
	return next, err
}

func (l *kvLink) List(_ context.Context, prefix string, each func(string, []byte, uint64)) error {
	if err := l.gone(); errors.Is(err, ErrAway) {
		return err
	}
	now, _ := l.copied()
	for _, name := range byRevision(now) {
		if strings.HasPrefix(name, prefix) {
			each(name, now[name].document, now[name].revision)
		}
	}
	return nil
}

func byRevision(now map[string]kvEntry) []string {
	return slices.SortedFunc(maps.Keys(now), func(a, b string) int { return cmp.Compare(now[a].revision, now[b].revision) })
}

func (l *kvLink) Follow(ctx context.Context, prefix string, changed func(string, []byte, uint64)) {
	told := map[string]kvEntry{}
	for ctx.Err() == nil {
		now, wake := l.copied()
		if l.gone() == nil {
			for name := range told {
				if _, ok := now[name]; !ok {
					delete(told, name)
					changed(name, nil, 0)
				}
			}
			for _, name := range byRevision(now) {
				e := now[name]
				if strings.HasPrefix(name, prefix) && (told[name].revision != e.revision || !bytes.Equal(told[name].document, e.document)) {
					told[name] = e
					changed(name, e.document, e.revision)
				}
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}

// letters is a join for tests: a document is a sorted set of small letters.
func letters(_ string, a, b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte("newer")) {
		return nil, errJoinedNewer
	}
	set := slices.Concat(a, b)
	slices.Sort(set)
	set = slices.Compact(set)
	if len(b) == 0 || set[0] < 'a' || set[len(set)-1] > 'z' {
		return nil, errors.New("not small letters")
	}
	return set, nil
}

// joinedNode is a node's joined documents in a test, and what it was told of them.
type joinedNode struct {
	*joined
	t    *testing.T
	dir  string
	link Shared
	seen map[string]string
	stop func()
}

// openLetters opens documents of letters; they run once start is called.
func openLetters(t *testing.T, dir string, shared Shared) *joinedNode {
	t.Helper()
	n := &joinedNode{t: t, dir: dir, link: shared, seen: map[string]string{}}
	var err error
	n.joined, err = openJoined(dir, "letters.", shared, slog.New(slog.NewTextHandler(io.Discard, nil)), letters, func(name string, doc []byte) {
		n.seen[name] = string(doc) // under the lock of joined
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs it until stop, or the end of the test.
func (n *joinedNode) start() *joinedNode {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.run(ctx) })
	n.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	n.t.Cleanup(n.stop)
	return n
}

// again opens the documents anew, as after kill -9.
func (n *joinedNode) again() *joinedNode {
	n.t.Helper()
	if n.stop != nil {
		n.stop()
	}
	return openLetters(n.t, n.dir, n.link)
}

func (n *joinedNode) has(name, want string) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := n.seen[name]; got != want {
		n.t.Errorf("%s is %q, want %q", name, got, want)
	}
}

func (s *kv) has(t *testing.T, name, want string) {
	t.Helper()
	now, _ := s.copied()
	if got := string(now[name].document); got != want {
		t.Errorf("the cluster's %s is %q, want %q", name, got, want)
	}
}
