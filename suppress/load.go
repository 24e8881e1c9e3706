package suppress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	pointerName = "current"
	journalName = "changes.log"
	damagedName = ".damaged"
)

// loading is what load finds in a list's directory before it touches anything.
type loading struct {
	p      pointer
	known  bool            // p was read
	stored []generationRef // key files, whether in use or not
	named  int             // generations that should be there
	kept   []*keyFile
	aside  []string // damaged files
	anew   bool     // the journal is to be written without its damaged parts
}

// load reads a list's directory. Errors are of the disk or of another secret.
// Damage is stepped round and noted, and where something acknowledged may be
// lost the list is marked so, on disk before anything else is changed there.
func (s *Store) load(l *list) error {
	var in loading
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		whole := strings.TrimSuffix(f.Name(), damagedName)
		if g, ok := parseFileName(whole); ok {
			l.next = max(l.next, g.Generation+1)
			if whole == f.Name() {
				in.stored = append(in.stored, g)
			}
		} else if strings.HasPrefix(f.Name(), ".tmp-") {
			os.Remove(filepath.Join(l.dir, f.Name()))
		}
	}
	if err := s.loadPointer(l, &in); err != nil {
		return err
	}
	if err := s.loadGenerations(l, &in); err != nil {
		return err
	}
	if err := s.loadJournal(l, &in); err != nil {
		return err
	}
	if !in.known && l.lost.Base {
		l.kept = keptUnknown
		if l.cur != nil {
			l.order = l.cur.generation
		}
	}
	l.lastWritten()
	if err := s.tidy(l, &in); err != nil {
		return err
	}
	s.recountLocked(l)
	return nil
}

// loadPointer reads which generations are in use. Without it the key files speak
// for themselves, and nobody knows whether the newest is the one in use.
func (s *Store) loadPointer(l *list, in *loading) error {
	path := filepath.Join(l.dir, pointerName)
	b, _, err := readFile(s.o.Disk, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if len(in.stored) > 0 {
			l.lost.Base = true
			s.notice(l.name, "%q is gone, which says what generation is in use; the newest one is loaded, and the list is not trusted: upload it again", pointerName)
		}
		return nil
	case err != nil:
		return err
	}
	if in.p, err = parsePointer(b, l.name); err != nil {
		l.lost.Base = true
		s.notice(l.name, "%q, which says what generation is in use: %v; it is kept as %q, the newest generation is loaded, and the list is not trusted: upload it again",
			pointerName, err, pointerName+damagedName)
		in.p = pointer{}
		s.keep(l, pointerName)
		return nil
	}
	in.known, l.pointed, l.recorded = true, true, in.p.Journal
	l.order, l.kept = in.p.publication()
	l.next = max(l.next, in.p.Next)
	if l.lost = in.p.Lost; l.lost.any() {
		s.notice(l.name, "members were lost before this start, and the list is not trusted until it is uploaded again")
	}
	return nil
}

// loadGenerations opens the current and the previous generation, or the newest two.
func (s *Store) loadGenerations(l *list, in *loading) error {
	candidates := newestFirst(in.stored)
	if in.known {
		candidates = candidates[:0]
		for _, g := range []*generationRef{in.p.Current, in.p.Previous} {
			if g != nil {
				candidates = append(candidates, *g)
			}
		}
	}
	in.named = len(candidates)
	for n, g := range candidates {
		k, err := s.loadGeneration(l, g)
		if errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			what, then := "the current generation", "its members are lost, the list is not trusted, and a generation before is loaded if there is one: upload it again, or roll back"
			if in.known && in.p.Current == nil || n > 0 {
				what, then = "an earlier generation", "the list cannot be rolled back to it; the current one does not need it, and a new upload mends it"
			} else {
				l.lost.Base = true
			}
			if errors.Is(err, ErrDamaged) {
				in.aside = append(in.aside, g.file())
			}
			s.notice(l.name, "%s, %d: %v; %s", what, g.Generation, outward(err), then)
			continue
		}
		if err != nil {
			return err
		}
		if len(in.kept) == 2 || len(in.kept) == 1 && !sameShape(in.kept[0], k) {
			continue
		}
		in.kept = append(in.kept, k)
		s.see(k.start)
	}
	if len(in.kept) > 0 {
		l.cur = in.kept[0]
		l.shape = l.cur.shape
	}
	if len(in.kept) > 1 {
		l.prev = in.kept[1]
	}
	return nil
}

func (s *Store) loadGeneration(l *list, g generationRef) (*keyFile, error) {
	k, err := openKeyFile(s.o.Disk, filepath.Join(l.dir, g.file()), l.name, s.vault)
	if err != nil {
		return nil, err
	}
	if k.generation != g.Generation || k.start != g.Start {
		k.file.Close()
		return nil, fmt.Errorf("open key file %q: %w: its head says generation %d, start %d", g.file(), ErrDamaged, k.generation, k.start)
	}
	return k, nil
}

func newestFirst(refs []generationRef) []generationRef {
	out := slices.Clone(refs)
	slices.SortFunc(out, func(a, b generationRef) int {
		if a.Generation != b.Generation {
			return compareNumbers(b.Generation, a.Generation)
		}
		return compareNumbers(b.Start, a.Start)
	})
	// Of one generation the file with more changes in it stands for all.
	return slices.CompactFunc(out, func(a, b generationRef) bool { return a.Generation == b.Generation })
}

func compareNumbers(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// lastWritten dates the changes of a list that was never replaced by the file
// that was written last.
func (l *list) lastWritten() {
	for _, k := range []*keyFile{l.cur, l.prev} {
		if k != nil {
			l.dateBy(k.file)
		}
	}
	if l.log != nil {
		l.dateBy(l.log.file)
	}
}

func (l *list) dateBy(f File) {
	if st, err := f.Stat(); err == nil {
		l.changedAt.Store(max(l.changedAt.Load(), uint64(max(0, st.ModTime().Unix()))))
	}
}

// tidy brings the disk into line with what was loaded: first the pointer, with
// what was lost, so that no restart forgets it; then the damaged files go aside.
// Key files that nothing refers to go, but not while something is lost.
func (s *Store) tidy(l *list, in *loading) error {
	stands := in.known && len(in.kept) == in.named && in.p.Lost == l.lost && in.p.Journal == (l.log != nil)
	if !stands && (in.known || l.lost.any() || l.cur != nil || l.log != nil) {
		if err := s.writePointerLocked(l, l.asIs()); err != nil {
			return err
		}
	}
	for _, name := range in.aside {
		path := filepath.Join(l.dir, name)
		if err := os.Rename(path, path+damagedName); err != nil {
			s.notice(l.name, "%q is damaged and could not be renamed aside; remove it: %v", name, outward(err))
		}
	}
	if in.anew {
		s.keep(l, journalName)
		if err := s.openJournalLocked(l, l.shape); err != nil {
			return err
		}
	}
	if l.lost.any() {
		return nil
	}
	for _, g := range in.stored {
		path := filepath.Join(l.dir, g.file())
		if (l.cur == nil || l.cur.path != path) && (l.prev == nil || l.prev.path != path) {
			os.Remove(path)
		}
	}
	return nil
}

// keep gives a damaged file a second name, until another takes its place.
func (s *Store) keep(l *list, name string) {
	path := filepath.Join(l.dir, name)
	os.Remove(path + damagedName)
	if err := os.Link(path, path+damagedName); err != nil {
		s.notice(l.name, "%q is damaged and could not be kept; upload the list again: %v", name, outward(err))
	}
}

func (s *Store) writePointerLocked(l *list, n nextBase) error {
	p := pointer{
		List: l.name, Current: refOf(n.cur), Previous: refOf(n.prev), Next: l.next, Order: n.order, Kept: n.kept,
		Journal: l.log != nil, Lost: n.lost,
	}
	f, err := s.replaceFile(filepath.Join(l.dir, pointerName), p.encode())
	if f != nil {
		f.Close() // it is synced
	}
	if err != nil {
		return fmt.Errorf("write pointer of list %q: %w", l.name, err)
	}
	l.pointed, l.recorded = true, p.Journal
	return nil
}

func refOf(k *keyFile) *generationRef {
	if k == nil {
		return nil
	}
	return &generationRef{k.generation, k.start}
}
