package shared_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"restraint/edge/shared"
	"restraint/edge/shared/sharedtest"
)

// letters is a join for tests: a document is a sorted set of small letters.
func letters(_ string, a, b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte("newer")) {
		return nil, shared.ErrNewer
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
	*shared.Joined
	t    *testing.T
	dir  string
	link shared.Store
	stop func()

	mu   sync.Mutex
	seen map[string]string
}

func (n *joinedNode) see(name string, doc []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[name] = string(doc)
}

// openLetters opens documents of letters; they run once start is called.
func openLetters(t *testing.T, dir string, store shared.Store) *joinedNode {
	t.Helper()
	n := &joinedNode{t: t, dir: dir, link: store, seen: map[string]string{}}
	var err error
	n.Joined, err = shared.OpenJoined(dir, shared.Kind{Prefix: "letters.", Join: letters, Changed: n.see}, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs it until stop, or the end of the test.
func (n *joinedNode) start() *joinedNode {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
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

// holds says whether the cluster has what is wanted.
func holds(t *testing.T, store *sharedtest.Store, name, want string) {
	t.Helper()
	if got := string(store.Get(name).Content); got != want {
		t.Errorf("the cluster's %s is %q, want %q", name, got, want)
	}
}
