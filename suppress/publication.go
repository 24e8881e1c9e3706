package suppress

import "fmt"

// Publication says which generation of a list is in use, so that nodes can
// agree on it: of two publications the one with the higher Order holds, whatever
// came first. Numbers are given out by the caller, to one upload, deletion or
// rollback each in the whole cluster, such as the sequence of a message in the
// stream of changes by which it is announced. They are 2 to 1<<62 and higher than
// each that was given out before.
//
// An upload has its generation's number as Order. A rollback has a number of its
// own as Order, and the earlier one as Generation. Generation 1 is on every node
// the list before its first upload: changes alone.
//
// A store that is alone numbers for itself (Replace and Delete with 0, Rollback);
// before it becomes one of several, its lists are to be uploaded with a number
// that is above every Status.Generation of theirs.
type Publication struct {
	Order      uint64 `json:"order"`
	Generation uint64 `json:"generation"`
}

const (
	firstGeneration = 1
	maxNumber       = 1 << 62
	// keptUnknown stands for list.kept where the pointer was lost.
	keptUnknown = ^uint64(0)
)

// Publication is the one of a list that is in use here; of a list that is not
// known, or has no generation yet, the zero one.
func (s *Store) Publication(name string) Publication {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return Publication{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur == nil {
		return Publication{}
	}
	return Publication{Order: l.order, Generation: l.cur.generation}
}

// ReplayError refuses a generation from before changes that were folded into
// others and are not held one by one any more: they would be missing in it. The
// caller reads the changes of the list with sequences above After, at least up to
// Through, from the stream again, and gives them to Install as Replay.
type ReplayError struct {
	After, Through uint64
}

func (e *ReplayError) Error() string {
	return fmt.Sprintf("%v: those above %d up to %d are in no upload that started at %d; install it with them, or upload the list again",
		ErrReplay, e.After, e.Through, e.After)
}

func (e *ReplayError) Unwrap() error { return ErrReplay }

// replayLocked says what a generation of this start would lack.
func (s *Store) replayLocked(l *list, start uint64) error {
	// No change above what was seen has been dropped, whatever else is not known.
	if through := min(l.kept, s.seq.Load()); start < through {
		return &ReplayError{After: start, Through: through}
	}
	return nil
}

// numberLocked begins the manifest of a generation that is made here.
func (s *Store) numberLocked(l *list, im Import) (manifest, error) {
	m := manifest{generation: l.next, start: s.seq.Load(), uploaded: uint64(s.o.Now().Unix())}
	if g := im.Generation; g != 0 {
		if g <= firstGeneration || g > maxNumber {
			return m, fmt.Errorf("%w: generation %d is not from %d to %d", ErrImport, g, firstGeneration+1, uint64(maxNumber))
		}
		if g < l.next {
			return m, fmt.Errorf("%w: generation %d comes before number %d, which is next here; take a higher one", ErrOlder, g, l.next)
		}
		m.generation = g
	}
	if im.Start != 0 {
		m.start = im.Start
		s.see(im.Start) // or changes made from here on would count as of before
	}
	return m, s.replayLocked(l, m.start)
}

// asIs is what the list's generations are.
func (l *list) asIs() nextBase {
	return nextBase{cur: l.cur, prev: l.prev, lost: l.lost, order: l.order, kept: l.kept}
}

// before is what can be rolled back to once a generation of this shape is in
// use: the current one, or the list as it was without any. There is no way back to
// a generation whose changes were lost, nor to members of another shape. l.build
// is held.
func (s *Store) before(l *list, of shape) (*keyFile, error) {
	l.mu.Lock()
	none := l.lost.Changes || l.lost.any() && l.cur == nil || !l.empty() && l.shape != of && l.shape != shapeUnknown
	l.mu.Unlock()
	if none {
		return nil, nil
	}
	if l.cur != nil {
		return l.cur, nil
	}
	w, err := s.newBase(l)
	if err != nil {
		return nil, err
	}
	return s.finishBase(l, w, manifest{deleted: true, generation: firstGeneration})
}

// sameShape says that one can be rolled back to from the other.
func sameShape(a, b *keyFile) bool {
	return a.shape == b.shape || a.deleted || b.deleted
}

// previousLocked is the number of what a person can roll back to, or 0: the list
// without any upload counts only where changes had been made by then.
func (l *list) previousLocked() uint64 {
	if l.prev == nil {
		return 0
	}
	if l.prev.keys > 0 || l.prev.uploaded != 0 || !l.prev.deleted { // of changes, though nobody may be left of them
		return l.prev.generation
	}
	l.changes.mu.RLock()
	defer l.changes.mu.RUnlock()
	for _, c := range l.changes.all {
		if c.seq > l.prev.start && c.seq <= l.startLocked() {
			return l.prev.generation
		}
	}
	return 0
}
