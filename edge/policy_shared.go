package edge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"restraint/edge/shared"
)

// Times of sharing. Chosen.
const (
	// shareTimeout bounds one change of the shared policy.
	shareTimeout = 5 * time.Second
	// joinTimeout bounds how long a start waits for the cluster's policy.
	joinTimeout = 3 * time.Second
	// settleEvery is how often the node tries again what the cluster or the disk
	// did not take.
	settleEvery = time.Second
	// lookEvery is how often the cluster is asked for its policy beside being followed: of
	// what it loses unseen nothing is told.
	lookEvery = 5 * time.Minute
)

// errNotShared says that the cluster did not take a policy.
var errNotShared = errors.New("the cluster did not take the policy")

// sharing is what a node knows of the cluster's document. Guarded by
// policies.changing.
type sharing struct {
	revision uint64 // what a new version replaces; 0: nothing
	unread   int    // version of the document of that revision where it could not be taken, else 0

	seen         [sha256.Size]byte // of the document looked at last
	seenRevision uint64

	// propose: the cluster has no policy, as far as is known, or an older one than
	// it had: the one in force here is put over the revision over.
	propose bool
	over    uint64
	// waiting is what the cluster has and this node's disk did not take.
	waiting         *policyVersion
	waitingRevision uint64

	wake chan struct{} // of capacity 1: there is something to settle
}

// standing is how the policy in force stands to the cluster's.
type standing struct {
	joined   bool   // it is the cluster's, or was when the cluster was last heard of
	degraded string // why the newest on disk has to do until then
	fault    string // why the cluster's newest is not in force
}

func (p *policies) stand(change func(*standing)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.standing)
}

func (p *policies) standingNow() standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing
}

// joined notes that the policy in force is the cluster's of that revision.
func (p *policies) joined(revision uint64) {
	p.sharing.revision, p.sharing.unread = revision, 0
	p.sharing.propose, p.sharing.waiting = false, nil
	p.stand(func(s *standing) { *s = standing{joined: true} })
}

// shareNew keeps v and has the cluster take it, or neither; policies.changing is
// held.
func (n *Node) shareNew(ctx context.Context, v *policyVersion) error {
	p := &n.policies
	v.Shared = true
	file, err := p.stage(v)
	if err != nil {
		return err
	}
	if err := n.share(ctx, v, p.sharing.revision); err != nil {
		file.Discard()
		return err
	}
	if err := file.Commit(); err != nil { // in force on the others by now, so here too
		n.log.Error("policy not on disk; the cluster has it", "version", v.Version, "error", err.Error())
	}
	return nil
}

// share puts v over a revision of the cluster's document; policies.changing is held.
func (n *Node) share(ctx context.Context, v *policyVersion, over uint64) error {
	document, err := v.document()
	if err != nil {
		return err
	}
	revision, err := n.options.Shared.Put(ctx, policyDocument, document, over)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotShared, err)
	}
	p := &n.policies
	p.sharing.seen, p.sharing.seenRevision = sha256.Sum256(document), revision
	p.joined(revision)
	return nil
}

// joinPolicy asks the cluster which policy is in force and proposes this node's where
// there is none. Where there is no answer in time, Run goes on asking.
func (n *Node) joinPolicy() {
	p := &n.policies
	p.sharing.wake = make(chan struct{}, 1)
	if n.options.Shared == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	p.sharing.propose = true
	n.settlePolicy(ctx)
	if p.standingNow() != (standing{}) {
		return
	}
	n.options.Shared.Follow(ctx, policyDocument, func(name string, document []byte, revision uint64) {
		n.followed(name, document, revision)
		n.settlePolicy(ctx)
		if p.standingNow() != (standing{}) {
			cancel()
		}
	})
}

// sharePolicy keeps the policy in force the cluster's until ctx ends.
func (n *Node) sharePolicy(ctx context.Context) {
	if n.options.Shared == nil {
		return
	}
	var told atomic.Bool // by Follow, of anything
	var following sync.WaitGroup
	following.Go(func() {
		n.options.Shared.Follow(ctx, policyDocument, func(name string, document []byte, revision uint64) {
			told.Store(true)
			n.followed(name, document, revision)
		})
	})
	defer following.Wait()
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	var looked time.Time
	for {
		n.settlePolicy(ctx)
		if (!told.Load() || time.Since(looked) >= lookEvery) && n.lookForPolicy(ctx) {
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-n.policies.sharing.wake:
		}
	}
}

// lookForPolicy takes what the cluster has now as if Follow had told it. False: it could
// not be asked.
func (n *Node) lookForPolicy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	var document []byte
	var revision uint64
	err := n.options.Shared.List(ctx, policyDocument, func(name string, d []byte, r uint64) {
		if name == policyDocument {
			document, revision = d, r
		}
	})
	if err == nil {
		n.followed(policyDocument, document, revision)
	}
	return err == nil
}

// settlePolicy tries what is still to be done: to put in force what the disk did not
// take, and to give the cluster the policy in force where it has none or an older
// one. Where another is there by now, that one is looked at.
func (n *Node) settlePolicy(ctx context.Context) {
	if errors.Is(n.trySettling(ctx), shared.ErrConflict) {
		n.lookForPolicy(ctx)
	}
}

func (n *Node) trySettling(ctx context.Context) error {
	p := &n.policies
	p.changing.Lock()
	defer p.changing.Unlock()
	if v := p.sharing.waiting; v != nil {
		n.takePolicy(v, p.sharing.waitingRevision)
		return nil
	}
	if !p.sharing.propose {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	err := n.proposePolicy(ctx)
	if err == nil || errors.Is(err, shared.ErrConflict) {
		return err
	}
	why := err.Error()
	if errors.Is(err, shared.ErrAway) {
		why = shared.ErrAway.Error()
	}
	p.stand(func(s *standing) {
		if s.degraded != why {
			n.log.Warn("policy not given to the cluster", "policy", n.rules.Load().Version, "error", err.Error())
		}
		s.degraded = why
	})
	return err
}

// proposePolicy gives the cluster the policy in force, or the first one.
func (n *Node) proposePolicy(ctx context.Context) error {
	p := &n.policies
	if p.newest().Version == 0 {
		return n.firstPolicy(func(put policyPut) (policyChange, error) { return n.putPolicyLocked(ctx, put) })
	}
	v, _, err := p.version(0)
	if err != nil {
		return err
	}
	own := !v.Shared
	v.Shared = true
	if err := n.share(ctx, &v, p.sharing.over); err != nil {
		return err
	}
	if !own {
		n.log.Warn("the cluster had lost its policy and was given it again", "version", v.Version, "sha256", v.SHA256)
		return nil
	}
	n.log.Info("the cluster has this node's policy", "version", v.Version, "sha256", v.SHA256)
	p.mu.Lock()
	p.versions[len(p.versions)-1].Shared = true
	p.mu.Unlock()
	return p.write(&v)
}

// policyCondition says whether a policy is in force that the node can answer for.
func (n *Node) policyCondition() condition {
	rules := n.rules.Load()
	version := rules.Version
	c := condition{Name: "policy", Detail: fmt.Sprintf("version %d", version)}
	if t := rules.trial; t != nil {
		c.Detail += fmt.Sprintf(", and version %d for %d %% of people", t.tried.Version, t.percent)
	}
	if n.options.Shared == nil {
		c.Ready = true
		return c
	}
	s := n.policies.standingNow()
	switch {
	case version == 0:
		c.Detail = "none yet: the cluster was asked which is in force"
		if why := s.fault + s.degraded; why != "" {
			c.Detail = "none yet: " + why
		}
	case s.fault != "":
		c.Detail += "; " + s.fault
	case s.joined:
		c.Ready = true
	case s.degraded != "":
		c.Ready = true
		c.Detail += " from disk, degraded: " + s.degraded
	default:
		c.Detail += " from disk; the cluster was asked for the newest"
	}
	return c
}
