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
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// Copies of snapshots in the object store, for nodes that come after the stream has dropped what they would read. A copy is a snapshot
// file in parts, objects that never change, and a manifest of it in the bucket of keys, written last.
const (
	// copyLease is how long a node has the right to copy, at most: with a short age, the time between two copies.
	copyLease = 10 * time.Minute
	// copiesInAge is how many copies are made while the stream keeps an event. Where the node that copied dies, another does after two of
	// these times and the age of its own snapshot; the rest of the age is for making the copy, and for taking it. Chosen.
	copiesInAge = 12
	// orphanAge is how old parts of a copy are, at most, that no manifest names and that are kept for those who read or write them.
	orphanAge = time.Hour

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
	Begun       time.Time      `json:"begun"` // when the snapshot was, by the node's clock; for people
	Events      StreamPosition `json:"events"`
	Refusals    StreamPosition `json:"refusals"`

	stored   time.Time // when the manifest was, by the servers' clock
	key      string    // of the manifest
	revision uint64
}

// copier puts copies of this node's snapshots into the object store, when no node has done so for a time.
type copier struct {
	keeper *Keeper
	broker *broker
	node   string
	every  time.Duration    // at most
	age    time.Duration    // of the stream of events, when it was last asked
	whole  func() bool      // nothing of the streams is missing here
	at     func() positions // how far this node has come
	now    func() time.Time // the servers' time
	ahead  caps.Second      // see the constant
	owes   atomic.Bool      // what was imported here and is in no stream; see give

	fetching sync.Mutex
}

// run copies until ctx ends.
func (c *copier) run(ctx context.Context) {
	for ctx.Err() == nil {
		pauseFor(c.try(ctx), ctx.Done())
	}
}

// try copies where that is due, and says after how long it is to be tried again.
func (c *copier) try(ctx context.Context) (pause time.Duration) {
	owes, copied := c.owes.Load(), c.copyIfDue
	if owes {
		copied = c.give
	}
	err := copied(ctx)
	if err != nil && ctx.Err() == nil {
		c.keeper.log.Info("no copy of the snapshot was made for other nodes; it is tried again", "error", err.Error())
	}
	switch {
	case owes && err != nil:
		return retryMost / 4
	case owes:
		return retryLeast
	}
	return min(c.interval()/8, time.Minute) // by the age of the stream, which is known only now
}

// interval is the time between two copies.
func (c *copier) interval() time.Duration {
	if c.age == 0 {
		return min(c.every, defaultMaxAge/copiesInAge)
	}
	return min(c.every, c.age/copiesInAge)
}

// askAge learns the age of the stream, which is not always what this node would have made it with.
func (c *copier) askAge(ctx context.Context) error {
	config, err := c.broker.streamConfig(ctx, eventsStream)
	if err == nil {
		c.age = config.MaxAge
	}
	return err
}

func (c *copier) copyIfDue(ctx context.Context) error {
	if err := c.askAge(ctx); err != nil {
		return err
	}
	kv, err := c.broker.keyValue(ctx)
	if err != nil {
		return err
	}
	copies, err := manifests(ctx, kv)
	if err != nil {
		return err
	}
	at := c.at()
	for _, m := range copies {
		// One of an earlier epoch is made anew at once, sealed in the one in use.
		ours := m.Fingerprint == c.keeper.codec.writes() && m.Events.Created == at.events.Created && m.Refusals.Created == at.refusals.Created
		if ours && c.now().Sub(m.stored) < c.interval() {
			return nil
		}
	}
	if !c.whole() { // what is missing here would be missing there
		return nil
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
	entry, err := kv.Get(ctx, copierKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		_, err = kv.Create(ctx, copierKey, []byte(c.node))
		return err == nil, unlessOther(err)
	}
	if err != nil {
		return false, err
	}
	if c.now().Sub(entry.Created()) < min(copyLease, c.interval()) && string(entry.Value()) != c.node {
		return false, nil
	}
	_, err = kv.Update(ctx, copierKey, []byte(c.node), entry.Revision())
	return err == nil, unlessOther(err)
}

// unlessOther is err, but for one that says that another node was faster.
func unlessOther(err error) error {
	if isOther(err) {
		return nil
	}
	return err
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
	f, err := c.keeper.files.open(filepath.Join(c.keeper.snapshotDir(), files.names[len(files.names)-1]), os.O_RDONLY)
	if err != nil {
		return err // replaced by the next one meanwhile
	}
	defer f.Close()
	v, err := verify(f)
	if err != nil {
		return err
	}
	if v.events.Hole != 0 || v.refusals.Hole != 0 {
		return nil // what was missing when it was begun would be missing there; the next one has it
	}
	if err := c.inTime(&v); err != nil {
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
		Events: v.events, Refusals: v.refusals, Object: fmt.Sprintf("%s%s.%d", manifestPrefix, nameKey(c.node), time.Now().UnixNano()),
	}
	objects, err := c.broker.snapshots(ctx)
	if err != nil {
		return err
	}
	if err := c.dropOld(ctx, objects, kv); err != nil {
		return err
	}
	if err := putParts(ctx, objects, m.Object, io.NewSectionReader(f, 0, m.Bytes), m.Bytes); err != nil {
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
	return nil
}

var errAhead = errors.New("snapshot of a node whose clock was ahead")

// inTime returns errAhead for a snapshot of a node whose clock was ahead: it has let go of what has not expired, and what it stamped itself
// stands ahead, where everybody else has cut it.
func (c *copier) inTime(v *verified) error {
	if now := caps.Second(c.now().Unix()); v.created > later(now, c.ahead) {
		return fmt.Errorf("%w: it is of second %d, and the servers are in %d", errAhead, v.created, now)
	}
	return nil
}

// nameKey is a node's name as a part of keys and of names of objects.
func nameKey(node string) string { return hex.EncodeToString([]byte(node)) }

// dropOld deletes the parts that no manifest names, but for young ones, which may be being read or written; and manifests, with their
// parts, of copies that are of no use to anybody any more.
func (c *copier) dropOld(ctx context.Context, objects jetstream.ObjectStore, kv jetstream.KeyValue) error {
	ctx, cancel := context.WithTimeout(ctx, partWithin)
	defer cancel()
	copies, err := manifests(ctx, kv)
	if err != nil {
		return err
	}
	named := make(map[string]bool)
	age := c.age
	if age == 0 { // for ever, or not known
		age = defaultMaxAge
	}
	writes := c.keeper.codec.writes()
	sealed := slices.ContainsFunc(copies, func(m manifest) bool { return m.Fingerprint == writes })
	for _, m := range copies {
		// Where there is one of the epoch in use, those of earlier ones are of no use and not to stay.
		if c.now().Sub(m.stored) > age || sealed && m.Fingerprint != writes {
			if err := kv.Delete(ctx, manifestPrefix+nameKey(m.Node)); err != nil {
				return err
			}
			continue
		}
		named[m.Object] = true
	}
	infos, err := objects.List(ctx)
	if err != nil {
		return ignore(err, jetstream.ErrNoObjectsFound)
	}
	for _, info := range infos {
		if !strings.HasPrefix(info.Name, manifestPrefix) { // lists have their objects here too
			continue
		}
		object := info.Name[:max(0, strings.LastIndexByte(info.Name, '.'))]
		if !named[object] && c.now().Sub(info.ModTime) > min(orphanAge, age/2) {
			if err := objects.Delete(ctx, info.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
