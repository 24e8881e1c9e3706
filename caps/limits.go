package caps

import "slices"

// Limits are how many showings are the most, by the first scope of an exposure. A store that has them counts in Stats.OverLimit, as
// exposures come, those that make it too many: over-delivery, whether nodes did not hear of each other in time, bids were in flight
// together, or somebody showed what was not allowed. They change nothing else, and no decision looks at them.
//
// An exposure counts where the others that the counter has of its window are as many as the limit allows: of k too many within a window
// the last k to come. It is an estimate from below. An exposure that comes again counts once, one that the counter has dropped before it
// came, or that came with another store's snapshot, not at all; of an exposure to several keys it looks at each by itself, as it comes to
// other nodes: as often as there are keys, and never at what only all of them together have.
type Limits map[uint64][]Limit

// Limit is the most showings under a scope within a window. One that an exposure does not name is not looked at for it.
type Limit struct {
	Scope uint64
	Most  int
	// Span is the length in seconds of a window that moves with time: showings that far apart are in one. Where it is 0, Period returns the
	// first second of the window that a second lies in, and that of the next. It is called with a lock held, and must not call the store.
	Span   uint32
	Period func(Second) (from, next Second)
}

// SetLimits changes the limits; nil counts nothing. They are kept, and must not be changed any more.
func (s *Store) SetLimits(l Limits) { s.limits.Store(&l) }

// exceeded reports whether an exposure at the second, under these scopes, is one too many beside what the record has.
func (l Limits) exceeded(held *view, scopes []Counted, at Second) bool {
	of := l[scopes[0].Scope]
	for i := range of {
		limit := &of[i]
		if slices.ContainsFunc(scopes, func(c Counted) bool { return c.Scope == limit.Scope }) && limit.exceeded(held.find(limit.Scope), at) {
			return true
		}
	}
	return false
}

func (l *Limit) exceeded(k kept, at Second) bool {
	if k.len() < l.Most || at <= k.cut {
		return false
	}
	from, next := l.window(&k, at)
	others := 0
	for i := range k.len() {
		if x := k.second(i); x >= from && x < next {
			others++
		}
	}
	return others >= l.Most
}

// window is that of a period, or of those that move with time and have the second in them, the one that ends with the latest showing.
func (l *Limit) window(k *kept, at Second) (from, next Second) {
	if l.Span == 0 {
		return l.Period(at)
	}
	last := at
	for i := range k.len() {
		if x := k.second(i); x <= after(at, l.Span) {
			last = max(last, x)
			break
		}
	}
	return before(last, l.Span), after(last, 1)
}
