package suppress

import (
	"fmt"
)

// Apply joins in a change that comes as an event or from another node: each key
// -> (seq, op), the higher sequence wins, so changes may come in any order and
// any number of times. A change that every kept generation already holds is
// ignored. The list need not be declared; keys that come before any declaration
// are taken to be what it is declared with then. At most 1<<20 keys.
//
// When Apply returns, the change outlives the end of this process, and after
// Sync a power cut. ErrFull asks for Compact; nothing was applied then.
func (s *Store) Apply(name string, seq uint64, op Op, keys []Key) error {
	return s.apply(name, newChange(seq, op, 0), shapeUnknown, keys)
}

// apply takes keys of no known shape for what is declared, or is there.
func (s *Store) apply(name string, c change, of shape, keys []Key) error {
	seq, op := c.seq, c.op
	if seq == 0 || (op != Add && op != Remove) || len(keys) > maxFrameKeys {
		return fmt.Errorf("apply change to list %q: %w: sequence %d, op %d, %d keys; want a sequence from 1, Add or Remove, at most %d keys",
			name, ErrImport, seq, op, len(keys), maxFrameKeys)
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("apply change: %w", err)
	}
	if s.isClosed() {
		return ErrClosed
	}
	l := s.add(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if of == shapeUnknown {
		of = l.shape
		if l.declared {
			of = shapeOf(l.decl.Items)
		}
	}
	if err := s.applyLocked(l, c, of, keys, false); err != nil {
		return outward(fmt.Errorf("apply change to list %q: %w", name, err))
	}
	s.see(seq)
	return nil
}

// Member settles in changes and key file, whatever the filter says, whether the
// key is a member of a list, declared or not: for the look-up of a person. An
// unknown list has no members. Who has left by Options.Now is none. At most one pread of 4 KiB.
func (s *Store) Member(name string, key Key) (bool, error) {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := uint32(max(0, s.o.Now().Unix()))
	said, _ := l.changes.standing(&key, l.startLocked(), keptUnknown)
	if said.removed || said.leaves > now {
		return said.leaves > now, nil
	}
	leaves, err := l.cur.settle(&key)
	return leaves > now, outward(err)
}

// journalSlack bytes of journal are never worth a rewrite (chosen).
const journalSlack = 1 << 20

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// applyLocked journals what is new in a change and puts it into the map.
func (s *Store) applyLocked(l *list, c change, of shape, keys []Key, sync bool) error {
	if s.isClosed() {
		return ErrClosed
	}
	if c.seq <= l.floor() {
		return nil
	}
	if err := l.takes(of); err != nil {
		return err
	}
	news := make([]Key, 0, len(keys))
	more := 0
	for _, key := range keys {
		if !l.changes.tells(&key, c) {
			continue
		}
		news = append(news, key)
		if _, had := l.changes.m[key]; !had || c.leaves != never && c.op == Add {
			more++
		}
	}
	if len(news) == 0 {
		return nil
	}
	if l.changes.len()+more > s.o.MaxChanges {
		return fmt.Errorf("%w: it would hold more than %d in memory; compact it", ErrFull, s.o.MaxChanges)
	}
	if err := s.journalLocked(l, of); err != nil {
		return err
	}
	if err := l.log.append(c, news, sync); err != nil {
		return err
	}
	l.shape = of
	wasReady := l.entry.Load().ready
	var p Probe
	for _, key := range news {
		before := s.standsLocked(l, &key)
		p.Reset(key)
		l.changes.put(&p, c)
		l.census.add(before, -1)
		l.census.add(s.standsLocked(l, &key), 1)
	}
	l.changedAt.Store(uint64(s.o.Now().Unix()))
	if l.log.size > journalSlack+4*int64(l.changes.len())*(frameHead+keySize) {
		s.rewriteJournalLocked(l) // mostly of changes that later ones have beaten
	}
	if !wasReady && l.declared {
		l.setEntryLocked()
		s.publish()
	}
	return nil
}

// journalLocked makes the journal on the first change, and anew for members of
// another shape than the ones before, of which none are left then. The pointer
// says that there is a journal before the first change stands in it.
func (s *Store) journalLocked(l *list, of shape) error {
	if s.isClosed() {
		return ErrClosed
	}
	if l.log == nil || l.log.shape != of || l.log.fingerprint != s.vault.active() {
		if err := s.makeDir(l.dir); err != nil {
			return err
		}
		if err := s.openJournalLocked(l, of); err != nil {
			return err
		}
	}
	if l.recorded {
		return nil
	}
	return s.writePointerLocked(l, l.asIs())
}

// Sync makes every change that was applied outlive a power cut.
func (s *Store) Sync() error {
	s.mu.Lock()
	order := s.order
	s.mu.Unlock()
	for _, l := range order {
		l.mu.Lock()
		var err error
		if l.log != nil {
			err = l.log.sync()
		}
		l.mu.Unlock()
		if err != nil {
			return outward(fmt.Errorf("sync changes of list %q: %w", l.name, err))
		}
	}
	return nil
}
