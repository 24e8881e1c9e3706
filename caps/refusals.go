package caps

// One user's record of refusals, in 32-bit words, in memory and (little-endian) on the wire:
//
//	0      size and number of entries n (see table)
//	1..4   key
//	5      erased: whatever has a second at or before it does not exist
//	6      n entries, ascending by tag: tag high, tag low, a, b
//
// The lowest bit of a tag is its kind; the rest is the caller's, so that two of one user collide with probability 2^-63 a pair.
//
//	kind       a               b             join
//	purchase   last purchase   last return   each the later
//	choice     stamp           value         later stamp; of equal stamps the larger value
//
// Purchases and returns go at their retention, and choices that pass (see FieldLasts) at PassingRetention. Other choices and erasures
// never go by age, and nothing here is ever evicted.
//
// An erasure at E takes every choice with a stamp of at most E, but for that of FieldOptOut: there it is E-2*ErasureSkew, which is the skew
// before it was asked for. The skew is there for what comes from clocks that are ahead. Whoever opts out after the erasure, at a node that has not heard
// of it and whose clock may be behind, has opted out all the same. So an erasure overwrites the opt-outs that it is to take and knows of.
const (
	wordErased       = 5
	refusalHeadWords = 6
	refusalWords     = 4

	kindPurchase = 0
	kindChoice   = 1
)

// ErasureSkew is how many seconds after it is asked for an erasure reaches, so that what was accepted before it by a clock that is ahead goes
// too. Chosen: two nodes may each be a minute from the time of their servers before they know it, one behind and one ahead, and a third
// minute is for what is on its way. Until it has passed nothing that is shown to the person is counted.
const ErasureSkew = 3 * 60

// FieldOptOut is the field of the choice to be opted out of everything that is chosen for this person. It is the only field that this package knows.
const FieldOptOut = ^uint64(0)

// FieldLasts are bits of a field, of which each says that the choice stays until it is changed or the person is erased. A choice whose field
// has none of them passes: it is let go of when its stamp is more than PassingRetention seconds ago.
const FieldLasts uint64 = 7 << 1

// PassingRetention is how many seconds a choice that passes is kept: 90 days, for as long as Brave Ads and Google's "mute this ad" take a
// hide to hold.
const PassingRetention = 90 * 24 * 60 * 60

type refusal struct {
	tag  uint64
	a, b Second
}

func refusalCount(record []uint32) int {
	if record == nil {
		return 0
	}
	return (len(record) - refusalHeadWords) / refusalWords
}

func refusalTag(record []uint32, i int) uint64 {
	w := record[refusalHeadWords+refusalWords*i:]
	return uint64(w[0])<<32 | uint64(w[1])
}

func refusalAt(record []uint32, i int) refusal {
	w := record[refusalHeadWords+refusalWords*i:][:refusalWords]
	return refusal{uint64(w[0])<<32 | uint64(w[1]), Second(w[2]), Second(w[3])}
}

// findRefusal looks for a tag by bisection.
func findRefusal(record []uint32, tag uint64) (refusal, bool) {
	low, high := 0, refusalCount(record)
	for low < high {
		mid := (low + high) / 2
		if refusalTag(record, mid) < tag {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < refusalCount(record) && refusalTag(record, low) == tag {
		return refusalAt(record, low), true
	}
	return refusal{tag: tag}, false
}

// A refusalDraft joins what is held with what happens, as draft does for exposures.
type refusalDraft struct {
	erased  Second
	entries []refusal // ascending by tag
	words   []uint32
}

func (d *refusalDraft) join(held []uint32, event *refusalDraft, r rules) {
	d.erased, d.entries = event.erased, d.entries[:0]
	if held != nil {
		d.erased = max(d.erased, Second(held[wordErased]))
	}
	r = r.under(d.erased)
	n := refusalCount(held)
	for i, j := 0, 0; i < n || j < len(event.entries); {
		switch {
		case j == len(event.entries) || i < n && refusalTag(held, i) < event.entries[j].tag:
			d.add(refusalAt(held, i), refusal{}, r)
			i++
		case i == n || event.entries[j].tag < refusalTag(held, i):
			d.add(event.entries[j], refusal{}, r)
			j++
		default:
			d.add(refusalAt(held, i), event.entries[j], r)
			i, j = i+1, j+1
		}
	}
}

// joinRefusal joins two entries of the tag of x.
func joinRefusal(x, y refusal) (a, b Second) {
	if x.tag&1 == kindPurchase {
		return max(x.a, y.a), max(x.b, y.b)
	}
	if y.a > x.a || y.a == x.a && y.b > x.b {
		return y.a, y.b
	}
	return x.a, x.b
}

func (d *refusalDraft) add(x, y refusal, r rules) {
	x.a, x.b = joinRefusal(x, y)
	if x.tag&1 == kindChoice {
		if x.a > erasedOf(x.tag, r.erased) && (x.tag&FieldLasts != 0 || x.a >= r.passingFloor) {
			d.entries = append(d.entries, x)
		}
		return
	}
	if x.a < r.purchaseFloor {
		x.a = 0
	}
	if x.b < r.purchaseFloor {
		x.b = 0
	}
	if x.a != 0 || x.b != 0 {
		d.entries = append(d.entries, x)
	}
}

// erasedOf is the newest stamp of a field's choices that an erasure takes.
func erasedOf(field uint64, erased Second) Second {
	if field == FieldOptOut {
		return before(erased, 2*ErasureSkew)
	}
	return erased
}

// refusalsExpired reports whether the record has anything that is gone by the rules.
func refusalsExpired(record []uint32, r rules) bool {
	for i := range refusalCount(record) {
		switch x := refusalAt(record, i); {
		case x.tag&1 == kindPurchase && (x.a != 0 && x.a < r.purchaseFloor || x.b != 0 && x.b < r.purchaseFloor),
			x.tag&(FieldLasts|1) == kindChoice && x.a < r.passingFloor:
			return true
		}
	}
	return false
}

// encode returns the record's words, valid until the next use of the draft, or nil when it says nothing.
func (d *refusalDraft) encode(key *keyWords) []uint32 {
	if d.erased == 0 && len(d.entries) == 0 {
		return nil
	}
	n := len(d.entries)
	w := append(d.words[:0], uint32(refusalHeadWords+n*refusalWords)|uint32(n)<<countShift, key[0], key[1], key[2], key[3], uint32(d.erased))
	for _, e := range d.entries {
		w = append(w, uint32(e.tag>>32), uint32(e.tag), uint32(e.a), uint32(e.b))
	}
	d.words = w
	return w
}

// sorted puts the entries of an event in order; a tag that comes twice is joined. Entries are few; and what slices.SortFunc is given escapes.
func sorted(entries []refusal) []refusal {
	n := 0
	for _, e := range entries {
		at := n
		for at > 0 && entries[at-1].tag > e.tag {
			at--
		}
		if at > 0 && entries[at-1].tag == e.tag {
			have := &entries[at-1]
			have.a, have.b = joinRefusal(*have, e)
			continue
		}
		copy(entries[at+1:n+1], entries[at:n])
		entries[at] = e
		n++
	}
	return entries[:n]
}

// appendPurchases appends, for each of the tags, when what it stands for was bought and returned, sorted.
func appendPurchases(dst []refusal, tags []uint64, bought, returned Second) []refusal {
	for _, tag := range tags {
		dst = append(dst, refusal{tag: tag&^1 | kindPurchase, a: bought, b: returned})
	}
	return sorted(dst)
}

// erased is the second up to which the key's user was erased.
func (sh *shard) erased(hash uint64, key *keyWords) Second {
	if _, record := sh.refusals.find(hash, key); record != nil {
		return Second(record[wordErased])
	}
	return 0
}

// Erased is the second up to which the key's user was erased; 0: never.
func (s *Store) Erased(key Key) Second {
	k := wordsOf(&key)
	hash := hashOf(&k)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.erased(hash, &k)
}

// Purchase notes that the person bought what the tags stand for (the item, its category, its advertiser). It returns ErrFull, and has
// done nothing, when there is no room.
func (s *Store) Purchase(keys []Key, tags []uint64, at, now Second) error {
	return s.refuse(keys, &refusalDraft{entries: appendPurchases(nil, tags, at, 0)}, now)
}

// Return notes that the person gave back what the tags stand for: purchases at or before it are undone. It returns ErrFull as Purchase.
func (s *Store) Return(keys []Key, tags []uint64, at, now Second) error {
	return s.refuse(keys, &refusalDraft{entries: appendPurchases(nil, tags, 0, at)}, now)
}

// Choose sets the person's register for the field, if its stamp is later than the one there (or the same, and the value larger). The
// stamp is the later of now and one more than the stamp seen; a larger value must be the more restrictive. It returns ErrFull as Purchase.
func (s *Store) Choose(keys []Key, field uint64, stamp Second, value uint32, now Second) error {
	return s.refuse(keys, &refusalDraft{entries: []refusal{{tag: field | kindChoice, a: stamp, b: Second(value)}}}, now)
}

// Erase forgets whatever has a second at or before until about these keys, now and whenever it comes: exposures, holds (by their issue),
// purchases, choices (by their stamp; see ErasureSkew for FieldOptOut). A release goes MaxHold before its end. until is the later of now and
// Held.Newest of every key, and ErasureSkew. It returns ErrFull as Purchase.
func (s *Store) Erase(keys []Key, until, now Second) error {
	return s.refuse(keys, &refusalDraft{erased: until}, now)
}

// refuse joins the event, whose entries are sorted, into the refusals of every key, or of none.
func (s *Store) refuse(keys []Key, event *refusalDraft, now Second) error {
	r := s.rules(now)
	var l locks
	l.lock(s, keys)
	defer l.unlock(s)
	if !l.reserve(s, event.entries) {
		s.refused.Add(1)
		return ErrFull
	}
	for i := range l.nkeys {
		s.shardOf(l.hashes[i]).refuseLocked(l.hashes[i], &l.keys[i], event, r)
	}
	return nil
}

// optsOut reports whether the opt-out is among entries, which are sorted: no field is above it.
func optsOut(entries []refusal) bool {
	return len(entries) > 0 && entries[len(entries)-1].tag == FieldOptOut
}

// maxRefusalWords is how large a record of refusals may become. Without the opt-out it leaves the place for it: whoever refused all that a
// record can hold can still opt out.
func (t *table) maxRefusalWords(optedOut bool) int {
	if optedOut {
		return t.maxWords()
	}
	return t.maxWords() - refusalWords
}

// withEvent is the size in words of a record, nil for none, with the entries of an event, and whether the opt-out is in it then. What goes
// for its age is not taken off.
func withEvent(held []uint32, event []refusal) (size int, optedOut bool) {
	size, optedOut = max(len(held), refusalHeadWords), optsOut(event)
	for i := range event {
		if _, found := findRefusal(held, event[i].tag); !found {
			size += refusalWords
		}
	}
	if n := refusalCount(held); n > 0 && refusalTag(held, n-1) == FieldOptOut {
		optedOut = true
	}
	return size, optedOut
}

// reserve reports whether every key can take the entries.
func (l *locks) reserve(s *Store, event []refusal) bool {
	for _, number := range l.shards[:l.nshards] {
		sh := &s.shards[number]
		records, words, grow := 0, 0, 0
		for i := range l.nkeys {
			if s.shardOf(l.hashes[i]) != sh {
				continue
			}
			_, held := sh.refusals.find(l.hashes[i], &l.keys[i])
			size, optedOut := withEvent(held, event)
			if held == nil {
				records++
			}
			grow += size - len(held)
			if size > sh.refusals.maxRefusalWords(optedOut) {
				return false
			}
			words += size
		}
		if !sh.hasRoom(records, words, grow) {
			return false
		}
	}
	return true
}

// hasRoom reports whether the refusals can take so many new records, so many words to be written anew, by which they grow by so many. The
// live words may take 7/8 of the budget less two segments, so that moving them together always pays.
func (sh *shard) hasRoom(records, words, grow int) bool {
	t := &sh.refusals
	index := 0
	if (t.used+records)*4 > len(t.slots)*3 {
		index = max(t.grown()-len(t.slots), records*2) * 8
	}
	if int64(t.live()+grow)*4*8/7+int64(len(t.slots)*8+index)+2*t.segmentBytes() > sh.refusalBudget {
		return false
	}
	for range 4 {
		need := t.bytes() + int64(index) + t.segmentBytes() // one to move records to
		if free := t.room(); free < words {
			need += int64((words-free)*2>>t.bits+1) * t.segmentBytes()
		}
		if need <= sh.refusalBudget {
			return true
		}
		sh.writing = true
		cleaned := t.clean()
		sh.writing = false
		if !cleaned {
			return false
		}
	}
	return false
}

// refuseLocked joins the event into the key's refusals, and an erasure into its exposures.
func (sh *shard) refuseLocked(hash uint64, key *keyWords, event *refusalDraft, r rules) {
	slot, held := sh.refusals.find(hash, key)
	before := refusalCount(held)
	sh.refuse.join(held, event, r)
	record := sh.refuse.encode(key)
	sh.writing = true
	sh.counts.refusals += len(sh.refuse.entries) - before
	switch {
	case record != nil:
		sh.refusals.put(slot, hash, record)
	case slot >= 0:
		sh.refusals.delete(slot)
	}
	sh.writing = false
	if event.erased != 0 {
		if slot, _ := sh.exposures.find(hash, key); slot >= 0 {
			sh.applyLocked(hash, key, &view{}, r.under(sh.refuse.erased))
		}
	}
}
