package caps

import (
	"cmp"
	"slices"
)

// Window is the time that a limit looks at.
type Window struct {
	// Since is its first second.
	Since Second
	// Span is the length of a rolling window in seconds: Since is then now-Span, and an exposure at t has left at t+Span+1.
	Span uint32
	// Next is when the next calendar window begins, if Span is 0. With neither the window is as long as the retention. No window reaches
	// further back than the retention of what is looked at: the store's, or that of the record.
	Next Second
}

// leave is the first second at which an exposure at t, which is kept for so many seconds, no longer counts.
func (w *Window) leave(t, now Second, kept uint32) Second {
	gone := after(after(t, kept), 1)
	switch {
	case w.Span != 0:
		return min(gone, after(after(t, w.Span), 1))
	case w.Next != 0 && t < w.Next:
		return min(gone, max(w.Next, after(now, 1)))
	}
	return gone
}

// Usage is how far a limit is used up.
type Usage struct {
	// Count is the number of showings known, places held and places taken in this answer included. It can be above the limit.
	Count int
	// Held of them are such places: about to be shown, not seen yet.
	Held int
	// Unknown: something in the window had to be dropped, so it counts as full.
	Unknown bool
	// Free is the first second at which the limit passes, if nothing more is shown and what is held is not. Zero: it passes now.
	Free Second
	// Kept is how many seconds one of the person's records is kept, where that is shorter than the window, and the retention of the store:
	// of what it said before, nothing is known. The shortest of them; 0: there is none.
	Kept uint32
}

// Usage is the long answer to what Full answers, for retry_after and explanations.
func (p *Person) Usage(scope uint64, limit int, w Window) (u Usage) {
	if limit <= 0 {
		u.Free = Never
	}
	for i := range p.n {
		v := &p.views[i]
		if cut := v.find(scope).cut; cut >= max(w.Since, v.floor) {
			u.Unknown = true
			u.Free = max(u.Free, p.leave(&w, i, cut))
		}
		if v.floor > max(w.Since, p.rules.floor) && v.anythingSince(p.rules.own(v.retention())) {
			u.Kept = min(u.Kept-1, v.retention().Seconds()-1) + 1 // 0 is the largest
		}
	}
	p.gather(scope, w.Since, 1<<30, &w)
	u.Count, u.Held = len(p.seen), p.held
	if limit > 0 && u.Count >= limit {
		slices.Sort(p.leaves)
		u.Free = max(u.Free, p.leaves[u.Count-limit])
	}
	return u
}

// Free is Usage's Free alone, at a fraction of its cost.
func (p *Person) Free(scope uint64, limit int, w Window) Second {
	if p.n != 1 || len(p.holds) != 0 || len(p.taken) != 0 || limit <= 0 {
		if !p.Full(scope, limit, w.Since) {
			return 0
		}
		return p.Usage(scope, limit, w).Free
	}
	since := max(w.Since, p.views[0].floor)
	k := p.views[0].find(scope)
	free := Second(0)
	if k.cut >= since {
		free = p.leave(&w, 0, k.cut)
	}
	// Newest first: the limit passes when the last exposure that fills it has left.
	if k.len() >= limit && k.second(limit-1) >= since {
		free = max(free, p.leave(&w, 0, k.second(limit-1)))
	}
	return free
}

// leave is when an exposure at t of the i-th view leaves the window.
func (p *Person) leave(w *Window, i int, t Second) Second {
	kept := p.store.retention.Load()
	if own := p.views[i].retention().Seconds(); own != 0 {
		kept = min(kept, own)
	}
	return w.leave(t, p.rules.now, kept)
}

// find returns what is still there of a scope in the i-th view.
func (p *Person) find(i int, scope uint64) kept {
	floor := p.views[i].floor
	k := p.views[i].find(scope)
	if k.cut < floor {
		k.cut = 0
	}
	n := k.len()
	for n > 0 && k.second(n-1) < floor {
		n--
	}
	k.shown = k.shown[:2*n]
	return k
}

// Run reports whether the n newest showings of the campaign were all of the creative: the places taken in this answer, then the live holds
// by issue, then the exposures. An identity of the campaign is one of the creative if it stands in the creative's scope too. In doubt,
// because something was dropped that would decide it, it is true.
func (p *Person) Run(campaign, creative uint64, n int) bool {
	p.seen = p.seen[:0]
	if n <= 0 {
		return true
	}
	for i := len(p.taken) - 1; i >= 0; i-- {
		if x := p.taken[i]; x.scope == campaign && !slices.Contains(p.seen, x.identity) {
			if !p.takenUnder(creative, x.identity) {
				return false
			}
			if p.seen = append(p.seen, x.identity); len(p.seen) == n {
				return true
			}
		}
	}
	if done, run := p.runHolds(campaign, creative, n); done {
		return run
	}
	return p.runExposures(campaign, creative, n)
}

// ShownBetween reports whether an exposure under the scope is known, or was dropped, from the second since up to until, both included.
// What was dropped is known by its newest second alone.
func (p *Person) ShownBetween(scope uint64, since, until Second) bool {
	for i := range p.n {
		k := p.find(i, scope)
		since := max(since, p.views[i].floor)
		if k.cut >= since && k.cut <= until {
			return true
		}
		for e := range k.len() {
			if at := k.second(e); at >= since && at <= until {
				return true
			}
		}
	}
	return false
}

func (p *Person) takenUnder(scope uint64, identity uint32) bool {
	for i := range p.taken {
		if x := &p.taken[i]; x.scope == scope && x.identity == identity {
			return true
		}
	}
	return false
}

// runHolds goes on with the live holds, newest first.
func (p *Person) runHolds(campaign, creative uint64, n int) (done, run bool) {
	for len(p.holds) > 0 {
		var newest *liveHold
		for i := range p.holds {
			h := &p.holds[i]
			if h.tag == p.views[h.view].tagOf(campaign) && !slices.Contains(p.seen, h.identity) && (newest == nil || later(h, newest) > 0) {
				newest = h
			}
		}
		if newest == nil {
			break
		}
		if !p.heldUnder(creative, newest.identity) {
			return true, false
		}
		if p.seen = append(p.seen, newest.identity); len(p.seen) == n {
			return true, true
		}
	}
	return false, false
}

func later(x, y *liveHold) int {
	return cmp.Or(cmp.Compare(x.issued, y.issued), cmp.Compare(x.identity, y.identity))
}

func (p *Person) heldUnder(scope uint64, identity uint32) bool {
	for i := range p.holds {
		if h := &p.holds[i]; h.identity == identity && h.tag == p.views[h.view].tagOf(scope) {
			return true
		}
	}
	return false
}

// runExposures goes on with the exposures, newest first over all records.
func (p *Person) runExposures(campaign, creative uint64, n int) bool {
	var at [MaxKeys]int
	var ties [MaxKeys]bool // where as few are kept as to have dropped one of the n newest
	cut, creativeCut := Second(0), Second(0)
	for i := range p.n {
		of := p.find(i, campaign)
		cut, ties[i] = max(cut, of.cut), int(of.keep) < n
		k := p.find(i, creative)
		creativeCut = max(creativeCut, k.cut)
		if int(k.keep) < n && k.cut != 0 { // it may itself have been dropped, at the cut
			creativeCut = max(creativeCut, after(k.cut, 1))
		}
	}
	for {
		newest := -1
		var k kept
		for i := range p.n {
			x := p.find(i, campaign)
			if at[i] < x.len() && (newest < 0 || x.newer(at[i], &k, at[newest])) {
				newest, k = i, x
			}
		}
		if newest < 0 {
			return cut != 0
		}
		second, identity := k.second(at[newest]), k.identity(at[newest])
		at[newest]++
		if slices.Contains(p.seen, identity) {
			continue
		}
		if !p.shownUnder(creative, identity) && creativeCut <= second {
			return cut > second || p.dropped(campaign, second, newest, &ties)
		}
		if p.seen = append(p.seen, identity); len(p.seen) == n {
			return true
		}
	}
}

// dropped reports whether another record may have dropped a showing of just this second: which of two in one second is the newer only
// their own record knows.
func (p *Person) dropped(campaign uint64, second Second, newest int, ties *[MaxKeys]bool) bool {
	for i := range p.n {
		if i != newest && ties[i] && p.find(i, campaign).cut == second {
			return true
		}
	}
	return false
}

func (p *Person) shownUnder(scope uint64, identity uint32) bool {
	for i := range p.n {
		if k := p.find(i, scope); k.has(identity, k.len()) {
			return true
		}
	}
	return false
}
