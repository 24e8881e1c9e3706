package suppress

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Store holds all lists of a node. See the package comment for concurrency.
type Store struct {
	o     Options
	vault vault
	tmp   string
	// syncDir makes the names in a directory outlive a power cut.
	syncDir func(dir string) error
	view    atomic.Pointer[View]
	seq     atomic.Uint64 // highest sequence seen in any list

	mu      sync.Mutex
	closed  bool
	lists   map[string]*list
	order   []*list // by index
	notices []Notice
}

// list is one list. build is held by whoever makes or drops a generation and is
// only ever tried, never waited for; cur and prev change under both locks.
type list struct {
	name  string
	dir   string
	index int

	build   sync.Mutex
	working atomic.Pointer[work] // what has build; nil: nothing, or it has just begun
	// changing is the change that began last of those that are under way; nil: none,
	// or one that began later has ended.
	changing atomic.Pointer[work]

	mu        sync.Mutex
	decl      Declaration // zero before the first declaration
	declared  bool
	cur, prev *keyFile // nil: none
	next      uint64   // number of the next generation, above order
	order     uint64   // of the publication that made cur current: see Publication
	kept      uint64   // every change above it is held, or was lost
	filter    *filter  // of cur, as decl asks; nil while undeclared
	changes   *changes
	log       *journal // nil until the first change
	census    census
	changedAt atomic.Uint64 // Unix seconds of the last change; after a start, of the file it is in
	shape     shape         // of the members
	lost      loss          // not trusted while there is any
	pointed   bool          // the pointer is on disk
	recorded  bool          // it says that there is a journal
	last      Report        // of the last upload in this process
	doubts    atomic.Uint64

	entry atomic.Pointer[entry]
}

// Notice is something a person should know that no caller asked for.
type Notice struct {
	List   string
	Detail string
}

const maxNotices = 256

// Open loads what is in o.Dir and verifies all of it. What is damaged is renamed
// aside, to *.damaged. Where anything that was acknowledged may be lost with it,
// the list is not trusted from then on, also after the next Open, until it is
// replaced, deleted or rolled back: see View.Trusted and Notices. What is left of
// it is loaded. Files of another identifier secret are refused with
// ErrFingerprint. No list is declared yet.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open lists: %w", err)
	}
	s := &Store{o: o, vault: vault{o.Fingerprint, o.Seals}, tmp: filepath.Join(o.Dir, "tmp"), syncDir: syncDir, lists: make(map[string]*list)}
	if err := os.RemoveAll(s.tmp); err != nil {
		return nil, fmt.Errorf("open lists: %w", err)
	}
	for _, dir := range []string{s.tmp, s.root()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open lists: %w", err)
		}
	}
	dirs, err := os.ReadDir(s.root())
	if err != nil {
		return nil, fmt.Errorf("open lists: %w", err)
	}
	for _, d := range dirs {
		name, ok := nameOfDir(d.Name())
		if !ok || !d.IsDir() {
			s.notice("", "%q in %q is no list's directory and is left alone; if it was one, its members are lost: upload it again", d.Name(), filepath.Base(s.root()))
			continue
		}
		l := s.add(name)
		if err := s.load(l); err != nil {
			s.Close()
			return nil, fmt.Errorf("open list %q: %w", name, err)
		}
	}
	s.publish()
	return s, nil
}

func (s *Store) root() string { return filepath.Join(s.o.Dir, "lists") }

// Close closes the journals. Views that are still held stay good. A change or an
// upload that has not ended by then is refused with ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	order := s.order
	s.mu.Unlock()
	var faults []error
	for _, l := range order {
		l.mu.Lock()
		if l.log != nil {
			faults = append(faults, l.log.sync(), l.log.file.Close())
			l.log = nil
		}
		l.mu.Unlock()
	}
	return errors.Join(faults...)
}

// View is the current set of lists.
func (s *Store) View() *View { return s.view.Load() }

// Sequence is the highest sequence of a change that the store has seen.
func (s *Store) Sequence() uint64 { return s.seq.Load() }

// Notices are what Open and later work found, oldest first, at most 256.
func (s *Store) Notices() []Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Notice(nil), s.notices...)
}

func (s *Store) notice(list, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notices) == maxNotices {
		s.notices = s.notices[1:]
	}
	s.notices = append(s.notices, Notice{list, fmt.Sprintf(format, args...)})
}

// add finds the list of this name or makes it, with an index of its own.
func (s *Store) add(name string) *list {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lists[name]
	if l == nil {
		l = &list{
			name: name, dir: filepath.Join(s.root(), dirOfName(name)),
			index: len(s.order), next: 1, changes: new(changes),
		}
		l.entry.Store(&entry{changes: new(changes), doubts: &l.doubts, changedAt: &l.changedAt})
		s.lists[name] = l
		s.order = append(s.order, l)
	}
	return l
}

// declaredList is the list with this name, if the policy declares it.
func (s *Store) declaredList(name string) (*list, error) {
	s.mu.Lock()
	l, closed := s.lists[name], s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if l != nil {
		l.mu.Lock()
		declared := l.declared
		l.mu.Unlock()
		if declared {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: the policy does not declare %q; declare it under lists:, as\n  %s: {id: [email_sha256], source: first_party, basis: contract}",
		ErrUnknownList, name, name)
}

// Declare takes the lists of the policy. It may be called again at any time: a
// list that is no longer declared keeps its members on disk and gives its memory
// back; a list whose filter or rate changed gets another filter, from its key
// file. All faults are reported at once, and then nothing is changed. When a
// filter cannot be built, that list stays as it was.
func (s *Store) Declare(declarations []Declaration) error {
	var faults []error
	wanted := make(map[string]bool)
	for _, d := range declarations {
		d, err := d.withDefaults()
		if err == nil && wanted[d.Name] {
			err = fmt.Errorf("list %q is declared twice", d.Name)
		}
		if err == nil && d.Items && s.o.Item == nil {
			err = fmt.Errorf("list %q is of items, and the store was opened without Options.Item", d.Name)
		}
		faults = append(faults, err)
		wanted[d.Name] = true
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("declare lists: %w", err)
	}
	for _, d := range declarations {
		d, _ = d.withDefaults()
		if err := s.declare(s.add(d.Name), d); err != nil {
			faults = append(faults, err)
		}
	}
	s.mu.Lock()
	order := s.order
	s.mu.Unlock()
	for _, l := range order {
		if !wanted[l.name] {
			l.mu.Lock()
			l.declared, l.filter = false, nil
			l.setEntryLocked()
			l.mu.Unlock()
		}
	}
	s.publish()
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("declare lists: %w", err)
	}
	return nil
}

func (s *Store) declare(l *list, d Declaration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filter == nil || l.decl.Filter != d.Filter || l.decl.Rate != d.Rate {
		f, err := filterOf(l.cur, d)
		if err != nil {
			return fmt.Errorf("list %q: %w", l.name, err)
		}
		l.filter = f
	}
	if err := s.adoptLocked(l, shapeOf(d.Items)); err != nil {
		return outward(fmt.Errorf("list %q: %w", l.name, err))
	}
	told := l.misdeclared()
	l.decl, l.declared = d, true
	if !told && l.misdeclared() {
		s.notice(l.name, "its members are %v and it is declared as one of %v: it is not trusted, and everybody is skipped by it; declare it as it was, or upload it again",
			l.shape, shapeOf(d.Items))
	}
	l.setEntryLocked()
	return nil
}

// filterOf builds the filter of a generation; k may be nil.
func filterOf(k *keyFile, d Declaration) (*filter, error) {
	if k == nil {
		return &filter{}, nil
	}
	return buildFilter(d.Filter, d.Rate, k.keys, k.stream)
}

// setEntryLocked makes what readers will see of l with the next publish.
func (l *list) setEntryLocked() {
	e := &entry{changes: l.changes, doubts: &l.doubts, changedAt: &l.changedAt, declared: l.declared}
	if !l.declared || l.filter == nil {
		e.changes = new(changes)
		l.entry.Store(e)
		return
	}
	e.filter = *l.filter
	e.damaged = l.lost.any() || l.misdeclared()
	e.ready = !e.damaged && !l.empty()
	e.leaves = never
	if l.cur != nil {
		e.start = l.cur.start
		e.uploaded = l.cur.uploaded
		e.leaves, e.leaving = leavesAt(l.cur.until), l.cur.leaving
		if l.decl.Exact {
			e.exact = l.cur
		}
	}
	l.entry.Store(e)
}

func (l *list) hasBase() bool { return l.cur != nil && !l.cur.deleted }

// floor is the sequence up to which changes are in every kept generation.
func (l *list) floor() uint64 {
	return floorOf(l.cur, l.prev)
}

func floorOf(cur, prev *keyFile) uint64 {
	switch {
	case cur == nil:
		return 0
	case prev == nil:
		return cur.start
	}
	return min(cur.start, prev.start)
}

// publish swaps in the set of lists as they stand.
func (s *Store) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &View{lists: make([]entry, len(s.order)), names: make(map[string]int, len(s.order))}
	for i, l := range s.order {
		v.lists[i] = *l.entry.Load()
		if v.lists[i].declared {
			v.names[l.name] = i
		}
	}
	s.view.Store(v)
}

// see records that a sequence is in use.
func (s *Store) see(seq uint64) {
	for {
		old := s.seq.Load()
		if seq <= old || s.seq.CompareAndSwap(old, seq) {
			return
		}
	}
}
