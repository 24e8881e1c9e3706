package client

import (
	"testing"
	"time"
)

// A connection that was idle for long is not used again, since the node may be about to
// close it, and those behind it are closed one with each call.
func TestIdleTime(t *testing.T) {
	r, answer := timingRequest(1)
	c, err := New(Options{Addrs: []string{timingNode(t, answer)}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := c.decides.nodes[0]
	decide := func() *conn {
		t.Helper()
		if _, err := c.Decide(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return n.idle[len(n.idle)-1]
	}
	first := decide()
	if decide() != first {
		t.Fatal("a connection is not used again")
	}
	first.last = time.Now().Add(-2 * idleTime)
	second := decide()
	if second == first || len(n.idle) != 1 || first.SetDeadline(time.Time{}) == nil {
		t.Errorf("a connection that was idle for too long is used again, or left open: %d idle", len(n.idle))
	}
	third, err := dial(t.Context(), n.addr, nil, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	third.last = time.Now()
	second.last = third.last.Add(-2 * idleTime)
	n.idle = append(n.idle, third) // two were in use at once, then one
	if decide() != third || len(n.idle) != 1 || second.SetDeadline(time.Time{}) == nil {
		t.Errorf("a connection that nobody needs stays: %d idle", len(n.idle))
	}
	if len(n.slots) != 0 {
		t.Errorf("%d connections are counted as in use", len(n.slots))
	}
	c.Close()
	if third.SetDeadline(time.Time{}) == nil || len(n.idle) != 0 {
		t.Error("a closed client keeps connections")
	}
}
