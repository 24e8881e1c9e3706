package trust

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// Bounds of a Book, chosen.
const (
	// MaxHeld is how many reports a Book keeps in all: some 50 MiB. Further ones are dropped and counted.
	MaxHeld = 1 << 20
	// MaxPages is how many pages a Book has. Folded ones go first, the oldest before others.
	MaxPages = 1 << 18
	// KeptDays is how long folded numbers are kept.
	KeptDays = 400
	// LeastDays is for how many days before today reports are kept as such, at least: a token is good for a day.
	LeastDays = 2
)

// A Book is all pages of a node. Its methods may be called concurrently; it keeps none of the slices that it is given.
type Book struct {
	mu        sync.Mutex
	campaigns map[uint64][]*Page // by tag; by day, ascending
	pages     int
	held      int
	floor     uint32 // reports of days before are folded
	dropped   uint64
	late      uint64
	changed   map[uint64]struct{} // campaigns with a new report since Changed
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{campaigns: make(map[uint64][]*Page), changed: make(map[uint64]struct{})}
}

// Add joins a report about the campaign with the tag, which is not 0, and returns whether it changed anything. What is of a day that has been
// folded comes too late, and where there is no room it is dropped; both are counted. A report of no known Kind is ignored.
func (b *Book) Add(campaign uint64, r Report) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return campaign != 0 && r.Kind.Known() && b.add(campaign, r)
}

func (b *Book) add(campaign uint64, r Report) bool {
	day := Day(r.At)
	if day < b.floor {
		b.late++
		return false
	}
	for _, p := range b.campaigns[campaign] {
		switch {
		case p.Day == day || !p.has(r.ID):
		case p.Day < day: // the same report, and this is the later second
			day = p.Day
			i, _ := p.find(r.ID)
			r.At = min(r.At, p.reports[i].At)
		default:
			i, _ := p.find(r.ID)
			r = r.join(p.reports[i])
			p.remove(r.ID)
			b.held--
		}
	}
	p := b.page(campaign, day)
	if p == nil || b.held >= MaxHeld && !p.has(r.ID) {
		b.dropped++
		return false
	}
	before := p.Len()
	changed := p.add(r)
	b.held += p.Len() - before
	if changed {
		b.changed[campaign] = struct{}{}
	}
	return changed
}

// page is the page of a campaign and a day, made where there is none; nil where there is no room.
func (b *Book) page(campaign uint64, day uint32) *Page {
	pages := b.campaigns[campaign]
	i, found := slices.BinarySearchFunc(pages, day, func(p *Page, day uint32) int { return cmp.Compare(p.Day, day) })
	if found {
		return pages[i]
	}
	if b.pages >= MaxPages {
		return nil
	}
	p := &Page{Campaign: campaign, Day: day}
	b.campaigns[campaign] = slices.Insert(pages, i, p)
	b.pages++
	return p
}

// Tally counts what was reported about a campaign after from and up to to, in Unix seconds.
func (b *Book) Tally(campaign uint64, from, to uint32) (t Tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.campaigns[campaign] {
		if p.Day >= Day(from) && p.Day <= Day(to) {
			one := p.Tally(from, to)
			t.Add(&one)
		}
	}
	return t
}

// Weighed reports whether the campaign has a hide or complaint that weighs, of the person that identify gives for a day, on a day before the
// given one and after a second.
func (b *Book) Weighed(campaign uint64, day, after uint32, identify func(day uint32) uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.campaigns[campaign] {
		if p.Day >= day || p.Day < Day(after) {
			continue
		}
		person := identify(p.Day)
		if slices.ContainsFunc(p.reports, func(r Report) bool {
			return r.Person == person && r.Weighs && r.At > after && (r.Kind == Hide || r.Kind == Complaint)
		}) {
			return true
		}
	}
	return false
}

// Campaigns appends the tags of the campaigns that have reports (not only numbers), in no order.
func (b *Book) Campaigns(dst []uint64) []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for tag, pages := range b.campaigns {
		if pages[len(pages)-1].Len() > 0 || slices.ContainsFunc(pages, func(p *Page) bool { return p.Len() > 0 }) {
			dst = append(dst, tag)
		}
	}
	return dst
}

// Changed appends the tags of the campaigns that have a new report since the last call.
func (b *Book) Changed(dst []uint64) []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for tag := range b.changed {
		dst = append(dst, tag)
	}
	clear(b.changed)
	return dst
}

// Fold folds the pages that a window of so many seconds, and a day more, need no longer at now, and lets go of numbers that are too old.
// It returns how many reports went.
func (b *Book) Fold(now, window uint32) (gone int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days := daysOf(window)
	today := Day(now)
	floor := today - min(today, days)
	oldest := today - min(today, KeptDays)
	b.floor = floor
	before := b.held
	b.forget(oldest, func(p *Page) {
		if p.Day < floor && p.Len() > 0 {
			b.held -= p.Len()
			p.Fold()
		}
	})
	for b.pages > MaxPages-MaxPages/4 && oldest < floor {
		oldest += max(1, (floor-oldest)/8)
		b.forget(min(oldest, floor), func(*Page) {})
	}
	return before - b.held
}

// daysOf is for how many days before today reports are kept as such for a window of so many seconds: as far back as it reaches, and a day more.
func daysOf(window uint32) uint32 {
	return max(LeastDays, (window+secondsPerDay-1)/secondsPerDay+1)
}

// KeptSeconds is how old a report can become before it is folded.
func KeptSeconds(window uint32) uint32 { return (daysOf(window) + 1) * secondsPerDay }

// forget calls each with every page and lets go of those of days before the oldest.
func (b *Book) forget(oldest uint32, each func(*Page)) {
	b.pages = 0
	for tag, pages := range b.campaigns {
		for _, p := range pages {
			each(p)
		}
		if pages = slices.DeleteFunc(pages, func(p *Page) bool { return p.Day < oldest }); len(pages) == 0 {
			delete(b.campaigns, tag)
			continue
		}
		b.campaigns[tag] = pages
		b.pages += len(pages)
	}
}

// Merge joins an encoded page. It takes reports of folded days as numbers only. The error wraps ErrMalformed; nothing was joined then.
func (b *Book) Merge(enc []byte) error {
	o, err := ParsePage(enc)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.Day < b.floor {
		o.Fold()
	}
	for i := range o.reports {
		b.add(o.Campaign, o.reports[i])
	}
	p := b.page(o.Campaign, o.Day)
	if p == nil {
		b.dropped++
		return nil
	}
	before := p.Len()
	o.reports = slices.DeleteFunc(o.reports, func(r Report) bool { return !p.has(r.ID) }) // of an earlier day, or no room
	p.Join(o)
	b.held += p.Len() - before
	return nil
}

// A Cursor is how far a walk over a Book has come. The zero Cursor is the beginning.
type Cursor struct {
	begun     bool
	campaigns []uint64 // still to come, the next one last
	day       uint32   // of the next one, the first that is to come
}

// Append appends the next encoded page, one at a time, until it returns false. Each is as it is when its turn comes; one that is made after
// the walk began may be left out.
func (b *Book) Append(dst []byte, at *Cursor) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !at.begun {
		at.begun = true
		for tag := range b.campaigns {
			at.campaigns = append(at.campaigns, tag)
		}
	}
	for n := len(at.campaigns); n > 0; n = len(at.campaigns) {
		for _, p := range b.campaigns[at.campaigns[n-1]] {
			if p.Day >= at.day {
				at.day = p.Day + 1
				return p.Append(dst), true
			}
		}
		at.campaigns, at.day = at.campaigns[:n-1], 0
	}
	return dst, false
}

// Stats is what a Book holds and gave up.
type Stats struct {
	Reports, Pages int
	// Saturated is how many pages are.
	Saturated int
	// Late came after their day was folded, Dropped found no room.
	Late, Dropped uint64
	// Oldest is the first day of which reports are kept as such; 0: none are.
	Oldest uint32
}

// Stats may be called at any time.
func (b *Book) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{Reports: b.held, Pages: b.pages, Late: b.late, Dropped: b.dropped}
	oldest := uint32(math.MaxUint32)
	for _, pages := range b.campaigns {
		for _, p := range pages {
			if p.Saturated {
				s.Saturated++
			}
			if p.Len() > 0 {
				oldest = min(oldest, p.Day)
			}
		}
	}
	if oldest != math.MaxUint32 {
		s.Oldest = oldest
	}
	return s
}

// A Said is a report with the campaign that it is about.
type Said struct {
	Campaign uint64
	Report
}

// Of returns the reports of a person, whom people names on each page: as they may stand there, for the campaign with a tag on a day.
func (b *Book) Of(people func(campaign uint64, day uint32) []uint64) (found []Said) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for tag, pages := range b.campaigns {
		for _, p := range pages {
			if p.Len() == 0 {
				continue
			}
			who := people(tag, p.Day)
			for i := range p.reports {
				if slices.Contains(who, p.reports[i].Person) {
					found = append(found, Said{tag, p.reports[i]})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Said) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.ID, b.ID))
	})
	return found
}
