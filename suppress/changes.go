package suppress

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Op is what a change does with its keys.
type Op byte

// The two changes.
const (
	Add    Op = 1
	Remove Op = 2
)

// change is the latest that was said about a key. The higher sequence wins; at
// the same sequence Add does, as the more restrictive.
type change struct {
	seq uint64
	op  Op
}

func (c change) beats(d change) bool {
	return c.seq > d.seq || c.seq == d.seq && c.op < d.op
}

// changes are the changes of a list since its oldest kept generation: an exact
// map behind a sieve. Readers pass the sieve without a lock and take the lock
// only for a key that has been changed, or seems to have been.
//
// The sieve is a bloom filter of atomic words and not bloom/v3, whose writer may
// not run beside readers.
type changes struct {
	sieve atomic.Pointer[sieve] // nil: no changes

	mu sync.RWMutex
	m  map[Key]change
}

// get is the change to the key with a sequence above start.
func (c *changes) get(p *Probe, start uint64) (Op, bool) {
	s := c.sieve.Load()
	if s == nil || !s.maybe(p) {
		return 0, false
	}
	c.mu.RLock()
	d, ok := c.m[p.key]
	c.mu.RUnlock()
	if !ok || d.seq <= start {
		return 0, false
	}
	return d.op, true
}

// put joins one change in and says whether it told anything new. The map entry
// stands before the sieve lets a reader pass to it. list.mu is held by the
// caller, so there is one writer.
func (c *changes) put(p *Probe, d change) bool {
	c.mu.Lock()
	if c.m == nil {
		c.m = make(map[Key]change)
	}
	old, had := c.m[p.key]
	news := !had || d.beats(old)
	if news {
		c.m[p.key] = d
	}
	n := len(c.m)
	c.mu.Unlock()
	if had {
		return news
	}
	s := c.sieve.Load()
	if s == nil || n > s.room {
		s = newSieve(2 * n)
		var q Probe
		for key := range c.m {
			q.Reset(key)
			s.set(&q)
		}
		c.sieve.Store(s)
		return true
	}
	s.set(p)
	return true
}

func (c *changes) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.m)
}

// after copies the changes with a sequence above floor.
func (c *changes) after(floor uint64) *changes {
	d := new(changes)
	var p Probe
	for key, e := range c.m {
		if e.seq > floor {
			p.Reset(key)
			d.put(&p, e)
		}
	}
	return d
}

// sorted gives the changes above start and up to through by key, for a merge
// over a base.
func (c *changes) sorted(start, through uint64) *changeSlice {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := make(changeSlice, 0, len(c.m))
	for key, e := range c.m {
		if e.seq > start && e.seq <= through {
			s = append(s, changedKey{pairOf(&key), e})
		}
	}
	slices.SortFunc(s, func(a, b changedKey) int { return comparePairs(a.pair, b.pair) })
	return &s
}

type changedKey struct {
	pair
	change
}

type changeSlice []changedKey

func (c *changeSlice) nextChange() (pair, bool, bool, error) {
	if len(*c) == 0 {
		return pair{}, false, false, nil
	}
	e := (*c)[0]
	*c = (*c)[1:]
	return e.pair, e.op == Add, true, nil
}

// sieve is a bloom filter of four probes and at least 16 bits a key: it lets
// about one unchanged key in 400 through to the lock.
type sieve struct {
	room int // keys
	mask uint64
	word []atomic.Uint64
}

const sieveProbes = 4

func newSieve(keys int) *sieve {
	bits := 1024
	for bits < 16*keys {
		bits *= 2
	}
	return &sieve{room: bits / 16, mask: uint64(bits - 1), word: make([]atomic.Uint64, bits/64)}
}

func (s *sieve) maybe(p *Probe) bool {
	at := p.x
	for range sieveProbes {
		at = (at + p.y) & s.mask
		if s.word[at>>6].Load()&(1<<(at&63)) == 0 {
			return false
		}
	}
	return true
}

func (s *sieve) set(p *Probe) {
	at := p.x
	for range sieveProbes {
		at = (at + p.y) & s.mask
		s.word[at>>6].Or(1 << (at & 63))
	}
}
