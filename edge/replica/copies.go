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
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// Copies of snapshots in the object store, for nodes that come after the stream has dropped what they would read. A copy is a snapshot
// file in parts, objects that never change, and a manifest of it in the bucket of keys, written last.
const (
	// keptCopies are kept of each node: one may be being read.
	keptCopies = 2
	// copyLease is how long a node has the right to copy.
	copyLease = 10 * time.Minute

	manifestPrefix = "snapshot."
	copierKey      = "copier"
	peerName       = "peer.tmp"
)

// manifest describes a copy.
type manifest struct {
	Node        string         `json:"node"`
	Fingerprint uint64         `json:"fingerprint,string"`
	Object      string         `json:"object"` // part i is object OBJECT.i
	Bytes       int64          `json:"bytes"`
	SHA256      string         `json:"sha256"`
	Begun       time.Time      `json:"begun"` // when the snapshot was
	Events      StreamPosition `json:"events"`
	Refusals    StreamPosition `json:"refusals"`
}

// copier puts copies of this node's snapshots into the object store, when no node has done so for a time.
type copier struct {
	keeper *Keeper
	broker *broker
	node   string
	every  time.Duration
}

// run copies until ctx ends.
func (c *copier) run(ctx context.Context) {
	for {
		if err := c.copyIfDue(ctx); err != nil && ctx.Err() == nil {
			c.keeper.log.Info("no copy of the snapshot was made for other nodes; it is tried again", "error", err.Error())
		}
		pauseFor(c.every/8, ctx.Done())
		if ctx.Err() != nil {
			return
		}
	}
}

func (c *copier) copyIfDue(ctx context.Context) error {
	kv, err := c.broker.keyValue(ctx)
	if err != nil {
		return err
	}
	copies, err := manifests(ctx, kv)
	if err != nil {
		return err
	}
	for _, m := range copies {
		if time.Since(m.Begun) < c.every {
			return nil
		}
	}
	leased, err := c.lease(ctx, kv)
	if err != nil || !leased {
		return err
	}
	return c.copy(ctx, kv)
}

// lease takes the right to copy, which one node has at a time.
func (c *copier) lease(ctx context.Context, kv jetstream.KeyValue) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	until := func() []byte { return []byte(time.Now().Add(copyLease).UTC().Format(time.RFC3339)) }
	entry, err := kv.Get(ctx, copierKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		_, err = kv.Create(ctx, copierKey, until())
		return err == nil, ignore(err, jetstream.ErrKeyExists)
	}
	if err != nil {
		return false, err
	}
	if end, err := time.Parse(time.RFC3339, string(entry.Value())); err == nil && time.Now().Before(end) {
		return false, nil
	}
	_, err = kv.Update(ctx, copierKey, until(), entry.Revision())
	return err == nil, ignore(err, jetstream.ErrKeyExists)
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// copy puts the newest snapshot into the object store.
func (c *copier) copy(ctx context.Context, kv jetstream.KeyValue) error {
	files, err := c.keeper.snapshotFiles()
	if err != nil || len(files.names) == 0 {
		return err
	}
	f, err := os.Open(filepath.Join(c.keeper.snapshotDir(), files.names[len(files.names)-1]))
	if err != nil {
		return err // replaced by the next one meanwhile
	}
	defer f.Close()
	v, err := verify(f)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return err
	}
	m := manifest{
		Node: c.node, Fingerprint: v.fingerprint, Bytes: info.Size(), SHA256: hex.EncodeToString(sum.Sum(nil)), Begun: info.ModTime().UTC(),
		Events: v.events, Refusals: v.refusals, Object: fmt.Sprintf("%s.%d", nameKey(c.node), time.Now().UnixNano()),
	}
	objects, err := c.broker.snapshots(ctx)
	if err != nil {
		return err
	}
	if err := putParts(ctx, objects, m.Object, f, m.Bytes); err != nil {
		return err
	}
	value, err := json.Marshal(&m)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if _, err := kv.Put(asking, manifestPrefix+nameKey(c.node), value); err != nil {
		return err
	}
	c.keeper.log.Info("copied the snapshot for other nodes", "bytes", m.Bytes, "next_event", m.Events.Next)
	return c.dropOld(ctx, objects)
}

// nameKey is a node's name as a part of keys and of names of objects.
func nameKey(node string) string { return hex.EncodeToString([]byte(node)) }

// dropOld deletes this node's copies but for the newest.
func (c *copier) dropOld(ctx context.Context, objects jetstream.ObjectStore) error {
	ctx, cancel := context.WithTimeout(ctx, partWithin)
	defer cancel()
	infos, err := objects.List(ctx)
	if err != nil {
		return err
	}
	var names []string // NODE.TIME.PART; times are of equal length
	for _, info := range infos {
		if strings.HasPrefix(info.Name, nameKey(c.node)+".") && !info.Deleted {
			names = append(names, info.Name)
		}
	}
	slices.Sort(names)
	kept, last := 0, ""
	for _, name := range slices.Backward(names) {
		if object := name[:strings.LastIndexByte(name, '.')]; object != last {
			last = object
			kept++
		}
		if kept > keptCopies {
			if err := objects.Delete(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// manifests returns the copies there are, the furthest first.
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
		found = append(found, m)
	}
	slices.SortFunc(found, func(a, b manifest) int { return b.Begun.Compare(a.Begun) })
	return found, nil
}

// fetch merges the copies of other nodes' snapshots into the store, the newest that verifies, and returns how far it had come; false where
// there is none.
func (c *copier) fetch(ctx context.Context, s *caps.Store) (m manifest, ok bool, err error) {
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
		if m.Fingerprint != c.keeper.codec.Fingerprint {
			faults = append(faults, fmt.Errorf("copy of node %q: %w", m.Node, ErrFingerprint))
			continue
		}
		if err := c.fetchOne(ctx, &m, s); err != nil {
			faults = append(faults, fmt.Errorf("copy of node %q: %w", m.Node, err))
			continue
		}
		c.keeper.log.Info("took the snapshot of another node", "from", m.Node, "begun", m.Begun, "bytes", m.Bytes, "next_event", m.Events.Next)
		return m, true, nil
	}
	return m, false, errors.Join(faults...)
}

// fetchOne downloads a copy, checks every byte, and merges it.
func (c *copier) fetchOne(ctx context.Context, m *manifest, s *caps.Store) error {
	objects, err := c.broker.snapshots(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(c.keeper.options.Dir, peerName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
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
	if v.fingerprint != c.keeper.codec.Fingerprint {
		return ErrFingerprint
	}
	m.Events, m.Refusals = v.events, v.refusals // what the file itself says
	return v.merge(f, s, min(v.created, caps.Second(c.keeper.options.Now().Unix())+maxAhead))
}
