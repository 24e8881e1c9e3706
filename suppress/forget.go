package suppress

import (
	"errors"
	"fmt"
)

// Forget takes members that have left by themselves a day ago or earlier (chosen:
// for clocks that are set back) from the key files of every list, also of those
// that are rolled back to, and folds additions that have ended. Nobody is a member
// or a stranger for it that was not before. through is as Compact has it. A list
// that is busy or damaged is left for the next time.
func (s *Store) Forget(through uint64) error {
	s.mu.Lock()
	order := s.order
	s.mu.Unlock()
	var faults []error
	for _, l := range order {
		if err := s.forget(l, through); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrDamaged) {
			faults = append(faults, outward(fmt.Errorf("let go of members of list %q who have left: %w", l.name, err)))
		}
	}
	return errors.Join(faults...)
}

func (s *Store) forget(l *list, through uint64) error {
	past := s.past()
	l.mu.Lock()
	changed, stored := l.changes.hasLeft(past, through), l.cur.hasLeft(past) || l.prev.hasLeft(past)
	of := l.shape
	l.mu.Unlock()
	if !changed && !stored {
		return nil
	}
	if err := s.tryBuild(l, workCompaction); err != nil {
		return err
	}
	defer l.endBuild()
	if changed && of != shapeUnknown {
		if err := s.fold(l, through, of, nil, standing{}); err != nil {
			return err
		}
	}
	l.mu.Lock()
	n := l.asIs()
	l.mu.Unlock()
	if n.lost.any() || !n.cur.hasLeft(past) && !n.prev.hasLeft(past) {
		return nil
	}
	var err error
	if n.cur, err = s.without(l, n.cur, past); err == nil {
		n.prev, err = s.without(l, n.prev, past)
	}
	if err == nil {
		n.filter, n.decl, err = l.filterFor(n.cur)
	}
	if err == nil {
		err = s.commit(l, n)
	}
	return err
}

// without is the generation without those who have left, in the file of the same
// name. Until it is in use that file is as good as the one before: both are read
// the same.
func (s *Store) without(l *list, k *keyFile, past uint32) (*keyFile, error) {
	if !k.hasLeft(past) {
		return k, nil
	}
	w, err := s.newBase(l)
	if err != nil {
		return nil, err
	}
	w.leaves = leavesAt(k.until)
	if err := w.addMembers(&overlay{base: k.members(), changes: new(changeSlice), past: past}); err != nil {
		w.abandon()
		return nil, err
	}
	return s.finishBase(l, w, k.manifest)
}

// hasLeft says that some keys have left by then; of no generation, nil, none have.
func (k *keyFile) hasLeft(past uint32) bool {
	if k == nil {
		return false
	}
	if leavesAt(k.until) <= past && k.keys > uint64(k.leaving.len()) {
		return true
	}
	for i := range k.leaving.len() {
		if k.leaving.at[i] <= past {
			return true
		}
	}
	return false
}

// hasLeft says that some additions up to through have ended by then.
func (c *changes) hasLeft(past uint32, through uint64) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, d := range c.all {
		if d.op == Add && d.leaves <= past && d.seq <= through {
			return true
		}
	}
	return false
}
