package edge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"
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
		file.discard()
		return err
	}
	if err := file.commit(); err != nil { // in force on the others by now, so here too
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
	var following sync.WaitGroup
	following.Go(func() { n.options.Shared.Follow(ctx, policyDocument, n.followed) })
	defer following.Wait()
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-n.policies.sharing.wake:
		}
		n.settlePolicy(ctx)
	}
}

// settlePolicy tries what is still to be done: to put in force what the disk did not
// take, and to give the cluster the policy in force where it has none or an older
// one.
func (n *Node) settlePolicy(ctx context.Context) {
	p := &n.policies
	p.changing.Lock()
	defer p.changing.Unlock()
	if v := p.sharing.waiting; v != nil {
		n.takePolicy(v, p.sharing.waitingRevision)
		return
	}
	if !p.sharing.propose {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	err := n.proposePolicy(ctx)
	if err == nil || errors.Is(err, ErrConflict) { // what the cluster has comes by Follow
		return
	}
	why := err.Error()
	if errors.Is(err, ErrAway) {
		why = ErrAway.Error()
	}
	p.stand(func(s *standing) {
		if s.degraded != why {
			n.log.Warn("policy not given to the cluster", "policy", n.rules.Load().Version, "error", err.Error())
		}
		s.degraded = why
	})
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

// policyFault logs, once, why the cluster and this node do not have the same policy
// in force.
func (n *Node) policyFault(what string, err error) {
	n.policies.stand(func(s *standing) {
		if said := what + ": see the log"; s.fault != said { // the error names another temporary file each time
			n.log.Error(what, "policy", n.rules.Load().Version, "error", err.Error())
			s.fault = said
		}
	})
}

// followed looks at a document of the cluster and takes it where it is the newest
// policy.
func (n *Node) followed(name string, document []byte, revision uint64) {
	if name != policyDocument {
		return
	}
	p := &n.policies
	p.changing.Lock()
	defer p.changing.Unlock()
	s := &p.sharing
	digest := sha256.Sum256(document)
	if s.seenRevision == revision && s.seen == digest {
		return
	}
	s.seen, s.seenRevision = digest, revision
	if revision == 0 {
		n.proposeOver(0)
		return
	}
	v, err := parsePolicyDocument(document)
	own := p.newest()
	switch {
	case err != nil:
		n.ignorePolicy(&v, revision, err)
	case own.Shared && v.Version < own.Version:
		// A smaller revision is of a store that was rolled back, or was read just
		// before the last change here: then the proposal comes to nothing.
		if revision > s.revision {
			n.metrics.policiesIgnored.Inc()
			n.log.Warn("the cluster's policy is older than the one before and is ignored", "version", own.Version, "older", v.Version)
			s.revision = revision
		}
		n.proposeOver(revision)
	case own.Shared && v.Version == own.Version && v.SHA256 == own.SHA256 && v.Pilot.same(own.Pilot):
		p.joined(revision)
	default:
		n.takePolicy(&v, revision)
	}
}

// proposeOver has the policy in force put over the revision.
func (n *Node) proposeOver(revision uint64) {
	s := &n.policies.sharing
	s.propose, s.over, s.waiting = true, revision, nil
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ignorePolicy says why the cluster's document is not taken. A change made here
// replaces it; this node does not by itself, since a newer version of the program may
// have written it.
func (n *Node) ignorePolicy(v *policyVersion, revision uint64, err error) {
	p := &n.policies
	n.metrics.policiesIgnored.Inc()
	n.log.Error("the cluster's policy cannot be taken and is ignored: put one that can", "revision", revision, "error", err.Error())
	p.sharing.revision, p.sharing.propose, p.sharing.waiting = revision, false, nil
	p.sharing.unread = v.Version
	p.stand(func(s *standing) {
		if !s.joined {
			s.degraded = "the cluster's policy cannot be taken"
		}
	})
}

// takePolicy puts the cluster's policy of that revision in force here, checked as if
// it were put by hand.
func (n *Node) takePolicy(v *policyVersion, revision uint64) {
	p := &n.policies
	ready, err := n.compile(v, nil)
	if err != nil {
		n.ignorePolicy(v, revision, err)
		return
	}
	own := p.newest()
	replaced := func(old *policyVersion) bool { return !own.Shared && !old.Shared || old.Version >= v.Version }
	err = n.enforce(ready, n.rules.Load(), func() error { return n.keepTaken(v, replaced) })
	if err != nil {
		p.sharing.waiting, p.sharing.waitingRevision, p.sharing.propose = v, revision, false
		n.policyFault(fmt.Sprintf("version %d of the cluster cannot be kept", v.Version), err)
		return
	}
	p.add(*v)
	p.joined(revision)
	n.notePolicyTaken(&own, v)
	switch {
	case own.Version > 0 && (!own.Shared || own.Version == v.Version):
		n.log.Warn("the cluster's policy is in force instead of this node's own, which is set aside", "version", v.Version, "own", own.Version, "from", v.From, "sha256", v.SHA256)
	case own.Version == 0:
		n.log.Info("the cluster's policy is in force, not this node's first", "version", v.Version, "from", v.From, "sha256", v.SHA256, "first", n.options.FirstPolicyName)
	default:
		n.logPolicy(v)
	}
}

// keepTaken writes v and sets aside the versions it replaces. At any moment the
// newest file is one that a start can go on from.
func (n *Node) keepTaken(v *policyVersion, replaced func(*policyVersion) bool) error {
	p := &n.policies
	file, err := p.stage(v)
	if err != nil {
		return err
	}
	if err := p.setAside(replaced); err != nil {
		n.log.Warn("an older policy stays on disk", "error", err.Error())
	}
	if err := file.commit(); err != nil {
		return fmt.Errorf("keep policy: %w", err)
	}
	return nil
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
