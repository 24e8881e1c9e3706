package replica

import (
	"testing"
	"time"

	"restraint/caps"
)

// A message is counted in the bucket whose bound it does not go beyond; a clock that is off by little gives none below 0.
func TestLagBuckets(t *testing.T) {
	var l lag
	for _, took := range []time.Duration{-time.Second, 0, time.Millisecond, time.Millisecond + 1, 10 * time.Minute, 10*time.Minute + 1} {
		l.note(took)
	}
	r := l.read()
	if r.Counts[0] != 3 || r.Counts[1] != 1 || r.Counts[len(LagBounds)-1] != 1 || r.Counts[len(LagBounds)] != 1 || r.Sum != 20*time.Minute+2*time.Millisecond+2 {
		t.Errorf("%+v", r)
	}
}

// What another node sends is counted once it comes: not what this node sent itself, nor what it read to catch up after its start.
func TestLagOfOtherNodes(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	first := join(t, t.TempDir(), b.ClientURL())
	expose := func(identity uint32) caps.Change {
		return caps.Change{
			Kind: caps.ChangeExpose, Keys: testKeys(1), Now: testNow, Exposure: caps.Exposure{Identity: identity, At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 20}},
		}
	}
	record(t, first.Keeper, expose(1))
	settled(t, first)
	second := join(t, t.TempDir(), b.ClientURL())
	settled(t, first, second)
	for _, m := range []member{first, second} {
		m.cluster.readClock(t.Context())
		if m.cluster.clock.Load() == nil {
			t.Fatal("the servers' clock is not known")
		}
		if r := m.Stats().Cluster.Lag; r != (Lag{}) {
			t.Errorf("before anything came: %+v", r)
		}
	}
	record(t, first.Keeper, expose(2))
	settled(t, first, second)
	count := func(l Lag) (n uint64) {
		for _, k := range l.Counts {
			n += k
		}
		return n
	}
	if r := second.Stats().Cluster.Lag; count(r) != 1 || r.Sum < 0 || r.Sum > time.Minute {
		t.Errorf("after one message of another node: %+v", r)
	}
	if r := first.Stats().Cluster.Lag; count(r) != 0 {
		t.Errorf("after one of its own: %+v", r)
	}
	if known := second.Stats().Cluster.Events.Known; time.Since(known) > time.Minute {
		t.Errorf("what the others did is known until %v", known)
	}
}
