package suppress

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// loadJournal reads the changes and opens the file for more. It changes nothing
// but an unfinished change at the end, which goes.
func (s *Store) loadJournal(l *list, in *loading) error {
	path := filepath.Join(l.dir, journalName)
	b, unfinished, err := readFile(s.o.Disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		if in.p.Journal {
			l.lost.Changes = true
			s.notice(l.name, "%q is gone; every change since the last upload is lost, and the list is not trusted: upload it again", journalName)
		}
		return nil
	}
	if err != nil {
		return err
	}
	bytes := len(b)
	b = b[:bytes-unfinished]
	of, form, err := parseJournalHead(b, l.name)
	var block cipher.Block
	if err == nil {
		block, err = s.vault.open(form, sealsJournal)
	}
	if errors.Is(err, ErrDamaged) {
		l.lost.Changes = true
		in.aside = append(in.aside, journalName)
		s.notice(l.name, "%q: %v; it is kept as %q, every change since the last upload is lost, and the list is not trusted: upload it again",
			journalName, err, journalName+damagedName)
		return nil
	}
	if err != nil {
		return fmt.Errorf("open journal %q: %w", path, err)
	}
	seal := gcm(block)
	p := parseJournal(b, seal, s.replay(l))
	s.judgeJournal(l, in, of, p, bytes)
	f, err := s.o.Disk.OpenFile(path, os.O_RDWR)
	if err != nil {
		return err
	}
	l.log = &journal{file: f, shape: of, size: int64(p.good), syncDir: s.syncDir, fingerprint: form.fingerprint, seal: seal}
	if in.anew {
		return nil
	}
	return f.Truncate(l.log.size)
}

// replay puts changes that are not in every kept generation into the map.
func (s *Store) replay(l *list) func(*frame) {
	floor := l.floor()
	var probe Probe
	return func(f *frame) {
		s.see(f.seq)
		if f.seq <= floor {
			return
		}
		for i := range f.len() {
			probe.Reset(f.key(i))
			l.changes.put(&probe, f.change)
		}
	}
}

// judgeJournal says what is lost when a journal of this many bytes reads as p.
func (s *Store) judgeJournal(l *list, in *loading, of shape, p parsedJournal, bytes int) {
	if damaged := p.lost; damaged > 0 || !p.torn {
		if !p.torn {
			damaged += bytes - p.good
		}
		l.lost.Changes, in.anew = true, true
		s.notice(l.name, "%q: %d bytes of changes are damaged; it is kept as %q, the changes in them are lost, and the list is not trusted: upload it again",
			journalName, damaged, journalName+damagedName)
	} else if p.good < bytes {
		s.notice(l.name, "%q: the last change was being written when the process ended, and its %d bytes are cut off; send it again if it was not acknowledged",
			journalName, bytes-p.good)
	}
	if !in.known && p.frames > 0 && !l.lost.Base {
		l.lost.Base = true
		s.notice(l.name, "%q is gone, which says what generation is in use; any upload is lost, and the list is not trusted: upload it again", pointerName)
	}
	if l.changes.len() == 0 {
		return
	}
	if l.cur == nil || l.shape == shapeUnknown && !l.hasBase() {
		l.shape = of
	}
	if l.shape != of {
		l.lost.Changes = true
		s.notice(l.name, "%q holds %v, the generation %v; the list is not trusted: upload it again", journalName, of, l.shape)
	}
}
