package suppress

import "fmt"

// RemoveKeys takes a person's keys off a list of users, declared or not, as a
// removal that was uploaded does; the next replacement decides anew. A list that
// has none of them is left alone. When it returns the removal outlives a power
// cut. The list is not one of items: its members cannot be found by person. ErrFull
// asks for Compact.
func (s *Store) RemoveKeys(name string, keys []Key) error {
	if s.isClosed() {
		return ErrClosed
	}
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil || len(keys) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := s.applyLocked(l, newChange(s.seq.Add(1), Remove, 0), shapePlain, keys, true); err != nil {
		return outward(fmt.Errorf("remove keys from list %q: %w", name, err))
	}
	return nil
}
