package edge

import (
	"crypto/sha256"
	"fmt"
)

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
	if err := file.Commit(); err != nil {
		return fmt.Errorf("keep policy: %w", err)
	}
	return nil
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
