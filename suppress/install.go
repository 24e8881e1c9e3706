package suppress

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Install puts a generation that another store exported in the place of the one
// in use. It reads keys to their end into a temporary file, verifies every byte,
// and then publishes as an upload does; until then, and after any error, the list
// is as it was. The list need not be declared yet.
//
// A publication that is older than the one in use is refused with ErrOlder. One
// that is in use already, or that names the generation before, is not read. Changes
// above Shipment.Start apply over it, whether they came before or come later.
// Where some of them are not held one by one any more, the error is a *ReplayError,
// and Install is called again with replay, which is nil otherwise.
//
// Of a list that was found damaged Install mends the generation; lost changes
// are mended by a replay as well.
func (s *Store) Install(name string, sh *Shipment, keys io.Reader, replay *Replay) (Status, error) {
	l, err := s.receiver(name, sh)
	if err != nil {
		return Status{}, fmt.Errorf("install generation of list %q: %w", name, err)
	}
	if err := s.tryBuild(l, workInstall); err != nil {
		return Status{}, err
	}
	defer l.endBuild()
	done, err := s.settle(l, sh.Publication, replay != nil)
	if err == nil && !done {
		err = s.install(l, sh, keys, replay)
	}
	if err != nil {
		return Status{}, outward(fmt.Errorf("install generation %d of list %q: %w", sh.Generation, name, err))
	}
	return s.status(l), nil
}

// receiver is the list that the shipment is for, unless it cannot be here.
func (s *Store) receiver(name string, sh *Shipment) (*list, error) {
	switch err := sh.check(); {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	case sh.List != name:
		return nil, fmt.Errorf("%w: the shipment is of list %q", ErrDamaged, sh.List)
	case !sh.Sealed && sh.Fingerprint != s.o.Fingerprint:
		return nil, fmt.Errorf("%w: it says %q, this node has %q; start every node with the same secret", ErrFingerprint, sh.Fingerprint, s.o.Fingerprint)
	case s.isClosed():
		return nil, ErrClosed
	}
	return s.add(name), nil
}

// settle does what a publication asks for without the generation's files, and
// reports false where they are needed. l.build is held.
func (s *Store) settle(l *list, p Publication, replay bool) (bool, error) {
	l.mu.Lock()
	cur, prev, order, lost := l.cur, l.prev, l.order, l.lost
	l.mu.Unlock()
	same := cur != nil && cur.generation == p.Generation
	switch {
	case p.Order < order || p.Order == order && !same && !lost.Base:
		return false, fmt.Errorf("%w: that of order %d; this one has %d", ErrOlder, order, p.Order)
	case same && !lost.Base && !replay && p.Order == order:
		return true, nil
	case same && !lost.Base && !replay:
		return true, s.turn(l, cur, prev, p.Order, lost)
	case !same && prev != nil && prev.generation == p.Generation && !lost.any():
		return true, s.turn(l, prev, cur, p.Order, lost)
	}
	return false, nil
}

// turn publishes generations that are here already.
func (s *Store) turn(l *list, cur, prev *keyFile, order uint64, lost loss) (err error) {
	n := nextBase{cur: cur, prev: prev, order: order, lost: lost}
	if n.filter, n.decl, err = l.filterFor(cur); err != nil {
		return err
	}
	return s.commit(l, n)
}

// filterFor builds the filter that the list is declared with, if it is.
func (l *list) filterFor(k *keyFile) (*filter, Declaration, error) {
	l.mu.Lock()
	decl, declared, filter := l.decl, l.declared, l.filter
	l.mu.Unlock()
	if !declared || k == l.cur {
		return filter, decl, nil
	}
	f, err := filterOf(k, decl)
	return f, decl, err
}

// install writes the shipment and puts it in place.
func (s *Store) install(l *list, sh *Shipment, keys io.Reader, replay *Replay) error {
	l.mu.Lock()
	refused := s.replayNeededLocked(l, sh.Start, replay)
	if l.declared && !sh.Deleted && l.decl.Items != sh.Items {
		refused = fmt.Errorf("%w: the shipment is of %v, and the list is declared as one of %v; declare it so, then install it",
			ErrImport, sh.shape(), shapeOf(l.decl.Items))
	}
	l.mu.Unlock()
	if refused != nil {
		return refused
	}
	w, err := s.newBase(l)
	if err != nil {
		return err
	}
	defer func() { w.abandon() }()
	m := manifest{deleted: sh.Deleted, shape: sh.shape(), generation: sh.Generation, start: sh.Start, uploaded: sh.Uploaded}
	all := newShipmentKeys(keys, sh, sha256.New(), s.vault)
	if err := w.addAll(all); err != nil {
		return err
	}
	w.leaves, w.leaving = leavesAt(sh.Until), all.leaving
	if replay != nil {
		over := replaying{store: s, list: l, sh: sh, replay: replay, of: sh.shape()}
		with, err := over.run(w)
		if err != nil {
			return err
		}
		w = with
		m.start = max(m.start, replay.Through)
		if m.deleted && w.keys > 0 {
			m.deleted, m.shape = false, over.of // by the changes since
		}
	}
	n := nextBase{order: sh.Order, lost: loss{Changes: l.lost.Changes && replay == nil}}
	if n.prev, err = s.before(l, m.shape); err != nil {
		return err
	}
	if n.prev != nil && n.prev.generation == sh.Generation {
		n.prev = l.prev
	}
	return s.place(l, w, m, n)
}

// place finishes a generation that was written and publishes it.
func (s *Store) place(l *list, w *keyWriter, m manifest, n nextBase) error {
	k, err := s.finishBase(l, w, m)
	if err == nil {
		n.cur = k
		n.filter, n.decl, err = l.filterFor(k)
	}
	if err == nil {
		s.see(m.start)
		err = s.commit(l, n)
	}
	for _, made := range []*keyFile{n.cur, n.prev} {
		if err != nil && made != nil {
			l.discard(err, made)
		}
	}
	return err
}

// RollbackTo makes an earlier generation the one in use, on every node of a
// cluster, by a publication of its own: its Order is a new number. Where it was
// done already, nothing is. Where that generation is not kept, the error is
// ErrNoPrevious; it is then to be installed, with that Order. The number to roll
// back to is Status.Previous of the node that was asked.
func (s *Store) RollbackTo(name string, p Publication) (Status, error) {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if s.isClosed() {
		return Status{}, ErrClosed
	}
	if l == nil {
		return Status{}, fmt.Errorf("roll back list: %w: there is no list %q", ErrUnknownList, name)
	}
	if p.Generation < firstGeneration || p.Order < p.Generation || p.Order > maxNumber {
		return Status{}, fmt.Errorf("roll back list %q: %w: generation %d by order %d", name, ErrImport, p.Generation, p.Order)
	}
	if err := s.tryBuild(l, workRollback); err != nil {
		return Status{}, err
	}
	defer l.endBuild()
	done, err := s.settle(l, p, false)
	if err == nil && !done {
		err = s.rollbackToNothing(l, p)
	}
	if err != nil {
		return Status{}, outward(fmt.Errorf("roll back list %q to generation %d: %w", name, p.Generation, err))
	}
	return s.status(l), nil
}

// rollbackToNothing is for a node which has not installed the upload that is
// rolled back: the list is as before it already.
func (s *Store) rollbackToNothing(l *list, p Publication) error {
	l.mu.Lock()
	of, never := l.shape, l.cur == nil && !l.lost.any()
	l.mu.Unlock()
	if p.Generation != firstGeneration || !never {
		return fmt.Errorf("%w: it is not kept here; install it", ErrNoPrevious)
	}
	k, err := s.before(l, of)
	if err != nil {
		return err
	}
	return s.turn(l, k, nil, p.Order, loss{})
}
