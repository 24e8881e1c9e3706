package caps

import "sync"

// Word 0 of every record, and of every gap between records. Words 1 to 4 of a record are its key.
//
//	13..0   size in words, this one included
//	24..14  entries
//	30..25  in a record of exposures, its own retention (see Retention)
//	31      gap: nothing lives here
const (
	sizeMask   = 1<<14 - 1
	countShift = 14
	countMask  = 1<<11 - 1
	gapBit     = 1 << 31
)

// maxSegmentBits makes a segment 64 KiB. A record is at most half a segment: 32 KiB. Chosen.
const maxSegmentBits = 14

// A table holds the records of one shard as a log in segments of words (the idea is RAMCloud's: Rumble, Kejriwal, Ousterhout,
// "Log-structured Memory for DRAM-based Storage", FAST 2014). A record that does not outgrow its place is rewritten there, else it is
// appended and its old place becomes a gap. When gaps take more than an eighth, the segment with the most of them is emptied by moving
// its records. So however users grow, one by one or all in step, at most about an eighth is wasted, and the garbage collector sees a
// few large objects without pointers.
type table struct {
	index
	segments []segment
	spare    []int32 // numbers of segments without words
	active   int     // the segment that is appended to; -1: none
	bits     uint    // a segment has 1<<bits words
	words    int     // of all segments
	gaps     int     // words of all gaps
	pool     *pool
}

type segment struct {
	words []uint32 // nil: not in use
	end   int      // words written
	gaps  int      // words of its gaps
}

func (t *table) init(budget int64, p *pool) {
	t.bits, t.active, t.pool = maxSegmentBits, -1, p
	for t.bits > 10 && 16*4<<t.bits > budget {
		t.bits--
	}
}

// maxWords is the size of the largest record.
func (t *table) maxWords() int { return 1 << (t.bits - 1) }

func (t *table) segmentBytes() int64 { return 4 << t.bits }

// bytes is the memory in use, all in.
func (t *table) bytes() int64 { return int64(t.words)*4 + int64(len(t.slots))*8 }

// live is the number of words of records.
func (t *table) live() int {
	return t.words - t.gaps - t.room()
}

// room is the number of words that can be appended to the active segment.
func (t *table) room() int {
	if t.active < 0 {
		return 0
	}
	return 1<<t.bits - t.segments[t.active].end
}

// at returns the words from the reference to the end of its segment.
func (t *table) at(ref uint32) []uint32 {
	return t.segments[ref>>t.bits].words[ref&(1<<t.bits-1):]
}

// find returns the slot and the record of a key, or -1 and nil. The record is valid until the next change of the table.
func (t *table) find(hash uint64, key *keyWords) (int, []uint32) {
	if t.used == 0 {
		return -1, nil
	}
	fragment := uint32(hash)
	for i := t.home(fragment); ; {
		slot := t.slots[i]
		if slot == 0 {
			return -1, nil
		}
		if uint32(slot>>32) == fragment {
			w := t.at(uint32(slot) - 1)
			if keyWords(w[1:5]) == *key {
				return i, w[: w[0]&sizeMask : w[0]&sizeMask]
			}
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// put stores the record, whose slot find has returned. It may move other records.
func (t *table) put(slot int, hash uint64, record []uint32) {
	if slot < 0 {
		t.insert(hash<<32 | uint64(t.append(record)+1))
		t.tidy()
		return
	}
	ref := uint32(t.slots[slot]) - 1
	if t.rewrite(ref, record) {
		return
	}
	t.free(ref)
	t.slots[slot] = hash<<32 | uint64(t.append(record)+1)
	t.tidy()
}

// rewrite puts the record in the place of the one at ref, if it fits there.
func (t *table) rewrite(ref uint32, record []uint32) bool {
	w := t.at(ref)
	old := int(w[0] & sizeMask)
	if len(record) > old {
		return false
	}
	copy(w, record)
	if gap := old - len(record); gap > 0 {
		clear(w[len(record):old])
		w[len(record)] = uint32(gap) | gapBit
		t.segments[ref>>t.bits].gaps += gap
		t.gaps += gap
	}
	return true
}

// delete removes the record in the slot.
func (t *table) delete(slot int) {
	t.free(uint32(t.slots[slot]) - 1)
	t.remove(slot)
	t.tidy()
}

// free makes the place of a record a gap.
func (t *table) free(ref uint32) {
	w := t.at(ref)
	size := w[0] & sizeMask
	clear(w[:size]) // what is erased is gone from memory too
	w[0] = size | gapBit
	t.segments[ref>>t.bits].gaps += int(size)
	t.gaps += int(size)
}

func (t *table) append(record []uint32) (ref uint32) {
	if t.room() < len(record) {
		t.open()
	}
	g := &t.segments[t.active]
	ref = uint32(t.active)<<t.bits | uint32(g.end)
	g.end += copy(g.words[g.end:], record)
	return ref
}

// open closes the active segment and begins another.
func (t *table) open() {
	if t.active >= 0 {
		g := &t.segments[t.active]
		if gap := len(g.words) - g.end; gap > 0 {
			g.words[g.end] = uint32(gap) | gapBit
			g.end, g.gaps, t.gaps = len(g.words), g.gaps+gap, t.gaps+gap
		}
	}
	if n := len(t.spare); n > 0 {
		t.active, t.spare = int(t.spare[n-1]), t.spare[:n-1]
	} else {
		t.active = len(t.segments)
		t.segments = append(t.segments, segment{})
	}
	t.segments[t.active] = segment{words: t.pool.get(1 << t.bits)}
	t.words += 1 << t.bits
}

// tidy moves records together once gaps take more than an eighth: at most one segment for each change, which is enough, since a change
// makes a gap of at most one record and the fullest of gaps has at least an eighth of a segment.
func (t *table) tidy() {
	if t.used == 0 {
		t.release()
		return
	}
	if t.gaps*8 > t.words {
		t.clean()
	}
}

// release lets go of all segments, of which none has a record.
func (t *table) release() {
	for _, g := range t.segments {
		if g.words != nil {
			t.pool.put(g.words)
		}
	}
	t.segments, t.spare, t.active, t.words, t.gaps = t.segments[:0], t.spare[:0], -1, 0, 0
}

// clean empties the segment with the most gaps. It reports whether there was one.
func (t *table) clean() bool {
	victim := -1
	for i := range t.segments {
		g := &t.segments[i]
		if i != t.active && g.gaps > 0 && (victim < 0 || g.gaps > t.segments[victim].gaps) {
			victim = i
		}
	}
	if victim < 0 {
		return false
	}
	g := t.segments[victim]
	for at := 0; at < g.end; {
		size := int(g.words[at] & sizeMask)
		if g.words[at]&gapBit == 0 {
			record := g.words[at : at+size]
			i := t.slotOf(record, uint32(victim)<<t.bits|uint32(at))
			t.slots[i] = t.slots[i]&^(1<<32-1) | uint64(t.append(record)+1)
		}
		at += size
	}
	t.gaps -= t.segments[victim].gaps
	t.words -= len(g.words)
	t.segments[victim] = segment{}
	t.spare = append(t.spare, int32(victim))
	t.pool.put(g.words)
	return true
}

// slotOf returns the slot of a record that is known to be there.
func (t *table) slotOf(record []uint32, ref uint32) int {
	key := keyWords(record[1:5])
	slot := hashOf(&key)<<32 | uint64(ref+1)
	for i := t.home(uint32(slot >> 32)); ; {
		switch t.slots[i] {
		case slot:
			return i
		case 0:
			panic("BUG: a record of the log is not in the index")
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// A pool keeps a few emptied segments for the next that are opened, so that moving records makes no work for the garbage collector.
type pool struct {
	mu   sync.Mutex
	free [][]uint32
}

// maxPooled segments are at most 2 MiB. Chosen.
const maxPooled = 32

func (p *pool) get(words int) []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.free {
		if len(w) == words {
			last := len(p.free) - 1
			p.free[i], p.free[last], p.free = p.free[last], nil, p.free[:last]
			return w
		}
	}
	return make([]uint32, words)
}

func (p *pool) put(w []uint32) {
	clear(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < maxPooled {
		p.free = append(p.free, w)
	}
}

func (p *pool) bytes() (n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.free {
		n += int64(len(w)) * 4
	}
	return n
}
