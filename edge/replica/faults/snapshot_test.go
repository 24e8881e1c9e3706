package faults

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// damages are what can happen to a file.
var damages = map[string]func(*rand.Rand, []byte) []byte{
	"truncated":   func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] },
	"bit-flipped": func(r *rand.Rand, b []byte) []byte { b[r.IntN(len(b))] ^= 1 << r.IntN(8); return b },
	"zeroed": func(r *rand.Rand, b []byte) []byte {
		from := r.IntN(len(b))
		clear(b[from:min(len(b), from+4096)])
		return append(b, 0) // another file even where it was zero there
	},
}

// The newest snapshot is damaged: it is set aside with a log line, the one before it is used, and nothing is missing.
func TestDamagedSnapshot(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			random := scenario(t)
			n, l := loaded(t, random)
			l.during(t, func() {
				n.awaitSnapshots(t, 2)
				n.kill(t)
			})
			all := n.snapshots(t)
			rewrite(t, all[len(all)-1], func(b []byte) []byte { return damage(random, b) })
			n.start(t)
			l.verify(t)
			if n.logged("damaged snapshot") == 0 {
				t.Error("the log does not say that a snapshot was damaged")
			}
			if _, err := os.Stat(all[len(all)-1] + ".damaged"); err != nil {
				t.Errorf("the damaged snapshot is not kept: %v", err)
			}
			l.during(t, func() { n.kill(t) }) // and on from there
			n.start(t)
			l.verify(t)
			l.summary(t)
		})
	}
}

// complete says whether the node has everything; if it has not, the node must say so itself: not ready, by a condition with a detail. The
// loss must never be silent.
func (l *load) completeOrTold(t *testing.T, n *node) (complete bool) {
	t.Helper()
	wrong := l.findings(t, 0)
	ready, unmet := n.ready(t)
	switch {
	case len(wrong) == 0:
	case ready:
		t.Errorf("the node lost what it had acknowledged and says that it is ready; nothing tells of it:%s", few(wrong))
	case len(unmet) == 0 || unmet[0].Detail == "":
		t.Errorf("the node is not ready, and does not say why: %+v", unmet)
	default:
		t.Logf("told: %+v", unmet)
	}
	return len(wrong) == 0
}

// aged loads a node for several snapshots and starts, so that its outbox does not reach back to the beginning any more.
func (l *load) aged(t *testing.T, n *node) {
	t.Helper()
	for range 3 {
		l.during(t, func() {
			n.awaitSnapshots(t, 2)
			n.kill(t)
		})
		n.start(t)
	}
}

// forget takes away what else a node has of the past: the store of the embedded NATS, and of the outbox what it drops by itself once some
// time has passed, which is all but the last segment.
func (n *node) forget(t *testing.T) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(n.data(), "counters", "outbox", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no outbox: %v", err)
	}
	store := filepath.Join(n.data(), "nats")
	if _, err := os.Stat(store); err != nil {
		t.Fatalf("the store of the embedded NATS is not where it was: %v", err)
	}
	for _, gone := range append(segments[:len(segments)-1], store) {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
}

// withoutSnapshots damages what a node that has run for a while keeps of its past, and wants it to be whole from another source, or to say
// that it is not; where there is no other source, to say so.
func withoutSnapshots(t *testing.T, damage func(t *testing.T, random *rand.Rand, n *node, older string)) {
	t.Helper()
	for name, alone := range map[string]bool{"with another source": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			random := scenario(t)
			n, l := loaded(t, random)
			l.during(t, func() { n.awaitSnapshots(t, 2) })
			n.kill(t)
			older := t.TempDir()
			copyDir(t, n.snapshotDir(), older)
			n.start(t)
			l.aged(t, n)
			n.kill(t)
			damage(t, random, n, older)
			if alone {
				n.forget(t)
			}
			n.startAnswering(t)
			until(t, "ready, or not for the events", func() bool {
				ready, unmet := n.ready(t)
				return ready || slices.ContainsFunc(unmet, func(c condition) bool { return c.Name == "events" })
			})
			if complete := l.completeOrTold(t, n); complete && alone {
				t.Error("nothing is missing: the fault did not take place")
			}
			l.summary(t)
		})
	}
}

func (n *node) snapshotDir() string { return filepath.Join(n.data(), "counters", "snapshots") }

// Every snapshot is damaged, and the outbox no longer reaches back to the beginning.
func TestAllSnapshotsDamaged(t *testing.T) {
	withoutSnapshots(t, func(t *testing.T, random *rand.Rand, n *node, _ string) {
		for _, name := range n.snapshots(t) {
			rewrite(t, name, func(b []byte) []byte { return damages["bit-flipped"](random, b) })
		}
	})
}

// Somebody puts back the snapshots of some time ago, beside the outbox of today. What lies between is in neither.
func TestOlderSnapshotRestored(t *testing.T) {
	withoutSnapshots(t, func(t *testing.T, _ *rand.Rand, n *node, older string) { replaceDir(t, n.snapshotDir(), older) })
}

// All snapshots are gone, and with them what the outbox has dropped since.
func TestSnapshotsLost(t *testing.T) {
	withoutSnapshots(t, func(t *testing.T, _ *rand.Rand, n *node, _ string) { replaceDir(t, n.snapshotDir(), t.TempDir()) })
}

// The whole folder is put back as it was some time ago, consistent in itself: the node cannot know that it lost what came after, but it must
// have all that came before, and what is sent again must count once.
func TestWholeFolderRestored(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	l.during(t, func() { n.awaitSnapshots(t, 1) })
	n.kill(t)
	older := t.TempDir()
	copyDir(t, n.data(), older)
	want := l.history.bounds(impression)
	n.start(t)
	replayed := newLoad(l.nodes, random.Uint64(), 2, 10)
	replayed.during(t, func() { n.awaitSnapshots(t, 1) })
	n.kill(t)
	replaceDir(t, n.data(), older)
	n.start(t)
	if wrong := checkBounds(want, only(l.readAll(t), "count-"), countLimit); len(wrong) > 0 {
		t.Error(few(wrong))
	}
	replayed.again(t, n)
	replayed.verify(t)
	l.verify(t)
	l.summary(t)
}

// again reports every event once more, as callers with a log of their own would.
func (l *load) again(t *testing.T, n *node) {
	t.Helper()
	w := l.workers[0]
	for _, e := range l.history.all() {
		if e.pair.of != tightCampaign { // those need their token
			w.report([]event{e}, n)
		}
	}
}
