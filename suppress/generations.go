package suppress

import (
	"fmt"
	"os"
	"path/filepath"
)

// nextBase is a generation on its way in.
type nextBase struct {
	cur, prev *keyFile
	filter    *filter
	decl      Declaration // that filter was built for
}

// commit makes n the list's generations: on disk by the pointer, then for the
// readers. l.build is held. On error the list is as it was, and the caller
// removes the files it made.
func (s *Store) commit(l *list, n nextBase) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.declared && (n.filter == nil || l.decl.Filter != n.decl.Filter || l.decl.Rate != n.decl.Rate) {
		f, err := filterOf(n.cur, l.decl) // declared anew meanwhile
		if err != nil {
			return err
		}
		n.filter = f
	}
	if n.cur.generation >= l.next {
		l.next = n.cur.generation + 1
	}
	if err := l.writePointer(n.cur, n.prev); err != nil {
		return err
	}
	old := []*keyFile{l.cur, l.prev}
	l.cur, l.prev, l.damaged = n.cur, n.prev, false
	if l.declared {
		l.filter = n.filter
	}
	// A new set of changes, since Views still read the old one.
	had := l.changes.len()
	l.changes = l.changes.after(l.floor())
	s.recountLocked(l)
	s.publish()
	if l.changes.len() < had {
		s.rewriteJournalLocked(l)
	}
	for _, k := range old {
		if k != nil && k != n.cur && k != n.prev && k.path != n.cur.path && (n.prev == nil || k.path != n.prev.path) {
			os.Remove(k.path)
		}
	}
	return nil
}

// recountLocked counts the members and sets the readers' entry.
func (s *Store) recountLocked(l *list) {
	l.members = 0
	if l.cur != nil {
		l.members = int64(l.cur.keys)
	}
	start := l.startLocked()
	for key, c := range l.changes.m {
		if c.seq <= start {
			continue
		}
		in := s.inBaseLocked(l, &key)
		switch {
		case c.op == Add && !in:
			l.members++
		case c.op == Remove && in:
			l.members--
		}
	}
	l.setEntryLocked()
}

func (l *list) startLocked() uint64 {
	if l.cur == nil {
		return 0
	}
	return l.cur.start
}

// inBaseLocked settles whether the key is in the current base. It is for the
// count of members: a key that cannot be read counts as absent.
func (s *Store) inBaseLocked(l *list, key *Key) bool {
	if l.cur == nil {
		return false
	}
	in, err := l.cur.contains(key)
	if err != nil {
		s.notice(l.name, "count members: %v", err)
	}
	return in
}

// rewriteJournalLocked drops the changes that every kept generation holds. The
// journal that stands is a superset, so failing here loses nothing.
func (s *Store) rewriteJournalLocked(l *list) {
	if l.log == nil {
		return
	}
	if err := l.openJournalLocked(encodeJournal(l.name, s.o.Fingerprint, l.changes.m)); err != nil {
		s.notice(l.name, "rewrite journal: %v; the old one is kept", err)
	}
}

// openJournalLocked writes content as the journal and takes changes at its end.
func (l *list) openJournalLocked(content []byte) error {
	path := filepath.Join(l.dir, journalName)
	if err := writeFile(path, content); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if l.log != nil {
		l.log.file.Close()
	}
	l.log = &journal{file: f, size: int64(len(content))}
	return nil
}

// tryBuild takes the right to make generations of l, or says who has it.
func (l *list) tryBuild() error {
	if !l.build.TryLock() {
		return fmt.Errorf("%w: another upload to %q, or its compaction, is under way; try again when it has ended", ErrBusy, l.name)
	}
	return nil
}

// Rollback makes the previous generation current and the current one previous.
// The changes after its upload started apply over it. It reads the whole key
// file to build the filter.
func (s *Store) Rollback(name string) (Status, error) {
	l, err := s.declaredList(name)
	if err != nil {
		return Status{}, err
	}
	if err := l.tryBuild(); err != nil {
		return Status{}, err
	}
	defer l.build.Unlock()
	if l.prev == nil {
		return Status{}, fmt.Errorf("roll back list %q: %w: only one upload is kept; upload it again", name, ErrNoPrevious)
	}
	decl := l.declaration()
	f, err := filterOf(l.prev, decl)
	if err == nil {
		err = s.commit(l, nextBase{cur: l.prev, prev: l.cur, filter: f, decl: decl})
	}
	if err != nil {
		return Status{}, fmt.Errorf("roll back list %q: %w", name, err)
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
func (s *Store) Delete(name string) error {
	s.mu.Lock()
	l, closed := s.lists[name], s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if l == nil {
		return fmt.Errorf("%w: there is no list %q", ErrUnknownList, name)
	}
	if err := l.tryBuild(); err != nil {
		return err
	}
	defer l.build.Unlock()
	l.mu.Lock()
	m := manifest{deleted: true, generation: l.next, start: s.seq.Load()}
	l.mu.Unlock()
	w, err := s.newBase(l)
	if err != nil {
		return fmt.Errorf("delete list %q: %w", name, err)
	}
	k, err := s.finishBase(l, w, m)
	if err != nil {
		return fmt.Errorf("delete list %q: %w", name, err)
	}
	if err := s.commit(l, nextBase{cur: k}); err != nil {
		os.Remove(k.path)
		return fmt.Errorf("delete list %q: %w", name, err)
	}
	aside, err := filepath.Glob(filepath.Join(l.dir, "*"+damagedName))
	for _, path := range aside {
		if e := os.Remove(path); e != nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("delete list %q: remove what was set aside: %w", name, err)
	}
	return nil
}

func (s *Store) newBase(l *list) (*keyWriter, error) {
	if err := makeDir(l.dir); err != nil {
		return nil, err
	}
	return newKeyWriter(s.tmp)
}

// makeDir makes one directory so that it outlives a power cut.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func (s *Store) finishBase(l *list, w *keyWriter, m manifest) (*keyFile, error) {
	defer w.abandon()
	m.fingerprint, m.list = s.o.Fingerprint, nameTag(l.name)
	return w.finish(m, filepath.Join(l.dir, generationRef{m.generation, m.start}.file()))
}

// Compact folds the changes up to a sequence into the list's generations, the
// previous one too, and drops them from memory and journal. The caller promises
// that every change up to that sequence has been applied: those that come later
// are taken for repetitions. Changes made meanwhile are kept. A list without a
// base gets one, which has never been uploaded.
func (s *Store) Compact(name string, through uint64) error {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("compact list: %w: %q has no members here", ErrUnknownList, name)
	}
	if err := l.tryBuild(); err != nil {
		return err
	}
	defer l.build.Unlock()
	if len(*l.changes.sorted(l.floor(), through)) == 0 {
		return nil
	}
	if err := s.fold(l, through, nil, 0); err != nil {
		return fmt.Errorf("compact list %q: %w", name, err)
	}
	return nil
}

// fold makes generations with the changes up to through in them, and over those
// the keys of run, if any. l.build is held.
func (s *Store) fold(l *list, through uint64, run *sorter, op Op) error {
	l.mu.Lock()
	generation, decl, declared := l.next, l.decl, l.declared
	// No sequence above this one has been given out for the list.
	through = min(through, s.seq.Load())
	l.mu.Unlock()
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
	if n.cur, err = s.foldOne(l, l.cur, generation, through, run, op); err != nil {
		return err
	}
	if l.prev != nil {
		if n.prev, err = s.foldOne(l, l.prev, l.prev.generation, through, run, op); err != nil {
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
	if err != nil {
		undo()
	}
	return err
}

// foldOne folds into one generation; base nil is the empty one.
func (s *Store) foldOne(l *list, base *keyFile, generation, through uint64, run *sorter, op Op) (*keyFile, error) {
	m := manifest{generation: generation, start: through}
	var keys keyStream = new(sliceStream)
	start := uint64(0)
	if base != nil {
		if base.start >= through {
			return base, nil
		}
		keys = base.stream()
		m.uploaded, start = base.uploaded, base.start
	}
	keys = &overlay{base: keys, changes: l.changes.sorted(start, through)}
	if run != nil {
		sorted, err := run.sorted()
		if err != nil {
			return nil, err
		}
		keys = &overlay{base: keys, changes: &changeRun{sorted, op == Add}}
	}
	w, err := s.newBase(l)
	if err != nil {
		return nil, err
	}
	if err := w.addAll(keys); err != nil {
		w.abandon()
		return nil, err
	}
	return s.finishBase(l, w, m)
}
