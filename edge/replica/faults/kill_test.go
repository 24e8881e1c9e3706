package faults

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// loaded is a node of its own with a load on it, started.
func loaded(t *testing.T, random *rand.Rand, flags ...string) (*node, *load) {
	t.Helper()
	n := newNode(t, t.TempDir(), "single", flags...)
	n.start(t)
	return n, newLoad([]*node{n}, random.Uint64(), 4, 25)
}

// anyTime is a time up to most, for faults that are to come at any moment.
func anyTime(random *rand.Rand, most time.Duration) <-chan time.Time {
	return time.After(time.Duration(random.Int64N(int64(most))))
}

// kill -9 at any moment under load, again and again: whatever was acknowledged is counted, once.
func TestKillLoop(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	for range rounds(10, 100) {
		l.during(t, func() {
			<-anyTime(random, 300*time.Millisecond)
			n.kill(t)
		})
		n.start(t)
		l.verify(t)
		if t.Failed() {
			return
		}
	}
	if len(n.pids) < 11 || l.history.totals().unknown == 0 {
		t.Errorf("no kill met an event on its way: %+v", l.history.totals())
	}
	l.summary(t)
}

// SIGTERM under load ends cleanly, and loses nothing either.
func TestTerminateUnderLoad(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	for range rounds(3, 20) {
		l.during(t, func() {
			<-anyTime(random, 200*time.Millisecond)
			n.terminate(t)
		})
		n.start(t)
		l.verify(t)
	}
	l.summary(t)
}

// SIGSTOP under load: the callers' time runs out, and what they then do not know may be there or not.
func TestFrozenNode(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	l.during(t, func() {
		n.freeze(t)
		before := l.history.totals()
		until(t, "events that nobody knows of", func() bool { return l.history.totals().unknown > before.unknown })
		n.thaw(t)
		l.awaitMore(t, 50)
	})
	l.verify(t)
	l.summary(t)
}

// snapshots are the node's, oldest first.
func (n *node) snapshots(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(n.data(), "counters", "snapshots", "*.snap"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// awaitSnapshots waits until so many more snapshots have been taken under the load.
func (n *node) awaitSnapshots(t testing.TB, more int) {
	t.Helper()
	for range more {
		before := n.snapshots(t)
		until(t, "another snapshot", func() bool {
			now := n.snapshots(t)
			return len(now) > 0 && (len(before) == 0 || now[len(now)-1] != before[len(before)-1])
		})
	}
}
