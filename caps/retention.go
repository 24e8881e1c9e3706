package caps

const secondsPerDay = 24 * 60 * 60

// Retention is a code for a retention shorter than the store's own, which a record carries: 0 is none; 1 to 31 are as many days; 32 to 63 are
// multiples of 15 days, from 45 to 510. The six bits that it takes were spare in a record (chosen: every number of days up to a month, and
// the quarters and years that rules are written in).
//
// Whoever is shown something where a retention of its own holds has it in every record that the showing goes into, and from then on all of
// that record goes by the shorter of it and the store's, also what was recorded elsewhere: two codes are joined as the shorter. It goes when
// nothing is left of the record, and not before. So nothing outlives the retention under which it was recorded, by whatever order and
// number of messages; but for the cut of a bucket (see shard.bucket), which is nobody's own and goes by the store's retention. What was
// recorded elsewhere may go earlier, as far as the two met in one record while both were alive. Whether they did is the one thing that
// nodes may differ in until they merge their records: where a message comes later than its own retention, or an erasure lay between. To
// know better they would have to keep when the shorter one was last met, which is what is to be forgotten.
type Retention uint8

const (
	retentionShift = 25 // of word 0
	retentionMask  = 1<<6 - 1
	// MaxRetention is the largest code there is.
	MaxRetention Retention = retentionMask
)

// RetentionOf returns the code of so many seconds; false where there is none. 0 seconds are none.
func RetentionOf(seconds uint32) (Retention, bool) {
	days := seconds / secondsPerDay
	switch {
	case seconds%secondsPerDay != 0:
		return 0, false
	case days <= 31:
		return Retention(days), true
	case days%15 == 0 && days <= 510:
		return Retention(32 + (days-45)/15), true
	}
	return 0, false
}

// Seconds is how long the code keeps; 0 for none.
func (c Retention) Seconds() uint32 {
	if c <= 31 {
		return uint32(c) * secondsPerDay
	}
	return (45 + 15*uint32(c-32)) * secondsPerDay
}

// Shorter is the join of two codes: the shorter of those that are not 0. Codes ascend as their lengths do.
func (c Retention) Shorter(o Retention) Retention {
	if c-1 <= o-1 { // 0 is then the largest
		return c
	}
	return o
}

// floor is the first second that is kept under the code.
func (c Retention) floor(now Second) Second {
	if c == 0 {
		return 0
	}
	return before(now, c.Seconds())
}

// own returns the rules for a record with the code.
func (r rules) own(c Retention) rules {
	r.floor = max(r.floor, c.floor(r.now))
	return r
}

// retention is the code of the record.
func (v *view) retention() Retention {
	if v.words == nil {
		return 0
	}
	return Retention(v.words[0] >> retentionShift & retentionMask)
}

// expired makes the view of a record of which nothing is left under its own code that of none. When the sweep comes by must not be seen:
// the code of such a record binds nothing that comes later, and what only the store's retention would still keep does not come back.
func (v *view) expired(r rules) view {
	if c := v.retention(); c == 0 || v.anythingSince(r.own(c)) {
		return *v
	}
	return view{multiplier: v.multiplier}
}

// anythingSince reports whether the record says anything by the rules.
func (v *view) anythingSince(r rules) bool {
	if v.cut >= r.floor && v.cut != 0 {
		return true
	}
	for i := range v.n {
		k := v.entry(i)
		if k.cut >= r.floor && k.cut != 0 || k.len() > 0 && k.second(0) >= r.floor {
			return true
		}
	}
	rows := v.rows()
	for i := range len(rows) / rowWords {
		if h := rowAt(rows, i); h.live(r) {
			return true
		}
	}
	return false
}

// hasExpired reports whether the record has anything in it that the rules and its own code say is gone.
func (v *view) hasExpired(r rules) bool {
	r = r.own(v.retention())
	if v.cut != 0 && v.cut < r.floor {
		return true
	}
	for i := range v.n {
		k := v.entry(i)
		if n := k.len(); k.cut != 0 && k.cut < r.floor || n > 0 && k.second(n-1) < r.floor {
			return true
		}
	}
	rows := v.rows()
	for i := range len(rows) / rowWords {
		if h := rowAt(rows, i); !h.live(r) {
			return true
		}
	}
	return false
}
