package suppress

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
)

// Backup is all that a store holds of one list at one moment: the generations, and the changes since. It can be read for as long as it is held,
// whatever becomes of the list meanwhile.
type Backup struct {
	// List is its name.
	List string
	// Current is the generation in use, Previous the one that it can be rolled back to. Nil: there is none.
	Current, Previous *Export

	items   bool
	changes []saidOf
}

type saidOf struct {
	key Key
	change
}

// Backup reads both key files once, to be sure of them. A list that was found damaged is refused with ErrDamaged: a copy of what is left of it
// would be trusted elsewhere.
func (s *Store) Backup(name string) (*Backup, error) {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("back up list: %w: there is no list %q", ErrUnknownList, name)
	}
	b := &Backup{List: name}
	// At one moment, or what is folded into a generation meanwhile would be in neither. Changes are few beside members, and decisions do not wait for l.mu.
	l.mu.Lock()
	cur, prev, order, decl, lost := l.cur, l.prev, l.order, l.decl, l.lost
	if l.previousLocked() == 0 {
		prev = nil
	}
	b.items = l.shape == shapeItems
	b.changes = make([]saidOf, 0, l.changes.len())
	for key, c := range l.changes.all {
		b.changes = append(b.changes, saidOf{key, c})
	}
	l.mu.Unlock()
	if lost.any() {
		return nil, fmt.Errorf("back up list %q: %w: upload it again, or take the copy of another node", name, ErrDamaged)
	}
	var err error
	if cur != nil {
		b.Current, err = exportOf(name, cur, order, decl, s.vault)
	}
	if err == nil && prev != nil {
		b.Previous, err = exportOf(name, prev, prev.generation, decl, s.vault)
	}
	if err != nil {
		return nil, outward(fmt.Errorf("back up list %q: %w", name, err))
	}
	slices.SortFunc(b.changes, func(x, y saidOf) int {
		return cmp.Or(cmp.Compare(x.seq, y.seq), cmp.Compare(x.op, y.op), cmp.Compare(x.leaves, y.leaves), comparePairs(pairOf(&x.key), pairOf(&y.key)))
	})
	return b, nil
}

// Changes gives the changes that are not in all generations, by sequence, each for as many keys as it has or as one Change may have. The Change
// is used again. It ends with the first error of yield.
func (b *Backup) Changes(yield func(seq uint64, c *Change) error) error {
	c := Change{List: b.List, Items: b.items}
	for i, e := range b.changes {
		c.Keys = append(c.Keys, e.key)
		if i+1 < len(b.changes) && b.changes[i+1].change == e.change && len(c.Keys) < MaxChangeKeys {
			continue
		}
		c.Op, c.Until = e.op, 0
		if e.op == Add && e.leaves != never {
			c.Until = e.leaves
		}
		if err := yield(e.seq, &c); err != nil {
			return err
		}
		c.Keys = c.Keys[:0]
	}
	return nil
}

// Renumber writes the generation in use anew under another number, which is that of a publication too: for a list of a store that was alone, or
// that was never uploaded, which is to become one of several stores'. The number is above that of every publication before (ErrOlder). Changes since
// the generation stay beside it; Compact first to have them in it.
func (s *Store) Renumber(name string, generation uint64) error {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("renumber list: %w: there is no list %q", ErrUnknownList, name)
	}
	if err := s.tryBuild(l, workInstall); err != nil {
		return err
	}
	defer l.endBuild()
	if err := s.renumber(l, generation); err != nil {
		return outward(fmt.Errorf("renumber list %q: %w", name, err))
	}
	return nil
}

func (s *Store) renumber(l *list, generation uint64) error {
	l.mu.Lock()
	cur, prev, lost, next := l.cur, l.prev, l.lost, l.next
	l.mu.Unlock()
	switch {
	case lost.any():
		return ErrDamaged
	case cur == nil:
		return ErrNoPrevious
	case generation < next || generation > maxNumber:
		return fmt.Errorf("%w: %d comes before number %d, which is next here", ErrOlder, generation, next)
	}
	w, err := s.newBase(l)
	if err != nil {
		return err
	}
	defer w.abandon()
	w.leaves = leavesAt(cur.until)
	if err := w.addMembers(cur.members()); err != nil {
		return err
	}
	m := manifest{deleted: cur.deleted, shape: cur.shape, generation: generation, start: cur.start, uploaded: cur.uploaded}
	return s.place(l, w, m, nextBase{order: generation, prev: prev})
}

// Checker reads what a Store sends out, without a store of its own.
type Checker struct{ vault vault }

// NewChecker takes what Options.Fingerprint and Options.Seals are.
func NewChecker(fingerprint string, seals Seals) *Checker {
	return &Checker{vault{fingerprint, seals}}
}

// Check reads a key file to its end, and returns an error unless every byte is as the shipment and its own head say: ErrDamaged, ErrFingerprint,
// ErrEpoch, or that of reading.
func (c *Checker) Check(sh *Shipment, keys io.Reader) error {
	all := newShipmentKeys(keys, sh, sha256.New(), c.vault)
	for {
		switch _, more, err := all.next(); {
		case err != nil:
			return fmt.Errorf("check generation %d of list %q: %w", sh.Generation, sh.List, err)
		case !more:
			return nil
		}
	}
}

// ParseChange is Store.ParseChange, and refuses what is of another secret.
func (c *Checker) ParseChange(b []byte) (Change, error) {
	parsed, err := parseChange(b, c.vault)
	if err == nil {
		err = c.vault.reads(parsed.Fingerprint)
	}
	return parsed, err
}
