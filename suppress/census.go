package suppress

// census counts the members of a list, and when they leave by themselves.
type census struct {
	members int64
	// leaving has how many leave at which second, of those that are counted.
	leaving map[uint32]int64
	first   uint32 // at the earliest; 0: none
	counted uint32 // who has left by then is in neither
}

// add counts n members that leave at this second; 0 says that they are none.
func (c *census) add(leaves uint32, n int64) {
	if n == 0 || leaves <= c.counted {
		return
	}
	c.members += n
	if leaves == never {
		return
	}
	if c.leaving == nil {
		c.leaving = make(map[uint32]int64)
	}
	if c.leaving[leaves] += n; c.leaving[leaves] == 0 {
		delete(c.leaving, leaves)
	}
	if c.first == 0 || leaves < c.first {
		c.first = leaves
	}
}

// at is the number of members at a second, which does not go back.
func (c *census) at(now uint32) int64 {
	if c.first == 0 || now < c.first {
		return c.members
	}
	c.counted, c.first = max(c.counted, now), 0
	for leaves, n := range c.leaving {
		if leaves <= now {
			c.members -= n
			delete(c.leaving, leaves)
		} else if c.first == 0 || leaves < c.first {
			c.first = leaves
		}
	}
	return c.members
}

// leave is how many members will leave by themselves.
func (c *census) leave() (n int64) {
	for _, k := range c.leaving {
		n += k
	}
	return n
}

// countedLocked is the number of members now.
func (s *Store) countedLocked(l *list) int64 {
	return l.census.at(uint32(max(0, s.o.Now().Unix())))
}

// recountLocked counts the members and sets the readers' entry.
func (s *Store) recountLocked(l *list) {
	l.census = census{}
	if k := l.cur; k != nil {
		l.census.add(leavesAt(k.until), int64(k.keys)-int64(k.leaving.len()))
		if k.leaving != nil {
			for _, leaves := range k.leaving.at {
				l.census.add(leaves, 1)
			}
		}
	}
	for key := range l.changes.m {
		s.recountKeyLocked(l, &key)
	}
	l.setEntryLocked()
}

// recountKeyLocked counts a key of the generation by the changes over it.
func (s *Store) recountKeyLocked(l *list, key *Key) {
	said, any := l.changes.standing(key, l.startLocked(), keptUnknown)
	if !any {
		return
	}
	base := s.baseLocked(l, key)
	l.census.add(base, -1)
	l.census.add(said.over(base), 1)
}

// standsLocked is the second at which the key leaves; 0: it is no member.
func (s *Store) standsLocked(l *list, key *Key) uint32 {
	said, _ := l.changes.standing(key, l.startLocked(), keptUnknown)
	if said.removed || said.leaves == never {
		return said.leaves
	}
	return said.over(s.baseLocked(l, key))
}

func (l *list) startLocked() uint64 {
	if l.cur == nil {
		return 0
	}
	return l.cur.start
}

// baseLocked is the second at which the key leaves the current generation; 0: it
// is not in it. It is for the count of members: a key that cannot be read counts
// as absent.
func (s *Store) baseLocked(l *list, key *Key) uint32 {
	leaves, err := l.cur.settle(key)
	if err != nil {
		s.notice(l.name, "the number of members may be wrong, and look-ups are answered with yes where they fail: %v; mend the disk and upload the list again", outward(err))
	}
	return leaves
}

// settle is the second at which the key leaves the generation; 0: it is not in
// it. Of no generation, nil, it is in none.
func (k *keyFile) settle(key *Key) (leaves uint32, err error) {
	if k == nil {
		return 0, nil
	}
	in, err := k.contains(key)
	if !in || err != nil {
		return 0, err
	}
	return k.leaves(key), nil
}
