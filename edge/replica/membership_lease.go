package replica

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// checkSecret makes the cluster's fingerprint ours where it has none, and compares them. The caller holds mu.
func (m *membership) checkSecret(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_, err := m.kv.Create(asking, fingerprintKey, []byte(m.options.Fingerprint))
	if err == nil {
		m.options.Log.Info("this node is the first of its cluster, whose secret is now this node's", "fingerprint", m.options.Fingerprint)
		return nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("compare secrets: %w", err)
	}
	e, err := m.kv.Get(asking, fingerprintKey)
	if err != nil {
		return fmt.Errorf("compare secrets: %w", err)
	}
	theirs := string(e.Value())
	switch {
	case theirs == m.options.Fingerprint:
		return nil
	case m.options.SecretMade:
		return fmt.Errorf("%w: the cluster's secret has fingerprint %q, and this node had none and made one with fingerprint %q: stop it and copy the secret file of another node of the cluster over the one made",
			ErrFingerprint, theirs, m.options.Fingerprint)
	}
	return fmt.Errorf("%w: the cluster's secret has fingerprint %q, this node's %q: give it the secret file of the other nodes, or nats.urls of its own cluster",
		ErrFingerprint, theirs, m.options.Fingerprint)
}

// claim takes the name, from whoever may have to give it up. The caller holds mu.
func (m *membership) claim(ctx context.Context) error {
	for range 3 { // another node can be as quick; a name changes hands seldom
		err := m.claimOnce(ctx)
		if !isOther(err) {
			return err
		}
	}
	return fmt.Errorf("take the name %q: it changes all the time", m.options.Node)
}

// errLags is what a server answers with that has not yet stored what others have.
var errLags = errors.New("the server that answered lags behind")

// isOther says whether a compare-and-set met another value than it was told. The library has two errors for it: replicated buckets have a
// code of their own.
func isOther(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// claimOnce returns an error that isOther where the name changed meanwhile.
func (m *membership) claimOnce(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	revision, err := m.kv.Create(asking, m.key, []byte(m.holder))
	if errors.Is(err, jetstream.ErrKeyExists) {
		var e jetstream.KeyValueEntry
		if e, err = m.kv.Get(asking, m.key); errors.Is(err, jetstream.ErrKeyNotFound) {
			return jetstream.ErrKeyExists // given back since
		}
		if err == nil && e.Revision() < m.revision {
			err = errLags
		}
		if err == nil {
			err = m.mayTake(asking, e)
		}
		if err == nil {
			revision, err = m.kv.Update(asking, m.key, []byte(m.holder), e.Revision())
		}
	}
	switch {
	case err == nil:
		m.revision = revision
		return nil
	case errors.Is(err, ErrName), isOther(err):
		return err
	}
	return fmt.Errorf("take the name %q: %w", m.options.Node, err)
}

// mayTake says whether the holder in e has to give the name up to this node.
func (m *membership) mayTake(ctx context.Context, e jetstream.KeyValueEntry) error {
	holder := string(e.Value())
	if holder == m.holder {
		return nil
	}
	id, _, _ := strings.Cut(holder, " ")
	sameDirectory := strings.HasPrefix(m.holder, id+" ")
	if sameDirectory && !m.joined {
		return nil // the start before this one: the directory is locked by the one process that uses it
	}
	age, err := m.age(ctx, e)
	if err != nil || age > m.options.keep {
		return err
	}
	if sameDirectory {
		return fmt.Errorf("%w: %q: a process with a copy of this node's data directory: stop one, and remove %q from the copy and give its node another name",
			ErrName, m.options.Node, filepath.Join(m.options.Dir, idFile))
	}
	return fmt.Errorf("%w: %q (data directory %s, seen %.0f s ago): give this node another name; if that node is gone for good, start this one again in %s",
		ErrName, m.options.Node, id[:min(8, len(id))], age.Seconds(), leaseTime)
}

// giveBack deletes the name while it is ours. The caller holds mu.
func (m *membership) giveBack(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	err := m.kv.Delete(asking, m.key, jetstream.LastRevision(m.revision))
	if !isOther(err) {
		return err
	}
	// The last refresh was stored and not answered, or the name is another's.
	e, err := m.kv.Get(asking, m.key)
	if err != nil || string(e.Value()) != m.holder {
		return err
	}
	return m.kv.Delete(asking, m.key, jetstream.LastRevision(e.Revision()))
}

// age is how long ago e was stored, by the servers' time: that of something stored now.
func (m *membership) age(ctx context.Context, e jetstream.KeyValueEntry) (time.Duration, error) {
	revision, err := m.kv.PutString(ctx, clockKey, m.options.Node)
	for err == nil {
		var now jetstream.KeyValueEntry
		now, err = m.kv.Get(ctx, clockKey)
		if err == nil && now.Revision() >= revision { // a server that lags can answer with an older one
			return now.Created().Sub(e.Created()), nil
		}
	}
	return 0, err
}

// secretFree says whether the cluster has no fingerprint yet, so that a node may bring a secret it has just made.
func (b *broker) secretFree(ctx context.Context) (bool, error) {
	kv, err := b.members(ctx)
	if err != nil {
		return false, err
	}
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	if _, err = kv.Get(asking, fingerprintKey); errors.Is(err, jetstream.ErrKeyNotFound) {
		return true, nil
	}
	return false, err
}
