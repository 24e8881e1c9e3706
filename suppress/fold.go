package suppress

import (
	"errors"
	"fmt"
	"os"
)

// Compact folds the changes up to a sequence into the list's generations, the
// previous one too, and drops them from memory and journal. The caller promises
// that every change up to that sequence has been applied: those that come later
// are taken for repetitions. Changes made meanwhile are kept. A list without a
// base gets one, which has never been uploaded. A list with losses is not compacted
// (ErrDamaged), and neither are changes that came before any declaration.
func (s *Store) Compact(name string, through uint64) error {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("compact list: %w: %q has no members here", ErrUnknownList, name)
	}
	if err := s.tryBuild(l, workCompaction); err != nil {
		return err
	}
	defer l.endBuild()
	if len(*l.changes.sorted(l.floor(), through)) == 0 {
		return nil
	}
	l.mu.Lock()
	of := l.shape
	l.mu.Unlock()
	if of == shapeUnknown {
		return fmt.Errorf("compact list: %w: %q was never declared", ErrUnknownList, name)
	}
	if err := s.fold(l, through, of, nil, standing{}); err != nil {
		return outward(fmt.Errorf("compact list %q: %w", name, err))
	}
	return nil
}

// fold makes generations with the changes up to through in them, and over those
// the keys of run, if any, of which is said said. All are of one shape. l.build is held. What was lost
// would be lost in the new generation too, and nothing would tell.
func (s *Store) fold(l *list, through uint64, of shape, run *sorter, said standing) error {
	l.mu.Lock()
	generation, decl, declared := uint64(firstGeneration), l.decl, l.declared
	refused := l.takes(of)
	if l.lost.any() {
		refused = fmt.Errorf("%w: members of list %q were lost, and it holds no more changes before it is uploaded again", ErrDamaged, l.name)
	}
	// No sequence above this one has been given out for the list.
	through = min(through, s.seq.Load())
	l.mu.Unlock()
	if refused != nil {
		return refused
	}
	if l.cur != nil {
		generation = l.cur.generation
	}
	var n nextBase
	undo := func() {
		for _, k := range []*keyFile{n.cur, n.prev} {
			if k != nil && k != l.cur && k != l.prev {
				os.Remove(k.path)
			}
		}
	}
	var err error
	if n.cur, err = s.foldOne(l, l.cur, manifest{generation: generation, start: through, shape: of}, run, said); err != nil {
		return err
	}
	if l.prev != nil {
		if n.prev, err = s.foldOne(l, l.prev, manifest{generation: l.prev.generation, start: through, shape: of}, run, said); err != nil {
			undo()
			return err
		}
	}
	n.decl = decl
	if declared {
		n.filter, err = filterOf(n.cur, decl)
	}
	if err == nil {
		err = s.commit(l, n)
	}
	if err != nil && !errors.Is(err, ErrNotDurable) {
		undo()
	}
	return err
}

// foldOne folds into one generation; base nil is the empty one.
func (s *Store) foldOne(l *list, base *keyFile, m manifest, run *sorter, said standing) (*keyFile, error) {
	var members memberStream = &staying{keys: new(sliceStream)}
	start, leaves := uint64(0), uint32(never)
	if base != nil {
		if base.start >= m.start {
			return base, nil
		}
		members = base.members()
		m.uploaded, start, leaves = base.uploaded, base.start, leavesAt(base.until)
	}
	members = &overlay{base: members, changes: l.changes.sorted(start, m.start), past: s.past()}
	if run != nil {
		sorted, err := run.sorted()
		if err != nil {
			return nil, err
		}
		members = &overlay{base: members, changes: &changeRun{sorted, said}}
	}
	w, err := s.newBase(l)
	if err != nil {
		return nil, err
	}
	w.leaves = leaves
	if err := w.addMembers(members); err != nil {
		w.abandon()
		return nil, err
	}
	return s.finishBase(l, w, m)
}
