package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// manifests returns the copies there are, the newest first.
func manifests(ctx context.Context, kv jetstream.KeyValue) (found []manifest, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*askWithin)
	defer cancel()
	keys, err := kv.Keys(ctx)
	if err != nil {
		return nil, ignore(err, jetstream.ErrNoKeysFound)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, manifestPrefix) {
			continue
		}
		entry, err := kv.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		var m manifest
		if err := json.Unmarshal(entry.Value(), &m); err != nil || m.Bytes <= 0 {
			continue // of a later program, or damaged: as if it were not there
		}
		m.stored, m.key, m.revision = entry.Created(), key, entry.Revision()
		found = append(found, m)
	}
	slices.SortFunc(found, func(a, b manifest) int { return b.stored.Compare(a.stored) })
	return found, nil
}

// fetch merges the newest copy that has come far enough, and verifies, into the store, and returns how far it had come; false where there
// is none.
func (c *copier) fetch(ctx context.Context, s *caps.Store, enough func(*manifest) bool) (m manifest, ok bool, err error) {
	c.fetching.Lock()
	defer c.fetching.Unlock()
	kv, err := c.broker.keyValue(ctx)
	if err != nil {
		return m, false, err
	}
	copies, err := manifests(ctx, kv)
	if err != nil {
		return m, false, err
	}
	var faults []error
	for _, m := range copies {
		if !enough(&m) {
			continue
		}
		if err := c.keeper.codec.reads(m.Fingerprint, m.Fingerprint != c.keeper.codec.Fingerprint); err != nil {
			faults = append(faults, fmt.Errorf("copy of node %q: %w", m.Node, err))
			continue
		}
		if err := c.fetchOne(ctx, &m, s); err != nil {
			faults = append(faults, fmt.Errorf("copy of node %q: %w", m.Node, err))
			for _, why := range []error{ErrSnapshot, errAhead, jetstream.ErrObjectNotFound, jetstream.ErrDigestMismatch} {
				if errors.Is(err, why) {
					c.takeAway(ctx, kv, &m, err)
					break
				}
			}
			continue
		}
		c.keeper.log.Info("took the snapshot of another node", "from", m.Node, "begun", m.Begun, "bytes", m.Bytes, "next_event", m.Events.Next)
		return m, true, nil
	}
	return m, false, errors.Join(faults...)
}

// takeAway deletes the manifest of a copy that is of use to nobody, so that another is made: no node makes one while there is a young one.
func (c *copier) takeAway(ctx context.Context, kv jetstream.KeyValue, m *manifest, why error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	args := []any{"from", m.Node, "error", why.Error()}
	if err := kv.Delete(ctx, m.key, jetstream.LastRevision(m.revision)); err != nil {
		args = append(args, "delete_error", err.Error())
	}
	c.keeper.notices.add("the copy of a node's snapshot is of no use and taken away; a node that has all makes another", args...)
}

// fetchOne downloads a copy, checks every byte, and merges it.
func (c *copier) fetchOne(ctx context.Context, m *manifest, s *caps.Store) error {
	objects, err := c.broker.snapshots(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(c.keeper.options.Dir, peerName)
	f, err := c.keeper.files.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		os.Remove(path)
	}()
	sum := sha256.New()
	parts := getParts(ctx, objects, m.Object, m.Bytes)
	defer parts.Close()
	if _, err := io.Copy(io.MultiWriter(f, sum), parts); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != m.SHA256 {
		return fmt.Errorf("%w: SHA-256 %s, its manifest says %s", ErrSnapshot, got, m.SHA256)
	}
	v, err := verify(f)
	if err != nil {
		return err
	}
	if err := c.keeper.codec.openSnapshot(&v); err != nil {
		return err
	}
	if v.events.Hole != 0 || v.refusals.Hole != 0 {
		return fmt.Errorf("%w: something is missing in it", ErrSnapshot)
	}
	if err := c.inTime(&v); err != nil {
		return err
	}
	if v.events != m.Events || v.refusals != m.Refusals {
		return fmt.Errorf("%w: it has not come as far as its manifest says", ErrSnapshot)
	}
	return v.join(f, s, min(v.created, max(caps.Second(c.keeper.options.Now().Unix()), s.Now())))
}
