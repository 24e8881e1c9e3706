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

// load reads a list's directory. Errors are of the disk or of another secret;
// damage is stepped round and noted.
func (s *Store) load(l *list) error {
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	var stored []generationRef
	for _, f := range files {
		if g, ok := parseFileName(f.Name()); ok {
			stored = append(stored, g)
		} else if strings.HasPrefix(f.Name(), ".tmp-") {
			os.Remove(filepath.Join(l.dir, f.Name()))
		}
	}
	p, known, err := s.loadPointer(l)
	if err != nil {
		return err
	}
	candidates := newestFirst(stored)
	if known {
		candidates = candidates[:0]
		for _, g := range []*generationRef{p.Current, p.Previous} {
			if g != nil {
				candidates = append(candidates, *g)
			}
		}
	}
	var kept []*keyFile
	for _, g := range candidates {
		k, err := s.loadGeneration(l, g)
		if err != nil {
			return err
		}
		if k != nil && len(kept) < 2 {
			kept = append(kept, k)
		}
	}
	for _, g := range stored {
		l.next = max(l.next, g.Generation+1)
	}
	l.next = max(l.next, p.Next)
	l.damaged = len(kept) == 0 && len(candidates) > 0
	if len(kept) > 0 {
		l.cur = kept[0]
	}
	if len(kept) > 1 {
		l.prev = kept[1]
	}
	for _, k := range kept {
		s.see(k.start)
	}
	if err := s.loadJournal(l); err != nil {
		return err
	}
	l.lastWritten()
	if err := s.tidy(l, known && len(kept) == len(candidates), stored); err != nil {
		return err
	}
	s.recountLocked(l)
	return nil
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

// loadPointer reports false when the list has no pointer that can be read; its
// key files then speak for themselves.
func (s *Store) loadPointer(l *list) (p pointer, known bool, err error) {
	path := filepath.Join(l.dir, pointerName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	p, err = parsePointer(b, l.name)
	if err != nil {
		s.quarantine(l, path, err, "the newest generation that verifies is used")
		return pointer{}, false, nil
	}
	return p, true, nil
}

// loadGeneration gives nil for a file that is damaged or gone.
func (s *Store) loadGeneration(l *list, g generationRef) (*keyFile, error) {
	path := filepath.Join(l.dir, g.file())
	k, err := openKeyFile(path, l.name, s.o.Fingerprint)
	if err == nil && (k.generation != g.Generation || k.start != g.Start) {
		k.file.Close()
		err = fmt.Errorf("open key file %q: %w: its head says generation %d, start %d", path, ErrDamaged, k.generation, k.start)
	}
	switch {
	case err == nil:
		return k, nil
	case errors.Is(err, ErrDamaged):
		s.quarantine(l, path, err, "the generation before is used, if there is one; upload the list again")
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		s.notice(l.name, "key file %q is gone; the generation before is used, if there is one; upload the list again", path)
		return nil, nil
	}
	return nil, err
}

func (s *Store) quarantine(l *list, path string, why error, then string) {
	aside := path + damagedName
	if err := os.Rename(path, aside); err != nil {
		s.notice(l.name, "%v; it could not be renamed aside: %v; %s", why, err, then)
		return
	}
	s.notice(l.name, "%v; it is kept as %q; %s", why, aside, then)
}

// loadJournal reads the changes and opens the file for more.
func (s *Store) loadJournal(l *list) error {
	path := filepath.Join(l.dir, journalName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := parseJournalHead(b, l.name, s.o.Fingerprint); err != nil {
		err = fmt.Errorf("open journal %q: %w", path, err)
		if errors.Is(err, ErrFingerprint) {
			return err
		}
		s.quarantine(l, path, err, "its changes are lost; upload the list again")
		return nil
	}
	floor := l.floor()
	var probe Probe
	p := parseJournal(b, func(f *frame) {
		s.see(f.seq)
		if f.seq <= floor {
			return
		}
		for i := range f.len() {
			probe.Reset(f.key(i))
			l.changes.put(&probe, f.change)
		}
	})
	if p.lost > 0 {
		s.notice(l.name, "journal %q: %d damaged bytes between whole changes were left out; upload the list again", path, p.lost)
	}
	if p.good < len(b) {
		s.notice(l.name, "journal %q: %d bytes of an unfinished change at its end were cut off", path, len(b)-p.good)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	l.log = &journal{file: f, size: int64(p.good)}
	if err := f.Truncate(l.log.size); err != nil {
		return err
	}
	return nil
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

func (l *list) dateBy(f *os.File) {
	if st, err := f.Stat(); err == nil {
		l.changedAt.Store(max(l.changedAt.Load(), uint64(max(0, st.ModTime().Unix()))))
	}
}

// tidy brings the pointer into line with what was loaded and removes generations
// that nothing refers to. Where nothing could be loaded the pointer stays, so
// that the list is known to be damaged after the next start too.
func (s *Store) tidy(l *list, pointerStands bool, stored []generationRef) error {
	if !pointerStands && l.cur != nil {
		if err := l.writePointer(l.cur, l.prev); err != nil {
			return err
		}
	}
	for _, g := range stored {
		path := filepath.Join(l.dir, g.file())
		if (l.cur == nil || l.cur.path != path) && (l.prev == nil || l.prev.path != path) {
			os.Remove(path)
		}
	}
	return nil
}

func (l *list) writePointer(cur, prev *keyFile) error {
	p := pointer{List: l.name, Current: refOf(cur), Previous: refOf(prev), Next: l.next}
	if err := writeFile(filepath.Join(l.dir, pointerName), p.encode()); err != nil {
		return fmt.Errorf("write pointer of list %q: %w", l.name, err)
	}
	return nil
}

func refOf(k *keyFile) *generationRef {
	if k == nil {
		return nil
	}
	return &generationRef{k.generation, k.start}
}
