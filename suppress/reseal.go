package suppress

import (
	"errors"
	"fmt"
)

// Reseal writes the files of every list anew that were written in an epoch of the
// secret before the one in use: both generations, under their names, and the journal.
// Nobody is a member or a stranger for it that was not before, and no number changes.
// It reads and writes each key once, in their order. A list that is busy or damaged is
// left for the next time.
func (s *Store) Reseal() error {
	s.mu.Lock()
	order := s.order
	s.mu.Unlock()
	var faults []error
	for _, l := range order {
		if err := s.reseal(l); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrDamaged) {
			faults = append(faults, outward(fmt.Errorf("seal list %q in the epoch in use: %w", l.name, err)))
		}
	}
	return errors.Join(faults...)
}

func (s *Store) reseal(l *list) error {
	l.mu.Lock()
	_, before := s.epochLocked(l)
	l.mu.Unlock()
	if !before {
		return nil
	}
	if err := s.tryBuild(l, workReseal); err != nil {
		return err
	}
	defer l.endBuild()
	l.mu.Lock()
	n := l.asIs()
	l.mu.Unlock()
	if n.lost.any() {
		return fmt.Errorf("%w: list %q is to be uploaded again", ErrDamaged, l.name)
	}
	var err error
	if s.isBefore(n.cur) || s.isBefore(n.prev) {
		if n.cur, err = s.again(l, n.cur); err == nil {
			n.prev, err = s.again(l, n.prev)
		}
		if err == nil {
			l.mu.Lock() // the keys are the same, so the filter is
			if n.decl = (Declaration{}); l.declared {
				n.decl, n.filter = l.decl, l.filter
			}
			l.mu.Unlock()
			err = s.commit(l, n)
		}
		if err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log != nil && l.log.fingerprint != s.vault.active() {
		s.rewriteJournalLocked(l)
	}
	return nil
}

// again is the generation in the epoch in use, in the file of the same name. Until it
// is in use that file is as good as the one before: both are read the same.
func (s *Store) again(l *list, k *keyFile) (*keyFile, error) {
	if !s.isBefore(k) {
		return k, nil
	}
	w, err := s.newBase(l)
	if err != nil {
		return nil, err
	}
	w.leaves = leavesAt(k.until)
	if err := w.addMembers(k.members()); err != nil {
		w.abandon()
		return nil, err
	}
	return s.finishBase(l, w, k.manifest)
}

// isBefore says that a generation was written in another epoch than the one in use.
func (s *Store) isBefore(k *keyFile) bool { return k != nil && k.fingerprint != s.vault.active() }

// epochLocked is the epoch of the list's oldest file, and whether it is another than
// the one in use.
func (s *Store) epochLocked(l *list) (fingerprint string, before bool) {
	for _, k := range []*keyFile{l.cur, l.prev} {
		if s.isBefore(k) {
			return k.fingerprint, true
		}
	}
	if l.log != nil && l.log.fingerprint != s.vault.active() {
		return l.log.fingerprint, true
	}
	if l.cur == nil && l.log == nil {
		return "", false
	}
	return s.vault.active(), false
}
