package suppress

import (
	"math"
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

// changes are the changes of a list since its oldest kept generation: an exact
// map behind a sieve. Readers pass the sieve without a lock and take the lock
// only for a key that has been changed, or seems to have been.
//
// The sieve is a bloom filter of atomic words and not bloom/v3, whose writer may
// not run beside readers.
type changes struct {
	sieve atomic.Pointer[sieve] // nil: no changes

	mu sync.RWMutex
	m  map[Key]change // the latest
	// earlier has, the latest first, what earlier changes of a key still say: only
	// where an addition with an end came over them.
	earlier  map[Key][]change
	earliers int // in all
}

// get is what changes with a sequence above start come to for the key.
func (c *changes) get(p *Probe, start uint64) standing {
	s := c.sieve.Load()
	if s == nil || !s.maybe(p) {
		return standing{}
	}
	c.mu.RLock()
	st, _ := c.standing(&p.key, start, math.MaxUint64)
	c.mu.RUnlock()
	return st
}

// standing is what changes above start and up to through come to for the key, and
// false where there are none. The caller has mu, or is the writer.
func (c *changes) standing(key *Key, start, through uint64) (standing, bool) {
	d, ok := c.m[*key]
	if !ok {
		return standing{}, false
	}
	var earlier []change
	if d.leaves != never && d.op == Add {
		earlier = c.earlier[*key]
	}
	return standingOf(d, earlier, start, through)
}

// tells says whether a change to the key would tell anything new.
func (c *changes) tells(key *Key, d change) bool {
	last, had := c.m[*key]
	if !had || len(c.earlier) == 0 {
		return !had || !last.covers(d)
	}
	_, _, news := joined(last, c.earlier[*key], d)
	return news
}

// all gives every change that is held.
func (c *changes) all(yield func(Key, change) bool) {
	for key, d := range c.m {
		if !yield(key, d) {
			return
		}
	}
	for key, earlier := range c.earlier {
		for _, d := range earlier {
			if !yield(key, d) {
				return
			}
		}
	}
}

// put joins one change in and says whether it told anything new. The map entry
// stands before the sieve lets a reader pass to it. list.mu is held by the
// caller, so there is one writer.
func (c *changes) put(p *Probe, d change) bool {
	c.mu.Lock()
	if c.m == nil {
		c.m = make(map[Key]change)
	}
	last, had := c.m[p.key]
	news := c.tells(&p.key, d)
	if !had {
		c.m[p.key] = d
	} else if news {
		last, earlier, _ := joined(last, c.earlier[p.key], d)
		c.m[p.key] = last
		c.setEarlier(p.key, earlier)
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

func (c *changes) setEarlier(key Key, earlier []change) {
	c.earliers += len(earlier) - len(c.earlier[key])
	if len(earlier) == 0 {
		delete(c.earlier, key)
		return
	}
	if c.earlier == nil {
		c.earlier = make(map[Key][]change)
	}
	c.earlier[key] = earlier
}

// len is the number of changes that are held.
func (c *changes) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.m) + c.earliers
}

// after copies the changes with a sequence above floor.
func (c *changes) after(floor uint64) *changes {
	d := new(changes)
	var p Probe
	for key, e := range c.all {
		if e.seq > floor {
			p.Reset(key)
			d.put(&p, e)
		}
	}
	return d
}

// sorted gives what the changes above start and up to through come to by key, for
// a merge over a base.
func (c *changes) sorted(start, through uint64) *changeSlice {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := make(changeSlice, 0, len(c.m))
	for key := range c.m {
		if said, ok := c.standing(&key, start, through); ok {
			s = append(s, changedKey{pairOf(&key), said})
		}
	}
	slices.SortFunc(s, func(a, b changedKey) int { return comparePairs(a.pair, b.pair) })
	return &s
}

// changedKey is a key and what was said about it.
type changedKey struct {
	pair
	standing
}

type changeSlice []changedKey

func (c *changeSlice) nextChange() (changedKey, bool, error) {
	if len(*c) == 0 {
		return changedKey{}, false, nil
	}
	e := (*c)[0]
	*c = (*c)[1:]
	return e, true, nil
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
