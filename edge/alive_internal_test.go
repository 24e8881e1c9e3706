package edge

import (
	"strings"
	"testing"
	"time"
)

// A sweeper that stands still is seen, whatever the wall clock says meanwhile; before the
// node runs there is nothing to see.
func TestSwept(t *testing.T) {
	n, now := new(Node), time.Now()
	if err := n.Swept(0, now); err != nil {
		t.Error(err)
	}
	n.sweeps.last.Store(&now)
	if err := n.Swept(3*time.Second, now.Add(3*time.Second)); err != nil {
		t.Error(err)
	}
	err := n.Swept(3*time.Second, now.Add(7*time.Second))
	if err == nil || !strings.Contains(err.Error(), "7s") {
		t.Error(err)
	}
}
