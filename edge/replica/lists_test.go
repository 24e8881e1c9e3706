package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// heard is what one node was given of lists.
type heard struct {
	*Lists
	file string
	stop func()

	mu      sync.Mutex
	numbers []uint64
	texts   []string
	refuse  atomic.Bool
	lost    atomic.Int32
	synced  atomic.Int32
}

// hear follows the messages of lists until the test ends.
func hear(t *testing.T, m member, file string) *heard {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h := &heard{Lists: m.Lists(), file: file}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Follow(ctx, ListFollower{
			File: file, Sync: func() error { h.synced.Add(1); return nil }, Lost: func() { h.lost.Add(1) },
			Apply: func(before, number uint64, message []byte) error {
				if h.refuse.Load() {
					return errors.New("not now")
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				if n := len(h.numbers); n > 0 && before < h.numbers[n-1] {
					t.Errorf("message %d comes after %d, it says %d", number, h.numbers[n-1], before)
				}
				h.numbers, h.texts = append(h.numbers, number), append(h.texts, string(message))
				return nil
			},
		})
	}()
	h.stop = func() { cancel(); <-done }
	t.Cleanup(h.stop)
	until(t, "the stream has been looked at", func() bool { return h.Stats().Stream.Reached })
	return h
}

func (h *heard) all() ([]uint64, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.numbers), slices.Clone(h.texts)
}

func (h *heard) publish(t *testing.T, text string, above uint64) uint64 {
	t.Helper()
	number, err := h.Publish(t.Context(), []byte(text), above)
	if err != nil || number <= above {
		t.Fatalf("publish %q: %d, %v", text, number, err)
	}
	return number
}

// read is what Read gives.
func (h *heard) read(t *testing.T) (numbers []uint64, texts []string) {
	t.Helper()
	err := h.Read(t.Context(), func(number uint64, message []byte) error {
		numbers, texts = append(numbers, number), append(texts, string(message))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers, texts
}

// All nodes are given the same messages under the same numbers, which ascend, whoever publishes; other refusals are none of them.
func TestListsInOneOrder(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	members := []member{join(t, t.TempDir(), b.ClientURL()), join(t, t.TempDir(), b.ClientURL())}
	settled(t, members...)
	dir := t.TempDir()
	nodes := []*heard{hear(t, members[0], filepath.Join(dir, "a")), hear(t, members[1], filepath.Join(dir, "b"))}
	nodes[1].refuse.Store(true) // it catches up
	var publishing sync.WaitGroup
	for i, n := range nodes {
		publishing.Go(func() {
			for k := range 20 {
				if _, err := n.Publish(t.Context(), fmt.Appendf(nil, "%d/%d", i, k), 0); err != nil {
					t.Error(err)
				}
				if err := members[i].Record(randomChanges(rand.New(rand.NewPCG(uint64(i), uint64(k))), testKeys(5), 3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	nodes[1].refuse.Store(false)
	high := nodes[0].publish(t, "high", 1<<50)
	last := nodes[1].publish(t, "", 0)
	if high != 1<<50+1 || last != high+1 {
		t.Errorf("numbers %d and %d", high, last)
	}
	want, texts := nodes[0].read(t)
	if len(want) != 42 || !slices.IsSorted(want) || len(slices.Compact(slices.Clone(want))) != 42 || texts[41] != "" {
		t.Fatalf("read %d, %q", want, texts)
	}
	for i, n := range nodes {
		until(t, "all is heard", func() bool { got, _ := n.all(); return len(got) >= 42 })
		if got, said := n.all(); !slices.Equal(got, want) || !slices.Equal(said, texts) {
			t.Errorf("node %d heard %d %q, want %d %q", i, got, said, want, texts)
		}
		if s := n.Stats(); !s.Connected || s.Stream.Gap != "" {
			t.Errorf("%+v", s)
		}
	}
	settled(t, members...) // changes of lists are no changes of counters
	for _, m := range members {
		if st := m.Stats(); st.Cluster.Unusable != 0 {
			t.Errorf("%+v", st.Cluster)
		}
	}

	nodes[0].stop()
	if nodes[0].synced.Load() == 0 {
		t.Error("the position was written before what it says was synced")
	}
	again := hear(t, members[0], nodes[0].file)
	next := again.publish(t, "after", 0)
	until(t, "it goes on", func() bool { got, _ := again.all(); return len(got) > 0 })
	if got, _ := again.all(); !slices.Equal(got, []uint64{next}) {
		t.Errorf("it goes on with %d, want %d", got, next)
	}
	if err := os.WriteFile(nodes[1].file+"2", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	anew := hear(t, members[1], nodes[1].file+"2")
	until(t, "without a position all is read", func() bool { got, _ := anew.all(); return len(got) == 43 })
	again.stop()
	anew.stop()
	nodes[1].stop()
	for _, m := range members {
		closed(t, m.Keeper)
	}
}

// A stream that was made anew or has lost its end is told of, and numbers go on after those that were lost.
func TestListsLost(t *testing.T) {
	for _, empty := range []bool{false, true} {
		t.Run(fmt.Sprintf("empty=%t", empty), func(t *testing.T) {
			dir, old := t.TempDir(), t.TempDir()
			b := startBroker(t, dir, 0)
			url, port := b.ClientURL(), b.Addr().(*net.TCPAddr).Port
			m := join(t, t.TempDir(), url)
			n := hear(t, m, filepath.Join(t.TempDir(), "at"))
			n.publish(t, "one", 0)
			if !empty {
				stopBroker(b)
				copyDir(t, dir, old)
				b = startBroker(t, dir, port)
			}
			until(t, "NATS is there again", func() bool { return n.Stats().Connected })
			var two uint64
			until(t, "it is published", func() (ok bool) {
				number, err := n.Publish(t.Context(), []byte("two"), 0)
				two = number
				return err == nil
			})
			until(t, "both are heard", func() bool { got, _ := n.all(); return len(got) > 0 && got[len(got)-1] == two })
			stopBroker(b)
			if _, err := n.Publish(t.Context(), []byte("three"), 0); !errors.Is(err, ErrAway) {
				t.Errorf("published without NATS: %v", err)
			}
			if err := n.Read(t.Context(), func(uint64, []byte) error { return nil }); !errors.Is(err, ErrAway) {
				t.Errorf("read without NATS: %v", err)
			}
			b = startBroker(t, old, port)
			until(t, "the loss is told", func() bool { return n.lost.Load() > 0 })
			var three uint64
			until(t, "it is published", func() bool {
				number, err := n.Publish(t.Context(), []byte("three"), 0)
				three = number
				return err == nil
			})
			if three <= two {
				t.Errorf("what is published after a loss has number %d, not above %d", three, two)
			}
			until(t, "it is heard", func() bool { got, _ := n.all(); return got[len(got)-1] == three })
			n.stop()
			closed(t, m.Keeper)
			stopBroker(b)
		})
	}
}

// Files of several parts come back whole; those in use no more go, late.
func TestListFiles(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	m := join(t, t.TempDir(), b.ClientURL())
	settled(t, m)
	l := m.Lists()
	file := make([]byte, partBytes+12345)
	for i := range file {
		file[i] = byte(i * 7 >> 3)
	}
	for name, size := range map[string]int{"small.1": 100, "large.2": len(file), "empty.3": 0} {
		if err := l.Put(t.Context(), name, bytes.NewReader(file), int64(size)); err != nil {
			t.Fatal(err)
		}
		r, err := l.Get(t.Context(), name, int64(size))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, file[:size]) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := l.Put(t.Context(), "short.4", bytes.NewReader(file[:50]), 100); err == nil {
		t.Error("a file that ends early is put")
	}
	record(t, m.Keeper, randomChanges(testRand(t), testKeys(5), 3)...)
	if err := m.snapshot(); err != nil {
		t.Fatal(err)
	}
	kv, err := m.broker.keyValue(t.Context())
	if err == nil {
		err = m.cluster.copier.copy(t.Context(), kv)
	}
	if err != nil {
		t.Fatal(err)
	}
	there := func() (names []string) {
		objects, err := m.broker.snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		infos, err := objects.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			names = append(names, info.Name)
		}
		slices.Sort(names)
		return names
	}
	before := there()
	used := func(name string) bool { return name == "small.1" }
	if err := l.Sweep(t.Context(), used); err != nil || !slices.Equal(there(), before) {
		t.Errorf("young files are swept: %q, %v", there(), err)
	}
	if err := l.sweep(t.Context(), used, time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	left := there()
	if !slices.Contains(left, "list-small.1.0") || slices.Contains(left, "list-large.2.0") || slices.Contains(left, "list-large.2.1") || len(left) < 2 {
		t.Errorf("left are %q of %q", left, before)
	}
	closed(t, m.Keeper)
}
