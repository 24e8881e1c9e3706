package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const testEvery = 5 * time.Millisecond // between two looks

// embeddedShared is an embedded server with its bucket.
func embeddedShared(t *testing.T) (*broker, *Shared) {
	t.Helper()
	b, _ := testBroker(t, BrokerOptions{Dir: filepath.Join(t.TempDir(), "nats"), Node: "edge-1"})
	ensured(t, b)
	return b, newShared(b.readJS, kvBucket, testEvery)
}

// told is what a follower was told.
type told struct {
	mu    sync.Mutex
	lines []string // name=document@revision
	last  map[string]string
}

func follow(t *testing.T, s *Shared, prefix string) *told {
	t.Helper()
	f := &told{last: map[string]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s.Follow(ctx, prefix, func(name string, document []byte, revision uint64) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if (document == nil) != (revision == 0) {
				t.Errorf("%s: document %q with revision %d", name, document, revision)
			}
			f.lines = append(f.lines, fmt.Sprintf("%s=%.20s@%d", name, document, revision))
			f.last[name] = string(document)
		})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

func (f *told) is(t *testing.T, name, document string) {
	t.Helper()
	soon(t, name+" is "+document, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		last, ok := f.last[name]
		return ok && last == document
	})
}

func mustPut(t *testing.T, s *Shared, name, document string, revision uint64) uint64 {
	t.Helper()
	next, err := s.Put(t.Context(), name, []byte(document), revision)
	if err != nil || next == 0 {
		t.Fatalf("put %s=%.20s over %d: %d, %v", name, document, revision, next, err)
	}
	return next
}

func TestSharedPut(t *testing.T) {
	b, s := embeddedShared(t)
	one := mustPut(t, s, "policy", "a", 0)
	two := mustPut(t, s, "policy", "b", one)
	for _, revision := range []uint64{0, one, two + 1} {
		if _, err := s.Put(t.Context(), "policy", []byte("c"), revision); !errors.Is(err, ErrConflict) || errors.Is(err, ErrAway) {
			t.Errorf("over %d: %v", revision, err)
		}
	}
	if e, err := s.get(t.Context(), "policy"); err != nil || string(e.document) != "b" || e.revision != two || e.deleted {
		t.Errorf("%+v, %v", e, err)
	}

	kv, err := b.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e, err := kv.Get(t.Context(), "policy"); err != nil || string(e.Value()) != "b" || e.Revision() != two {
		t.Errorf("by the library: %v, %v", e, err)
	}
	for _, remove := range []func() error{
		func() error { return kv.Delete(t.Context(), "policy") },
		func() error { return kv.Purge(t.Context(), "policy") },
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), "policy", []byte("c"), two); !errors.Is(err, ErrConflict) {
			t.Errorf("over a deleted one: %v", err)
		}
		two = mustPut(t, s, "policy", "c", 0)
	}
	large := string(make([]byte, 1_000_000))
	mustPut(t, s, "policy", large, two)
	follow(t, s, "").is(t, "policy", large)
	if _, err := s.Put(t.Context(), "other", make([]byte, 2<<20), 0); !errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, ErrAway) {
		t.Errorf("too large: %v", err)
	}
	if _, err := s.Put(t.Context(), "no good", nil, 0); err == nil || errors.Is(err, ErrAway) || errors.Is(err, ErrConflict) {
		t.Errorf("a bad name: %v", err)
	}
}

// Of puts at once exactly one wins.
func TestSharedOneWins(t *testing.T) {
	_, s := embeddedShared(t)
	var revision uint64
	for range 5 {
		var mu sync.Mutex
		var won []uint64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				next, err := s.Put(t.Context(), "policy", fmt.Appendf(nil, "%d", i), revision)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, next)
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d won", len(won))
		}
		revision = won[0]
	}
}

// Each change is told, in order of revision, of the names with the prefix only.
func TestSharedFollow(t *testing.T) {
	b, s := embeddedShared(t)
	mustPut(t, s, "lists.b", "1", 0)
	mustPut(t, s, "lists.a", "2", 0)
	mustPut(t, s, "policy", "3", 0)
	f, all := follow(t, s, "lists."), follow(t, s, "")
	f.is(t, "lists.a", "2")
	all.is(t, "policy", "3")
	empty := mustPut(t, s, "lists.c", "", 0)
	f.is(t, "lists.c", "")
	mustPut(t, s, "lists.c", "4", empty)
	f.is(t, "lists.c", "4")
	kv, err := b.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "lists.a"); err != nil {
		t.Fatal(err)
	}
	f.is(t, "lists.a", "")
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := []string{"lists.b=1@1", "lists.a=2@2", "lists.c=@4", "lists.c=4@5", "lists.a=@0"}; !slices.Equal(f.lines, want) {
		t.Errorf("told %q, want %q", f.lines, want)
	}
}

// A bucket that is gone is away; made anew it is told of, whatever its revisions.
func TestSharedBucketMadeAnew(t *testing.T) {
	b, s := embeddedShared(t)
	f := follow(t, s, "")
	revision := mustPut(t, s, "policy", "old", mustPut(t, s, "policy", "older", 0))
	mustPut(t, s, "gone", "x", 0)
	f.is(t, "policy", "old")
	f.is(t, "gone", "x")
	if err := b.readJS.DeleteKeyValue(t.Context(), kvBucket); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "policy", []byte("new"), revision); !errors.Is(err, ErrAway) {
		t.Errorf("without a bucket: %v", err)
	}
	ensured(t, b)
	f.is(t, "gone", "")
	f.is(t, "policy", "")
	if _, err := s.Put(t.Context(), "policy", []byte("new"), revision); !errors.Is(err, ErrConflict) {
		t.Errorf("over a revision of the bucket before: %v", err)
	}
	mustPut(t, s, "policy", "new", 0)
	f.is(t, "policy", "new")

	// The same sequence again, between two looks.
	if err := b.readJS.DeleteKeyValue(t.Context(), kvBucket); err != nil {
		t.Fatal(err)
	}
	ensured(t, b)
	mustPut(t, s, "policy", "same sequence", 0)
	f.is(t, "policy", "same sequence")
}

// A store that is put back from a copy is told of, also where it has grown to the
// same revision again before anybody looked.
func TestSharedStoreRolledBack(t *testing.T) {
	b, s := embeddedShared(t)
	f := follow(t, s, "")
	first := mustPut(t, s, "policy", "first", 0)
	b.embedded.stop()
	store, aside := filepath.Join(b.options.Dir, "jetstream"), filepath.Join(t.TempDir(), "copy")
	copyTree(t, store, aside)
	restart := func() {
		t.Helper()
		if err := b.embedded.start(); err != nil {
			t.Fatal(err)
		}
		soon(t, "connection", b.connected)
	}
	putSoon := func(s *Shared, document string, revision uint64) {
		t.Helper()
		soon(t, document, func() bool {
			_, err := s.Put(t.Context(), "policy", []byte(document), revision)
			if err != nil && !errors.Is(err, ErrAway) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	restart()
	putSoon(s, "second", first)
	f.is(t, "policy", "second")

	for _, document := range []string{"", "another second"} {
		b.embedded.stop()
		if _, err := s.Put(t.Context(), "policy", []byte("x"), first); !errors.Is(err, ErrAway) {
			t.Errorf("without a server: %v", err)
		}
		if err := os.RemoveAll(store); err != nil {
			t.Fatal(err)
		}
		copyTree(t, aside, store)
		if document == "" {
			restart()
			f.is(t, "policy", "first")
			continue
		}
		restart()
		putSoon(s, document, first)
		f.is(t, "policy", document)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A follower that comes and goes while documents change ends with the newest of each.
func TestSharedFollowMany(t *testing.T) {
	b, s := embeddedShared(t)
	r := rand.New(rand.NewPCG(1, 2))
	revisions, newest := map[string]uint64{}, map[string][]byte{}
	f := follow(t, s, "")
	for i := range 300 {
		name, document := fmt.Sprintf("lists.%d", r.IntN(20)), fmt.Appendf(nil, "%d", i)
		revisions[name] = mustPut(t, s, name, string(document), revisions[name])
		newest[name] = document
		if i == 150 {
			if err := b.restart(); err != nil {
				t.Fatal(err)
			}
			soon(t, "connection", b.connected)
			soon(t, "bucket", func() bool { _, err := s.get(t.Context(), name); return err == nil })
		}
	}
	for name, document := range newest {
		f.is(t, name, string(document))
		if e, err := s.get(t.Context(), name); err != nil || !bytes.Equal(e.document, document) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}
