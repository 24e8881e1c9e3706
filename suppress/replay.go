package suppress

import (
	"fmt"
)

// Replay is what Install is given when it answered with a *ReplayError.
type Replay struct {
	// Through is the sequence up to which Changes has every change of the list.
	Through uint64
	// Changes gives them to yield in the order of the stream, and stops with the
	// first error, its own or that of yield. Those up to Shipment.Start and above
	// Through may be among them, and are passed over.
	Changes func(yield func(seq uint64, c *Change) error) error
}

// replayNeededLocked refuses a generation that would lack changes.
func (s *Store) replayNeededLocked(l *list, start uint64, replay *Replay) error {
	err := s.replayLocked(l, start)
	if replay == nil {
		return err
	}
	through := min(l.kept, s.seq.Load())
	if l.lost.Changes {
		through = s.seq.Load()
	}
	if replay.Through < through {
		return &ReplayError{After: start, Through: through}
	}
	return nil
}

// replaying lays changes over the keys of a shipment, as many at a time as fit
// in memory.
type replaying struct {
	store  *Store
	list   *list
	sh     *Shipment
	replay *Replay

	base *keyFile // without a name
	over changes
	seq  uint64
	of   shape // of the keys; of a deleted list, of the first change
}

// run reads the changes and gives the keys that were written with them.
func (r *replaying) run(w *keyWriter) (*keyWriter, error) {
	var err error
	if r.base, err = w.unnamed(); err != nil {
		return nil, err
	}
	defer func() { r.base.file.Close() }()
	if err := r.replay.Changes(r.take); err != nil {
		return nil, fmt.Errorf("replay changes: %w", err)
	}
	return r.write()
}

func (r *replaying) take(seq uint64, c *Change) error {
	switch {
	case c.List != r.sh.List || r.store.vault.reads(c.Fingerprint) != nil:
		return fmt.Errorf("%w: change %d is of list %q and secret %q", ErrFingerprint, seq, c.List, c.Fingerprint)
	case seq < r.seq:
		return fmt.Errorf("%w: change %d comes after %d", ErrImport, seq, r.seq)
	case seq <= r.sh.Start || seq > r.replay.Through:
		return nil
	case r.of == shapeUnknown:
		r.of = shapeOf(c.Items)
	case r.of != shapeOf(c.Items):
		return fmt.Errorf("%w: the keys of change %d are %v", ErrImport, seq, shapeOf(c.Items))
	}
	if r.over.len() > 0 && r.over.len()+len(c.Keys) > r.store.o.MaxChanges {
		if err := r.spill(); err != nil {
			return err
		}
	}
	r.seq = seq
	var p Probe
	for _, key := range c.Keys {
		p.Reset(key)
		r.over.put(&p, newChange(seq, c.Op, c.Until))
	}
	return nil
}

// write writes the keys with the changes so far.
func (r *replaying) write() (*keyWriter, error) {
	w, err := r.store.newBase(r.list)
	if err != nil {
		return nil, err
	}
	w.leaves = leavesAt(r.base.until)
	if err := w.addMembers(&overlay{base: r.base.members(), changes: r.over.sorted(0, r.seq), past: r.store.past()}); err != nil {
		w.abandon()
		return nil, err
	}
	return w, nil
}

// spill makes room for more changes.
func (r *replaying) spill() error {
	w, err := r.write()
	if err != nil {
		return err
	}
	base, err := w.unnamed()
	if err != nil {
		return err
	}
	r.base.file.Close()
	r.base, r.over = base, changes{}
	return nil
}
