package suppress

import (
	"slices"
)

// change is something that was said about a key: it was added, until a second or
// for good, or removed. In memory it takes 16 bytes.
type change struct {
	seq    uint64
	leaves uint32 // of an addition; 0 of a removal
	op     Op
}

// newChange has until 0 for members that stay.
func newChange(seq uint64, op Op, until uint32) change {
	if op == Remove {
		return change{seq: seq, op: op}
	}
	return change{seq: seq, op: op, leaves: leavesAt(until)}
}

// later says that c comes after d. At one sequence an addition does, as the more
// restrictive.
func (c change) later(d change) bool {
	return c.seq > d.seq || c.seq == d.seq && c.op < d.op
}

// covers says that d tells nothing beside c, whichever generation it is applied
// over: an earlier change beside a removal or beside an addition for good, and an
// earlier addition beside one that lasts at least as long. An addition does not
// take from an earlier one: who was added for good stays, whatever is added later.
func (c change) covers(d change) bool {
	return !d.later(c) && (c.op == Remove || c.leaves == never || d.op == Add && d.leaves <= c.leaves)
}

// standing is what changes come to for one key.
type standing struct {
	leaves  uint32 // of the additions; 0: there is none
	removed bool   // it does not count whether the key is in the generation
}

// over is the second at which a key leaves that leaves the generation at base;
// 0 says that it is not in it.
func (s standing) over(base uint32) uint32 {
	if s.removed {
		return s.leaves
	}
	return max(s.leaves, base)
}

// standingOf goes through changes of a key, the latest first, and takes those
// above start and up to through.
func standingOf(last change, earlier []change, start, through uint64) (s standing, any bool) {
	for i := -1; i < len(earlier); i++ {
		c := last
		if i >= 0 {
			c = earlier[i]
		}
		if c.seq <= start {
			break
		}
		if c.seq > through {
			continue
		}
		any = true
		if c.op == Remove {
			s.removed = true
			break
		}
		s.leaves = max(s.leaves, c.leaves)
	}
	return s, any
}

// joined are the changes that say all that last and earlier say together with d,
// the latest first, and false where d tells nothing new.
func joined(last change, earlier []change, d change) (change, []change, bool) {
	if last.covers(d) || slices.ContainsFunc(earlier, func(c change) bool { return c.covers(d) }) {
		return last, earlier, false
	}
	if d.later(last) && d.covers(last) && len(earlier) == 0 {
		return d, nil, true // nearly always
	}
	all := []change{d}
	for _, c := range append([]change{last}, earlier...) {
		if !d.covers(c) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b change) int { // of two at one sequence and of one kind, one covers the other
		if a.later(b) {
			return -1
		}
		return 1
	})
	return all[0], all[1:], true
}
