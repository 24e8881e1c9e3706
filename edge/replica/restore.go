package replica

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"restraint/caps"
)

// Restored is what Restore found.
type Restored struct {
	// Snapshot is the name of the snapshot that was used; empty: none.
	Snapshot string
	// Users is the number of keys in the store.
	Users int
	// Batches and Changes are of the outbox.
	Batches, Changes int
	// Incomplete: something that had been acknowledged could not be read, and nothing here has it. Each such thing was logged.
	Incomplete bool
	// Hole: what lies between the snapshot and the first change in the outbox is not here. The streams may have it.
	Hole bool
	// Took is the time of it all.
	Took time.Duration
}

// Restore puts into the store what was acknowledged before: the newest snapshot that verifies, then every change in the outbox from the
// place recorded in it. The store must be empty. Then it starts to take snapshots. The store's clock is at least where it was; the
// caller's should go on from caps.Store.Now.
//
// Damaged files are set aside, logged and counted. It returns an error that wraps ErrFingerprint (also of a cluster that has another
// secret), ErrEpoch, ErrName, ErrStream, ErrVersion, or caps.ErrFull where a user's
// refusals are too large for this store; then there must be no Record.
func (k *Keeper) Restore(s *caps.Store) error {
	begun := time.Now()
	var r Restored
	from, damaged, err := k.restoreSnapshot(s, &r)
	if err != nil {
		return err
	}
	batch := k.codec.Batch()
	var change caps.Change
	found, err := k.outbox.replay(from.position, func(enc []byte) error {
		if _, err := batch.ParseNext(enc); err != nil {
			return err
		}
		if k.codec.foreign(&batch) {
			return fmt.Errorf("%w: outbox %016x, this node %016x; start with that secret, or with another directory", ErrFingerprint, batch.Fingerprint, k.codec.Fingerprint)
		}
		for batch.Next(&change) {
			if err := s.Reapply(&change); err != nil {
				return err
			}
			r.Changes++
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Batches, r.Incomplete = found.batches, found.damaged > 0 || damaged > 0 && !k.outbox.reaches(from.position)
	r.Users, r.Took = s.Stats().Users, time.Since(begun)
	r.Hole = !r.Incomplete && k.outbox.first() != 0 && !k.outbox.reaches(from.position)
	if r.Hole {
		k.notices.add("the outbox does not go back to the snapshot: only the streams can have what lies between", "snapshot", r.Snapshot, "first_segment", k.outbox.first())
	}
	if r.Incomplete {
		k.notices.add("not all that was acknowledged could be restored", "damaged_snapshots", damaged, "damaged_batches", found.damaged)
	}
	k.log.Info("restored", "snapshot", r.Snapshot, "users", r.Users, "batches", r.Batches, "changes", r.Changes, "seconds", r.Took.Seconds())
	return k.start(s, r, from, found)
}

// start begins to record, to take snapshots, and to share.
func (k *Keeper) start(s *caps.Store, r Restored, from snapshotFrom, found replayed) (err error) {
	k.since.Store(found.bytes)
	k.mu.Lock()
	k.restored, k.taken = r, k.options.Now()
	if r.Snapshot != "" {
		k.taken = time.Unix(int64(from.created), 0)
	}
	k.mu.Unlock()
	k.gate.Lock()
	k.store, k.covered, k.restoredFrom, k.saved = s, from.position, from.positions, from.positions
	if k.broker != nil {
		var c *cluster
		if c, err = newCluster(k, k.broker, from.positions); err == nil {
			err = c.open()
		}
		if err == nil {
			k.cluster = c
		}
	}
	k.gate.Unlock()
	if err == nil {
		k.running.Go(k.snapshots)
	}
	return err
}

// restoreSnapshot merges the newest snapshot that verifies, and returns its head and how many newer ones do not.
func (k *Keeper) restoreSnapshot(s *caps.Store, r *Restored) (from snapshotFrom, damaged int, err error) {
	files, err := k.snapshotFiles()
	if err != nil {
		return from, 0, err
	}
	for _, name := range slices.Backward(files.names) {
		from, err := k.mergeFile(name, s)
		switch {
		case errors.Is(err, ErrSnapshot):
			damaged++
			k.setSnapshotAside(name, err)
		case err != nil:
			return from, damaged, fmt.Errorf("snapshot %q: %w", filepath.Join(k.snapshotDir(), name), err)
		default:
			r.Snapshot = name
			k.outbox.startAfter(from.position)
			return from, damaged, nil
		}
	}
	return snapshotFrom{}, damaged, nil
}
