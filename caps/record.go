package caps

// One user's record of exposures and holds, in 32-bit words, in memory and (little-endian) on the wire:
//
//	0         size, number of entries n and own retention (see table)
//	1..4      key
//	5         cut: the default cut of every scope that has no entry
//	6, 7      signature: bit tag%64 of the tag of each entry and hold, low word first
//	8         n tags, ascending
//	8+n       n metas, in the order of the tags
//	8+2n      for each entry: its cut, if it has one; its exposures, newest first: second, identity
//	then      rows of holds and releases, ascending by (tag, identity): tag, identity, end, issued
//
// A meta is
//
//	13..0   where the entry begins, in words from word 0
//	21..14  number of exposures
//	29..22  Keep
//	30      the entry has a cut
//
// A row with tag 0 is a release (or the trace of a dropped exposure): it beats the holds of its identity that end at or before its end.
// A scope without an entry counts as an entry with no exposures and the record's cut; an entry that equals this is left out. So equal
// states are equal words.
const (
	wordCut   = 5
	wordSig   = 6
	headWords = 8
	rowWords  = 4

	metaCount  = 14
	metaKeep   = 22
	metaHasCut = 1 << 30
)

// tagOf shortens a scope to 32 bits by multiply-shift hashing (Dietzfelbinger et al., "A reliable randomized algorithm for the
// closest-pair problem", 1997) with a multiplier that is the user's own. Two scopes collide for a user with probability at most 2^-31,
// and not for the next user. Of 20 scopes any two collide for one user in ten million.
func tagOf(scope, multiplier uint64) uint32 {
	return max(1, uint32(scope*multiplier>>32))
}

func multiplierOf(k *keyWords) uint64 { return uint64(k[2]) | uint64(k[3])<<32 | 1 }

// A view reads a record in place. The zero view is a record that is not there; its cut may be set.
type view struct {
	words      []uint32
	n          int
	multiplier uint64
	sig        uint64
	cut        Second
	floor      Second // of a Person's view: what is before it does not exist, by the store's retention and the record's own
}

func (v *view) load(record []uint32) {
	v.words = record
	v.n = int(record[0] >> countShift & countMask)
	v.multiplier = uint64(record[3]) | uint64(record[4])<<32 | 1
	v.sig = uint64(record[wordSig]) | uint64(record[wordSig+1])<<32
	v.cut = Second(record[wordCut])
}

// kept is one entry: exposures newest first, a second and an identity each.
type kept struct {
	shown []uint32
	cut   Second
	keep  uint8
}

func (k *kept) len() int                  { return len(k.shown) / 2 }
func (k *kept) second(i int) Second       { return Second(k.shown[2*i]) }
func (k *kept) identity(i int) uint32     { return k.shown[2*i+1] }
func (v *view) tag(i int) uint32          { return v.words[headWords+i] }
func (v *view) absent() kept              { return kept{cut: v.cut} }
func (v *view) cutOnly() bool             { return len(v.words) == headWords }
func (v *view) tagOf(scope uint64) uint32 { return tagOf(scope, v.multiplier) }

func (v *view) entry(i int) (k kept) {
	meta := v.words[headWords+v.n+i]
	at := meta & sizeMask
	if meta&metaHasCut != 0 {
		k.cut = Second(v.words[at])
		at++
	}
	k.shown = v.words[at : at+meta>>metaCount&0xff*2]
	k.keep = uint8(meta >> metaKeep)
	return k
}

// find returns the entry of a scope, or what stands for it when there is none.
func (v *view) find(scope uint64) kept {
	if v.sig == 0 {
		return v.absent()
	}
	tag := tagOf(scope, v.multiplier)
	if v.sig>>(tag&63)&1 == 0 || v.n == 0 {
		return v.absent()
	}
	// The tags are sorted and uniform: look where it should be, then walk.
	tags := v.words[headWords : headWords+v.n]
	i := int(uint64(tag) * uint64(len(tags)) >> 32)
	if tags[i] < tag {
		for i++; i < len(tags) && tags[i] < tag; i++ {
		}
	} else {
		for i > 0 && tags[i-1] >= tag {
			i--
		}
	}
	if i == len(tags) || tags[i] != tag {
		return v.absent()
	}
	return v.entry(i)
}

// rows returns the rows of holds and releases.
func (v *view) rows() []uint32 {
	if v.words == nil {
		return nil
	}
	end := headWords
	if v.n > 0 {
		meta := v.words[headWords+2*v.n-1]
		end = int(meta&sizeMask + meta>>30&1 + meta>>metaCount&0xff*2)
	}
	return v.words[end:]
}

type row struct {
	tag      uint32 // 0: a release
	identity uint32
	end      Second
	issued   Second // 0 for a release
}

// live reports whether the row says anything by the rules: what has ended is gone, and so is what began before the floor.
func (w *row) live(r rules) bool {
	born := w.issued
	if w.tag == 0 {
		born = before(w.end, MaxHold)
	}
	return w.end > r.now && born >= r.floor
}

func rowAt(rows []uint32, i int) row {
	w := rows[rowWords*i : rowWords*i+rowWords]
	return row{w[0], w[1], Second(w[2]), Second(w[3])}
}

// activity is the cut that must stay behind when the whole record goes, and so how long the user has been idle. A cut left by
// eviction is one second later than what was dropped: of two exposures in one second it is then not taken for known which was first.
func (v *view) activity() Second {
	last := v.cut
	for i := range v.n {
		k := v.entry(i)
		last = max(last, k.cut)
		if k.len() > 0 {
			last = max(last, after(k.second(0), 1))
		}
	}
	rows := v.rows()
	for i := range len(rows) / rowWords {
		if r := rowAt(rows, i); r.tag != 0 {
			last = max(last, after(r.issued, 1))
		}
	}
	return last
}
