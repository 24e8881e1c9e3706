package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"restraint/caps"
)

// keptDamaged is how many damaged snapshots stay for people to look at. Chosen.
const keptDamaged = 2

func (k *Keeper) snapshotDir() string { return filepath.Join(k.options.Dir, "snapshots") }

// snapshots takes snapshots until the Keeper is closed.
func (k *Keeper) snapshots() {
	ticker := time.NewTicker(k.options.SnapshotEvery)
	defer ticker.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-ticker.C:
		case <-k.wake:
		}
		err := k.snapshot()
		if err == nil {
			continue
		}
		k.notices.add("no snapshot could be taken; the outbox keeps what it would cover", "error", err.Error())
		select { // a disk that fails is not asked again for every change
		case <-k.stop:
			return
		case <-ticker.C:
		}
	}
}

// kick asks for a snapshot soon.
func (k *Keeper) kick() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// snapshot takes a snapshot and drops what it makes superfluous.
func (k *Keeper) snapshot() error {
	k.taking.Lock()
	defer k.taking.Unlock()
	// With the gate alone: all that is before this place in the outbox has been applied.
	k.gate.Lock()
	head := k.headLocked()
	since := k.since.Swap(0)
	k.gate.Unlock()
	now := k.options.Now()
	// While nothing happens, another snapshot would only be of use to drop what the one before the last still needs of the outbox, or the
	// broker did not have yet.
	bytes, _ := k.outbox.size()
	gaps := head.events.Hole != k.saved.events.Hole || head.refusals.Hole != k.saved.refusals.Hole // one came, was mended or accepted
	if since > 0 || gaps || k.staleEpoch() || bytes > k.options.OutboxBytes/4 && k.removable() || k.cluster != nil && now.Sub(k.written) > idleSnapshot {
		if err := k.writeSnapshot(head); err != nil {
			k.since.Add(since)
			return err
		}
	}
	k.mu.Lock()
	k.taken = now
	k.mu.Unlock()
	return nil
}

// headLocked is the head of a snapshot that begins now. The gate is held alone.
func (k *Keeper) headLocked() snapshotFrom {
	head := snapshotFrom{fingerprint: k.codec.Fingerprint, position: k.outbox.end(), created: k.store.Now(), positions: k.restoredFrom}
	if k.cluster != nil {
		head.positions = k.cluster.positions()
	}
	if head.created == 0 {
		head.created = caps.Second(k.options.Now().Unix())
	}
	return head
}

// keptSnapshots is how many snapshots are kept.
const keptSnapshots = 2

// staleEpoch reports whether a snapshot that is kept may have been written in an epoch before the one in use, which it should not outlive.
func (k *Keeper) staleEpoch() bool {
	writes := k.codec.writes()
	return writes != k.codec.Fingerprint && (writes != k.sealed || k.inEpoch < keptSnapshots)
}

// anotherEpoch is called when this node writes in another epoch: what it wrote before is to go soon.
func (k *Keeper) anotherEpoch() {
	k.outbox.turn()
	k.kick()
}

// idleSnapshot is how old the file may be while nothing happens: it says until when nothing of the streams was missing. Chosen.
const idleSnapshot = 5 * time.Minute

// removable reports whether a snapshot may make room in the outbox: the broker has some of it.
func (k *Keeper) removable() bool {
	first := k.outbox.first()
	return k.cluster == nil || first != 0 && k.cluster.released().segment() > first
}

func (k *Keeper) writeSnapshot(head snapshotFrom) error {
	if err := k.outbox.sync(); err != nil {
		return fmt.Errorf("sync outbox: %w", err)
	}
	kept, err := k.snapshotFiles()
	if err != nil {
		return err
	}
	writes := k.codec.writes()
	w := snapshotWriter{files: k.files, rate: k.options.SnapshotRate, stopped: k.stop, codec: &k.codec}
	if err := w.write(k.snapshotDir(), snapshotName(kept.next), head, k.store); err != nil {
		return err
	}
	// Now, and only now, the snapshot before the last is not needed, nor what it needs of the outbox.
	previous := k.covered
	k.covered, k.written, k.saved = head.position, k.options.Now(), head.positions
	if k.sealed != writes {
		k.sealed, k.inEpoch = writes, 0
	}
	k.inEpoch++
	faults := []error{k.removeFiles(kept.temporary, 0), k.removeFiles(kept.damaged, keptDamaged), k.removeFiles(kept.names, keptSnapshots-1)}
	if k.cluster != nil {
		previous = min(previous, k.cluster.released())
	}
	return errors.Join(append(faults, k.outbox.remove(previous))...)
}

// snapshotList is the files in the folder of snapshots, oldest first.
type snapshotList struct {
	names, damaged, temporary []string
	next                      uint32 // number of the next one
}

func (k *Keeper) snapshotFiles() (l snapshotList, err error) {
	infos, err := k.files.list(k.snapshotDir())
	if err != nil {
		return l, fmt.Errorf("read snapshots: %w", err)
	}
	l.next = 1
	for _, info := range infos {
		var number uint32
		if _, err := fmt.Sscanf(info.Name(), "%08x.snap", &number); err != nil {
			continue
		}
		switch name := info.Name(); {
		case name == snapshotName(number):
			l.names = append(l.names, name)
		case strings.HasSuffix(name, ".damaged"):
			l.damaged = append(l.damaged, name)
		default:
			l.temporary = append(l.temporary, name)
		}
		l.next = max(l.next, number+1)
	}
	return l, nil
}

// removeFiles removes all but the last few.
func (k *Keeper) removeFiles(names []string, keep int) error {
	var faults []error
	for _, name := range names[:max(0, len(names)-keep)] {
		if err := k.files.remove(filepath.Join(k.snapshotDir(), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, fmt.Errorf("remove snapshot: %w", err))
		}
	}
	return errors.Join(faults...)
}

// setSnapshotAside renames a damaged snapshot, so that it is not tried again.
func (k *Keeper) setSnapshotAside(name string, why error) {
	path := filepath.Join(k.snapshotDir(), name)
	args := []any{"file", path + ".damaged", "error", why.Error()}
	if err := k.files.rename(path, path+".damaged"); err != nil {
		args = append(args, "rename_error", err.Error())
	}
	k.notices.add("set aside a damaged snapshot; the one before it is used", args...)
}

// mergeFile merges a snapshot into the store, if all of it verifies. It is of the second in which it was begun: what has expired since goes
// when the clock is known to be right.
func (k *Keeper) mergeFile(name string, s *caps.Store) (from snapshotFrom, err error) {
	f, err := k.files.open(filepath.Join(k.snapshotDir(), name), os.O_RDONLY)
	if errors.Is(err, ErrUnreadable) {
		return from, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if err != nil {
		return from, err
	}
	defer f.Close()
	v, err := verify(f)
	if err != nil {
		return from, err
	}
	if err := k.codec.openSnapshot(&v); err != nil {
		return from, fmt.Errorf("%w: it says %016x, this node has %016x; start with that secret, or with another directory",
			err, v.fingerprint, k.codec.Fingerprint)
	}
	return v.snapshotFrom, v.merge(f, s, v.created)
}
