package suppress

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// nextBase is a generation on its way in.
type nextBase struct {
	cur, prev *keyFile
	filter    *filter
	decl      Declaration // that filter was built for, or zero
	lost      loss        // what is still lost then
	order     uint64      // of the publication; lower than the list's: as it is
	kept      uint64      // set by commit
}

// commit makes n the list's generations: on disk by the pointer, then for the
// readers. l.build is held. On error the list is as it was, and the caller
// removes the files it made; but with ErrNotDurable the list is as n says, and no
// file goes that either pointer names.
func (s *Store) commit(l *list, n nextBase) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.isClosed() {
		return ErrClosed
	}
	if l.declared && n.decl.Name != "" && l.decl.Items != n.decl.Items {
		return fmt.Errorf("%w: list %q was declared anew meanwhile; send it again", ErrBusy, l.name)
	}
	if l.declared && (n.filter == nil || l.decl.Filter != n.decl.Filter || l.decl.Rate != n.decl.Rate) {
		f, err := filterOf(n.cur, l.decl) // declared anew meanwhile
		if err != nil {
			return err
		}
		n.filter = f
	}
	n.order = max(n.order, l.order, firstGeneration)
	n.kept = floorOf(n.cur, n.prev)
	next := l.next
	l.next = max(l.next, n.cur.generation+1, n.order+1)
	late := s.writePointerLocked(l, n)
	if late != nil && !errors.Is(late, ErrNotDurable) {
		l.next = next
		return late
	}
	old := []*keyFile{l.cur, l.prev}
	l.cur, l.prev, l.lost, l.order, l.kept = n.cur, n.prev, n.lost, n.order, n.kept
	if l.declared {
		l.filter = n.filter
	}
	// A new set of changes, since Views still read the old one.
	had := l.changes.len()
	l.changes = l.changes.after(l.floor())
	if n.cur.shape != shapeUnknown || l.changes.len() == 0 {
		l.shape = n.cur.shape
	}
	s.recountLocked(l)
	s.publish()
	if late != nil {
		s.notice(l.name, "generation %d is in use, and a power cut may bring back the one before it; upload it again: %v", n.cur.generation, outward(late))
		return late
	}
	if l.changes.len() < had || l.log != nil && l.log.shape != l.shape {
		s.rewriteJournalLocked(l)
	}
	for _, k := range old {
		if k != nil && k != n.cur && k != n.prev && k.path != n.cur.path && (n.prev == nil || k.path != n.prev.path) {
			os.Remove(k.path)
		}
	}
	return nil
}

// rewriteJournalLocked drops the changes that every kept generation holds. The
// journal that stands is a superset, so failing here loses nothing.
func (s *Store) rewriteJournalLocked(l *list) {
	if l.log == nil || s.isClosed() {
		return
	}
	if err := s.openJournalLocked(l, l.shape); err != nil {
		s.notice(l.name, "its journal could not be written anew, and the old one is kept; nothing is lost, free some space: %v", outward(err))
	}
}

// openJournalLocked writes the changes as the journal and takes more at its end.
// Once the file is in its place it is the journal, whatever fails after that:
// the file before it has no name any more. While a power cut may bring that one
// back, no change is acknowledged as outliving it (journal.sync).
func (s *Store) openJournalLocked(l *list, of shape) error {
	form, block, err := s.vault.next(sealsJournal)
	if err != nil {
		return err
	}
	seal := gcm(block)
	content := encodeJournal(l.name, form, seal, of, l.changes)
	f, err := s.replaceFile(filepath.Join(l.dir, journalName), content)
	if f == nil {
		return err
	}
	if l.log != nil {
		l.log.file.Close()
	}
	l.log = &journal{file: f, shape: of, size: int64(len(content)), syncDir: s.syncDir, fingerprint: form.fingerprint, seal: seal}
	if err != nil {
		l.log.unsynced = l.dir
	}
	return nil
}

// Rollback makes the previous generation current and the current one previous.
// The changes after its upload started apply over it. It reads the whole key
// file to build the filter.
//
// A list that is not trusted because its current generation was lost is trusted
// again on what it is rolled back to: the previous generation, or the only one
// that is left. Someone has then said that this older upload will do. Where
// changes were lost there is nothing whole to roll back to (ErrDamaged).
func (s *Store) Rollback(name string) (Status, error) {
	l, err := s.declaredList(name)
	if err != nil {
		return Status{}, err
	}
	if err := s.tryBuild(l, workRollback); err != nil {
		return Status{}, err
	}
	defer l.endBuild()
	l.mu.Lock()
	n := nextBase{cur: l.prev, prev: l.cur, decl: l.decl}
	if l.previousLocked() == 0 {
		n.cur = nil
	}
	l.mu.Unlock()
	if l.lost.Base && n.cur == nil && l.hasBase() {
		n.cur, n.prev = l.cur, nil
	}
	if l.lost.Changes {
		return Status{}, fmt.Errorf("roll back list %q: %w: changes were lost that apply to every generation; upload it again", name, ErrDamaged)
	}
	if n.cur == nil {
		return Status{}, fmt.Errorf("roll back list %q: %w: only one upload is kept; upload it again", name, ErrNoPrevious)
	}
	if n.filter, err = filterOf(n.cur, n.decl); err == nil {
		err = s.commit(l, n)
	}
	if err != nil {
		return Status{}, outward(fmt.Errorf("roll back list %q: %w", name, err))
	}
	return s.status(l), nil
}

func (l *list) declaration() Declaration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.decl
}

// Delete removes every member and every file of the list but an empty
// generation, which keeps changes of before from coming back when they are
// applied again. The list may be uploaded again; there is no rollback. A list that
// the policy no longer declares can be deleted too.
func (s *Store) Delete(name string) error { return s.DeleteAs(name, 0, 0) }

// DeleteAs is Delete in a cluster: every node makes the same empty generation,
// with the number and the start that an upload would have (Import.Generation,
// Import.Start; 0 means the same as there). Where it is in use already, nothing
// is done; where a newer publication is, it is refused with ErrOlder.
func (s *Store) DeleteAs(name string, generation, start uint64) error {
	s.mu.Lock()
	l, closed := s.lists[name], s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if l == nil && (generation == 0 || checkName(name) != nil) {
		return fmt.Errorf("%w: there is no list %q", ErrUnknownList, name)
	}
	if l == nil {
		l = s.add(name) // an earlier upload may come later
	}
	if err := s.tryBuild(l, workDeletion); err != nil {
		return err
	}
	defer l.endBuild()
	l.mu.Lock()
	again := generation != 0 && l.order == generation && l.cur != nil && l.cur.deleted && !l.lost.any()
	m, err := s.numberLocked(l, Import{Generation: generation, Start: start})
	l.mu.Unlock()
	if again {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete list %q: %w", name, err)
	}
	m.deleted, m.uploaded = true, 0
	w, err := s.newBase(l)
	if err != nil {
		return outward(fmt.Errorf("delete list %q: %w", name, err))
	}
	k, err := s.finishBase(l, w, m)
	if err != nil {
		return outward(fmt.Errorf("delete list %q: %w", name, err))
	}
	n := nextBase{cur: k, order: m.generation, lost: loss{Changes: l.lost.Changes && start != 0}}
	if err := s.commit(l, n); err != nil {
		l.discard(err, k)
		return outward(fmt.Errorf("delete list %q: %w", name, err))
	}
	aside, err := filepath.Glob(filepath.Join(l.dir, "*"+damagedName))
	for _, path := range aside {
		if e := os.Remove(path); e != nil {
			err = e
		}
	}
	if err != nil {
		return outward(fmt.Errorf("delete list %q: remove what was set aside: %w", name, err))
	}
	return nil
}

func (s *Store) newBase(l *list) (*keyWriter, error) {
	if err := s.makeDir(l.dir); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.isClosed() {
		return nil, ErrClosed
	}
	// Before the first key file, so that key files without a pointer are damage
	// and not the rest of an upload that did not end.
	if !l.pointed {
		if err := s.writePointerLocked(l, l.asIs()); err != nil {
			return nil, err
		}
	}
	return newKeyWriter(s.o.Disk, s.tmp, s.syncDir, s.vault)
}

// discard removes a file that commit refused with err. What is in use stays:
// the same generation may have been written anew to its place.
func (l *list) discard(err error, k *keyFile) {
	inUse := l.cur != nil && l.cur.path == k.path || l.prev != nil && l.prev.path == k.path
	if !inUse && !errors.Is(err, ErrNotDurable) {
		os.Remove(k.path)
	}
}

// makeDir makes one directory so that it outlives a power cut.
func (s *Store) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return s.syncDir(filepath.Dir(dir))
}

func (s *Store) finishBase(l *list, w *keyWriter, m manifest) (*keyFile, error) {
	defer w.abandon()
	m.list = nameTag(l.name)
	return w.finish(m, filepath.Join(l.dir, generationRef{m.generation, m.start}.file()))
}
