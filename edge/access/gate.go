package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"
	"time"
)

// Verdict is what became of a key that was shown to a Gate. The set is closed.
type Verdict uint8

// Verdicts. LetIn is the only one that lets anybody in.
const (
	Missing   Verdict = iota // no key at all
	Malformed                // not 64 characters of the form of a key
	Unknown                  // no key has this id and this secret
	Revoked                  // a key that was revoked
	LetIn
)

var verdictNames = [...]string{"missing", "malformed", "unknown", "revoked", "let_in"}

// String is the verdict as metrics name it.
func (v Verdict) String() string { return verdictNames[v] }

// Caller is a key in force. Its fields are read only.
type Caller struct {
	Key
	start time.Time
	limit *limit // nil: none
}

// Take counts a request of the caller's at now. It returns 0, or how long to wait where
// the key is over its rate; that request is not counted against it. Time is taken from
// now's monotonic clock. Safe for concurrent use, without a lock.
func (c *Caller) Take(now time.Time) (wait time.Duration) {
	if c.limit == nil {
		return 0
	}
	wait = c.limit.take(now.Sub(c.start), c.limit.every, c.limit.burst)
	if wait > 0 {
		c.limit.refused.Add(1)
	}
	return wait
}

// OverRate is how many requests Take has refused since the gate was made.
func (c *Caller) OverRate() uint64 {
	if c.limit == nil {
		return 0
	}
	return c.limit.refused.Load()
}

// Gate holds the keys in force. Safe for concurrent use.
type Gate struct {
	start time.Time
	keys  atomic.Pointer[table]
}

type table struct {
	byID  map[[idBytes]byte]*Caller
	inRow []*Caller // as in the file
}

// NewGate returns a gate with the keys of a file.
func NewGate(f *File) *Gate {
	g := &Gate{start: time.Now()}
	g.keys.Store(&table{})
	g.Replace(f)
	return g
}

// Replace puts the keys of a file in force, all at once. What was checked before goes
// on with the key it had; a key whose limits stay the same keeps what it has used of
// them. Replacing is for one goroutine at a time.
func (g *Gate) Replace(f *File) {
	old := g.keys.Load()
	next := &table{byID: make(map[[idBytes]byte]*Caller, len(f.Keys))}
	for i := range f.Keys {
		k := &f.Keys[i]
		id := [idBytes]byte([]byte(k.ID))
		c := &Caller{Key: *k, start: g.start}
		if was := old.byID[id]; was != nil && was.Rate == k.Rate && was.Burst == k.Burst {
			c.limit = was.limit
		} else {
			c.limit = newLimit(k)
		}
		next.byID[id] = c
		next.inRow = append(next.inRow, c)
	}
	g.keys.Store(next)
}

// Callers are the keys in force, revoked ones among them, as in the file.
func (g *Gate) Callers() []*Caller { return g.keys.Load().inRow }

// Check says whose key it is. The caller is nil unless the verdict is LetIn or
// Revoked: who has only the id learns nothing. The secret is compared in constant
// time, and an id that no key has takes as long as one with a wrong secret; ids are no
// secret. It keeps nothing of key, allocates nothing and takes no lock.
func (g *Gate) Check(key []byte) (*Caller, Verdict) {
	if len(key) == 0 {
		return nil, Missing
	}
	id, secret, ok := split(key)
	if !ok {
		return nil, Malformed
	}
	c := g.keys.Load().byID[[idBytes]byte(id)]
	want := &nobody
	if c != nil {
		want = &c.hash
	}
	got := sha256.Sum256(secret)
	switch same := subtle.ConstantTimeCompare(got[:], want[:]); {
	case same != 1 || c == nil:
		return nil, Unknown
	case !c.Active():
		return c, Revoked
	}
	return c, LetIn
}

// nobody is the hash of a key that is not there.
var nobody [sha256.Size]byte
