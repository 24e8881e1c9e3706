package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"restraint/caps"
	"restraint/edge/audit"
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
			n.sweepOnce(now)
			n.sweeps.last.Store(&now) // what holds it up is seen by Swept
		}
	}
}

func (n *Node) sweepOnce(now time.Time) {
	if n.clock.request {
		return
	}
	n.checkClock(now)
	if _, wrong := n.clock.wrong(); !wrong {
		n.caps.Sweep(caps.Second(n.clock.at(now, 0)), sweepShare)
	}
}

// forgetEvery is how often members of lists that have left by themselves are looked
// for in the files. Chosen.
const forgetEvery = time.Hour

// keepLists writes when requests last brought the sources of lists, and takes
// members who have left from their files, until ctx ends.
func (n *Node) keepLists(ctx context.Context) {
	save, forget := time.NewTicker(watchSaveEvery), time.NewTicker(forgetEvery)
	defer save.Stop()
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-save.C:
			n.saveWatch(now)
			continue
		case <-forget.C:
		}
		through := n.lists.Sequence()
		if n.options.Lists != nil {
			through = n.listing.followed.Load() // all before it has been applied
		}
		if err := n.lists.Forget(through); err != nil && ctx.Err() == nil {
			n.log.Warn("members of lists who have left stay in the files; it is tried again", "error", err.Error())
		}
	}
}

// checkClock looks whether the wall clock can be believed, and logs when that changes.
func (n *Node) checkClock(now time.Time) {
	var asked, servers time.Time
	if r := n.keeper.Kept().Replication; r != nil {
		asked, servers = r.ClockAsked, r.ClockServers
	}
	_, was := n.clock.wrong()
	n.clock.check(now, asked, servers)
	if ahead, wrong := n.clock.wrong(); wrong != was {
		n.log.Warn("the wall clock is believed or not", "wrong", wrong, "ahead_seconds", ahead.Seconds())
	}
}

// clockCondition says whether the wall clock can be believed.
func (n *Node) clockCondition() condition {
	ahead, wrong := n.clock.wrong()
	if !wrong {
		return condition{Name: "clock", Ready: true}
	}
	return condition{Name: "clock", Detail: fmt.Sprintf(
		"the wall clock is %s ahead of the NATS servers', or stepped by that: correct it, or restart the node if it is right; until then nothing expires", ahead.Round(time.Second))}
}

// PutPolicy checks a policy and puts it in force; name says where it came from.
// A text that is in force already changes nothing, also where it is for some people only:
// a pilot is not ended by reading a file again. On an error the policy in force
// stays: ErrConflict, ErrAway where the cluster has to take it first. A node that is told
// to end takes none, and waits for one that it is taking.
func (n *Node) PutPolicy(text []byte, name string) error {
	n.inside.RLock()
	defer n.inside.RUnlock()
	if n.draining.Load() {
		return errors.New("the node is draining and takes no policy: put it on another node, or once it runs again")
	}
	put := policyPut{text: text, from: name, keeps: true}
	_, err := n.putPolicyAs(audit.Entry{Action: audit.PolicyPut, Who: audit.Who{By: audit.BySIGHUP}}, put, n.putPolicy)
	return err
}
