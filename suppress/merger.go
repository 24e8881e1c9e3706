package suppress

// cursor is one sorted input of a merge and its next key.
type cursor struct {
	head pair
	from keyStream
}

// merger joins sorted inputs into one ascending stream without duplicates: a
// binary heap over the heads.
type merger struct {
	heap []cursor
	last pair
	some bool
}

func newMerger(streams []keyStream) (*merger, error) {
	m := new(merger)
	for _, s := range streams {
		p, ok, err := s.next()
		if err != nil {
			return nil, err
		}
		if ok {
			m.heap = append(m.heap, cursor{p, s})
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

func (m *merger) next() (pair, bool, error) {
	for len(m.heap) > 0 {
		p := m.heap[0].head
		q, ok, err := m.heap[0].from.next()
		if err != nil {
			return pair{}, false, err
		}
		if ok {
			m.heap[0].head = q
		} else {
			m.heap[0] = m.heap[len(m.heap)-1]
			m.heap = m.heap[:len(m.heap)-1]
		}
		m.down(0)
		if m.some && p == m.last {
			continue
		}
		m.last, m.some = p, true
		return p, true, nil
	}
	return pair{}, false, nil
}

func (m *merger) down(i int) {
	h := m.heap
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].head.less(h[c].head) {
			c++
		}
		if !h[c].head.less(h[i].head) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// overlay is a base with sorted changes over it: a key that is added is in, one
// that is removed is not, every other is as in the base. Members that have left by
// the second past are left out.
type overlay struct {
	base    memberStream
	changes changeStream
	past    uint32

	key      member
	keyOK    bool
	change   changedKey
	changeOK bool
	begun    bool
}

// changeStream gives changed keys in ascending order, each once.
type changeStream interface {
	nextChange() (changedKey, bool, error)
}

func (o *overlay) readBase() (err error) {
	o.key, o.keyOK, err = o.base.nextMember()
	return err
}

func (o *overlay) readChange() (err error) {
	o.change, o.changeOK, err = o.changes.nextChange()
	return err
}

func (o *overlay) nextMember() (member, bool, error) {
	if !o.begun {
		o.begun = true
		if err := o.readBase(); err != nil {
			return member{}, false, err
		}
		if err := o.readChange(); err != nil {
			return member{}, false, err
		}
	}
	for o.keyOK || o.changeOK {
		m, err := o.step()
		if err != nil {
			return member{}, false, err
		}
		if m.leaves > o.past {
			return m, true, nil
		}
	}
	return member{}, false, nil
}

// step takes the lowest key; one that leaves at 0 is not a member.
func (o *overlay) step() (member, error) {
	if o.keyOK && (!o.changeOK || o.key.less(o.change.pair)) {
		m := o.key
		return m, o.readBase()
	}
	c := o.change
	m := member{pair: c.pair, leaves: c.over(0)}
	if o.keyOK && o.key.pair == c.pair {
		m.leaves = c.over(o.key.leaves)
		if err := o.readBase(); err != nil {
			return m, err
		}
	}
	return m, o.readChange()
}

// changeRun is a change whose keys come sorted from an upload.
type changeRun struct {
	keys keyStream
	said standing
}

func (c *changeRun) nextChange() (changedKey, bool, error) {
	p, ok, err := c.keys.next()
	return changedKey{p, c.said}, ok, err
}
