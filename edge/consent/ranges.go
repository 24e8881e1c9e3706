package consent

// coding is how a list of ranges writes its ids.
type coding uint8

const (
	fixedIDs     coding = iota // 16 bits each: TCF Europe, and TCF Canada as first encoded
	fibonacciIDs               // Fibonacci-coded gaps: TCF Canada as specified (OptimizedRange)
)

// vendors reads a list of vendors and says whether want is in it:
//
//	16 bits  highest id
//	 1 bit   1: ranges, 0: one bit for each id up to the highest
//
// ok is false where it cannot be what an encoder wrote.
func (b *bitReader) vendors(want uint16, c coding) (has, ok bool) {
	highest := int(b.take(16))
	if b.flag() {
		has, last, ok := b.ranges(want, c)
		return has, ok && last <= highest
	}
	if want >= 1 && int(want) <= highest {
		has = b.at(int(want) - 1)
	}
	b.skip(highest)
	return has, !b.short
}

// ranges reads a list of ranges of ids, says whether want is in one, and which id
// is the highest:
//
//	12 bits  entries
//	each:  1 bit  0: one id, 1: the first and the last of several
//
// An entry takes 3 bits or more, so the string's length bounds the work.
func (b *bitReader) ranges(want uint16, c coding) (has bool, highest int, ok bool) {
	ok = true
	previous := 0
	for range b.take(12) {
		several := b.flag()
		first := b.id(previous, c)
		last := first
		if several {
			last = b.id(first, c)
		}
		if b.short {
			return false, 0, false
		}
		ok = ok && first >= 1 && last >= first && last <= maxFibonacci
		has = has || first <= int(want) && int(want) <= last
		highest = max(highest, last)
		previous = last
	}
	return has, highest, ok && !b.short
}

// id reads an id of a range.
func (b *bitReader) id(previous int, c coding) int {
	if c == fibonacciIDs {
		return previous + b.fibonacci()
	}
	return int(b.take(16))
}

// restrictions are what a publisher has forbidden, as sets of purposes: bit n-1
// for purpose n.
type restrictions struct {
	any        uint32 // some restriction, of any type and for any vendor
	never      uint32 // for the vendor: not allowed, or of a type that has no meaning
	byConsent  uint32 // for the vendor: by consent only
	byInterest uint32 // for the vendor: by legitimate interest (implied consent) only
}

// add notes a restriction of purpose n. No policy can ask for one above 32.
func (r *restrictions) add(n int, kind uint64, ours bool) {
	if n < 1 || n > 32 {
		return
	}
	bit := uint32(1) << (n - 1)
	r.any |= bit
	switch {
	case !ours:
	case kind == 1:
		r.byConsent |= bit
	case kind == 2:
		r.byInterest |= bit
	default:
		r.never |= bit
	}
}

// restrictions reads publisher restrictions:
//
//	12 bits  entries
//	each:  6 bits purpose, 2 bits type, vendors (coding fixed: ranges alone)
func (b *bitReader) restrictions(vendor uint16, c coding) (r restrictions, ok bool) {
	ok = true
	for range b.take(12) {
		n, kind := int(b.take(6)), b.take(2)
		var ours, fine bool
		if c == fibonacciIDs {
			ours, fine = b.vendors(vendor, c)
		} else {
			ours, _, fine = b.ranges(vendor, c)
		}
		if b.short {
			return r, false
		}
		ok = ok && fine
		r.add(n, kind, ours)
	}
	return r, ok && !b.short
}
