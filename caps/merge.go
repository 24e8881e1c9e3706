package caps

import (
	"cmp"
	"slices"
)

// A draft joins two records of one user into a third. Everything that happens to exposures and holds is such a join: of the record that
// is held and of one that says what happened. The join is commutative, associative and idempotent:
//
//   - an exposure is its identity and its second; of one identity the later second stands
//   - the newest Keep of a scope are kept by (second, identity), and the entry's cut is the newest second ever dropped. Keep is joined as
//     the larger; where it grows, a cut from under the smaller moves up a second, since ties in that second are no longer known
//   - a cut is joined as the later; a scope that one side lacks counts there as empty with the side's cut
//   - a hold is (scope, identity), its end and its issue; the later end stands. What beats it is an exposure of its identity at s, when
//     it ends at or before s+MaxHold, or a release that ends no sooner than it. A dropped exposure leaves a release until s+MaxHold
//   - the own retention (see Retention) is joined as the shorter, of the records of which their own leaves anything
//   - what is below the floor (retention, the record's own, erasure) does not exist, and a hold or release that has ended is gone
//
// The laws ask this of the callers: one identity is issued once, and is shown or released no earlier. Otherwise the order may decide, for
// as long as the hold lasts, whether it counts.
//
// The release that a dropped exposure leaves takes 16 bytes until it ends. Only who is shown a scope more than Keep times within MaxHold
// has any, and MaxHoldRows bounds them.
//
// A draft's memory is used again: a join allocates nothing after warm-up.
type draft struct {
	key     keyWords
	cut     Second
	entries []draftEntry
	shown   []uint32 // exposures of the entries: second, identity
	rows    []row
	words   []uint32
	own     Retention
	dropped int // scopes, holds and releases that went by the bounds
}

type draftEntry struct {
	tag  uint32
	at   int // in shown
	n    int
	cut  Second
	keep uint8
}

func (d *draft) reset(key *keyWords) {
	d.key, d.cut, d.own, d.dropped = *key, 0, 0, 0
	d.entries, d.shown, d.rows = d.entries[:0], d.shown[:0], d.rows[:0]
}

// join makes the draft the join of a and b, either of which may be absent, by the rules, in at most so many words.
func (d *draft) join(key *keyWords, a, b *view, r rules, maxWords int) {
	d.reset(key)
	if a.retention() != 0 || b.retention() != 0 {
		left, right := a.expired(r), b.expired(r)
		a, b = &left, &right
		d.own = a.retention().Shorter(b.retention())
		r = r.own(d.own)
	}
	d.cut = max(a.cut, b.cut)
	if d.cut < r.floor {
		d.cut = 0
	}
	for i, j := 0, 0; i < a.n || j < b.n; {
		switch {
		case j == b.n || i < a.n && a.tag(i) < b.tag(j):
			d.joinEntry(a.tag(i), a.entry(i), b.absent(), r)
			i++
		case i == a.n || b.tag(j) < a.tag(i):
			d.joinEntry(b.tag(j), a.absent(), b.entry(j), r)
			j++
		default:
			d.joinEntry(a.tag(i), a.entry(i), b.entry(j), r)
			i, j = i+1, j+1
		}
	}
	d.addRows(a.rows(), r)
	d.addRows(b.rows(), r)
	if len(d.rows) > 0 {
		d.settle(r)
	}
	d.trim(maxWords)
}

func (d *draft) joinEntry(tag uint32, x, y kept, r rules) {
	keep := max(x.keep, y.keep)
	if n := x.len(); y.keep == 0 && y.cut <= x.cut && n > 0 && x.second(n-1) >= r.floor && (x.cut == 0 || x.cut >= r.floor) {
		d.entries = append(d.entries, draftEntry{tag: tag, keep: keep, at: len(d.shown), n: n, cut: x.cut}) // nothing happens to it
		d.shown = append(d.shown, x.shown...)
		return
	}
	e := draftEntry{tag: tag, keep: keep, at: len(d.shown), cut: max(x.cutUnder(keep), y.cutUnder(keep))}
	i, j := 0, 0
	for i < x.len() || j < y.len() {
		var second Second
		var identity uint32
		again := false
		if j == y.len() || i < x.len() && x.newer(i, &y, j) {
			second, identity = x.second(i), x.identity(i)
			again = y.has(identity, j)
			i++
		} else {
			second, identity = y.second(j), y.identity(j)
			again = x.has(identity, i)
			j++
		}
		switch {
		case second < r.floor: // and so is all that follows
			i, j = x.len(), y.len()
		case again:
		case e.n < int(keep):
			d.shown = append(d.shown, uint32(second), identity)
			e.n++
		default:
			e.cut = max(e.cut, second)
			if end := after(second, MaxHold); end > r.now {
				d.rows = append(d.rows, row{identity: identity, end: end})
			}
		}
	}
	if e.cut < r.floor {
		e.cut = 0
	}
	d.entries = append(d.entries, e)
}

func (k *kept) newer(i int, o *kept, j int) bool {
	if k.second(i) != o.second(j) {
		return k.second(i) > o.second(j)
	}
	return k.identity(i) > o.identity(j)
}

// has reports whether the identity is among the newest n.
func (k *kept) has(identity uint32, n int) bool {
	for i := range n {
		if k.identity(i) == identity {
			return true
		}
	}
	return false
}

func (k *kept) cutUnder(keep uint8) Second {
	if k.keep != 0 && k.keep < keep && k.cut != 0 {
		return after(k.cut, 1)
	}
	return k.cut
}

func (d *draft) addRows(rows []uint32, r rules) {
	for i := range len(rows) / rowWords {
		if w := rowAt(rows, i); w.live(r) {
			d.rows = append(d.rows, w)
		}
	}
}

// settle joins equal rows and takes out the holds that are beaten and the releases that say no more than an exposure does.
func (d *draft) settle(r rules) {
	slices.SortFunc(d.rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.tag, y.tag), cmp.Compare(x.identity, y.identity), cmp.Compare(y.end, x.end), cmp.Compare(y.issued, x.issued))
	})
	d.rows = slices.CompactFunc(d.rows, func(x, y row) bool { return x.tag == y.tag && x.identity == y.identity })
	releases := 0
	for releases < len(d.rows) && d.rows[releases].tag == 0 {
		releases++
	}
	for i := releases; i < len(d.rows); i++ {
		h := &d.rows[i]
		at, ok := slices.BinarySearchFunc(d.rows[:releases], h.identity, func(x row, identity uint32) int { return cmp.Compare(x.identity, identity) })
		if ok && d.rows[at].end >= h.end {
			h.end = 0
		}
	}
	for i := 0; i < len(d.shown); i += 2 {
		beats := after(Second(d.shown[i]), MaxHold)
		if beats <= r.now {
			continue
		}
		for k := range d.rows {
			if h := &d.rows[k]; h.identity == d.shown[i+1] && h.end <= beats {
				h.end = 0
			}
		}
	}
	d.rows = slices.DeleteFunc(d.rows, func(x row) bool { return x.end == 0 })
}

// trim keeps the bounds. What goes leaves its cut.
func (d *draft) trim(maxWords int) {
	for len(d.rows) > MaxHoldRows {
		d.dropRow()
	}
	size := headWords + len(d.rows)*rowWords
	for i := range d.entries {
		size += d.entries[i].words()
	}
	size = d.trimEntries(size, maxWords)
	for size > maxWords && len(d.rows) > 0 {
		size = d.trimEntries(size-d.dropRow(), maxWords) // a hold leaves an entry
	}
}

// trimEntries takes out the entries idle longest until the size in words, and their number, are within bounds, and returns the size.
func (d *draft) trimEntries(size, maxWords int) int {
	for len(d.entries) > 0 && (size > maxWords || len(d.entries) > MaxScopes) {
		idlest, last := 0, Never
		for i := range d.entries {
			if at := d.lastOf(&d.entries[i]); at < last {
				idlest, last = i, at
			}
		}
		size -= d.entries[idlest].words()
		d.cut = max(d.cut, last)
		d.entries = slices.Delete(d.entries, idlest, idlest+1)
		d.dropped++
	}
	return size
}

func (e *draftEntry) words() int {
	if e.cut != 0 {
		return 3 + 2*e.n
	}
	return 2 + 2*e.n
}

// lastOf is the cut that must stay behind when the entry goes.
func (d *draft) lastOf(e *draftEntry) Second {
	if e.n == 0 {
		return e.cut
	}
	return max(e.cut, after(Second(d.shown[e.at]), 1))
}

// dropRow takes out a row and returns the words that it frees: the release that ends soonest, without which a hold can only stand longer,
// else the hold that ends soonest, which leaves a cut in its own scope.
func (d *draft) dropRow() (freed int) {
	soonest := 0
	for i := range d.rows {
		x, y := &d.rows[i], &d.rows[soonest]
		if (x.tag == 0) != (y.tag == 0) {
			if x.tag == 0 {
				soonest = i
			}
		} else if x.end < y.end {
			soonest = i
		}
	}
	h := d.rows[soonest]
	d.rows = slices.Delete(d.rows, soonest, soonest+1)
	d.dropped++
	if h.tag == 0 {
		return rowWords
	}
	at, ok := slices.BinarySearchFunc(d.entries, h.tag, func(e draftEntry, tag uint32) int { return cmp.Compare(e.tag, tag) })
	if ok {
		freed = d.entries[at].words()
	} else {
		d.entries = slices.Insert(d.entries, at, draftEntry{tag: h.tag, keep: 1, cut: d.cut})
	}
	d.entries[at].cut = max(d.entries[at].cut, after(h.issued, 1))
	return rowWords + freed - d.entries[at].words()
}

// encode returns the record's words, valid until the next use of the draft, or nil when it says nothing.
func (d *draft) encode() []uint32 {
	d.entries = slices.DeleteFunc(d.entries, func(e draftEntry) bool { return e.n == 0 && e.cut == d.cut })
	n := len(d.entries)
	if n == 0 && len(d.rows) == 0 && d.cut == 0 {
		return nil
	}
	w := append(d.words[:0], 0, d.key[0], d.key[1], d.key[2], d.key[3], uint32(d.cut), 0, 0)
	sig := uint64(0)
	for i := range d.entries {
		w = append(w, d.entries[i].tag)
		sig |= 1 << (d.entries[i].tag & 63)
	}
	at := headWords + 2*n
	for i := range d.entries {
		e := &d.entries[i]
		meta := uint32(at) | uint32(e.n)<<metaCount | uint32(e.keep)<<metaKeep
		if e.cut != 0 {
			meta |= metaHasCut
		}
		w = append(w, meta)
		at += e.words() - 2
	}
	for i := range d.entries {
		e := &d.entries[i]
		if e.cut != 0 {
			w = append(w, uint32(e.cut))
		}
		w = append(w, d.shown[e.at:e.at+2*e.n]...)
	}
	for _, h := range d.rows {
		w = append(w, h.tag, h.identity, uint32(h.end), uint32(h.issued))
		if h.tag != 0 {
			sig |= 1 << (h.tag & 63)
		}
	}
	w[0] = uint32(len(w)) | uint32(n)<<countShift | uint32(d.own)<<retentionShift
	w[wordSig], w[wordSig+1] = uint32(sig), uint32(sig>>32)
	d.words = w
	return w
}
