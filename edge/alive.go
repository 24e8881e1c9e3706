package edge

import (
	"fmt"
	"sync/atomic"
	"time"
)

// sweeps has when the sweeper last came round, with the monotonic clock; nil: not yet.
type sweeps struct{ last atomic.Pointer[time.Time] }

// Ready says whether every condition of /readyz holds. Safe for concurrent use.
func (n *Node) Ready() bool {
	all, _ := n.ready()
	return all
}

// Swept returns an error where the sweeper of a running node has not come round within
// that time before now. It comes round every second, through the locks of the counters,
// all of them within some minutes, and of what keeps them: where it stands still the node
// answers nobody either, or soon will not. Safe for concurrent use.
func (n *Node) Swept(within time.Duration, now time.Time) error {
	last := n.sweeps.last.Load()
	if last == nil {
		return nil // Run has not begun
	}
	if stood := now.Sub(*last); stood > within {
		return fmt.Errorf("the sweeper has not come round for %s", stood.Round(time.Second))
	}
	return nil
}
