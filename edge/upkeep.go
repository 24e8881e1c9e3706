package edge

import (
	"context"
	"time"

	"restraint/caps"
)

// sweepEvery is how often a part of the store is gone through for what has
// expired, sweepShare which part: all of it within some minutes. Chosen.
const (
	sweepEvery = time.Second
	sweepShare = 256
)

// sweep lets go of expired state, a little at a time, until ctx ends. Under the
// requests' clock there is no now to go by.
func (n *Node) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if !n.clock.request {
				n.caps.Sweep(caps.Second(n.clock.at(now, 0)), sweepShare)
			}
		}
	}
}

// PutPolicy checks a policy and puts it in force; name says where it came from.
// A text that is in force already changes nothing. On an error the policy in force
// stays: ErrConflict, ErrAway where the cluster has to take it first.
func (n *Node) PutPolicy(text []byte, name string) error {
	_, err := n.putPolicy(text, name, false, 0)
	return err
}
