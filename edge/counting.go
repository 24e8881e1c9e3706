package edge

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"restraint/edge/shared"
	"restraint/edge/traffic"
)

// What happened is counted by hour, campaign, arm and market, on each node by itself, and
// shared as joined documents: of each node one with the hours that still count, written
// every few seconds, and one with those that are over, written every hour. So a node that
// dies loses what it counted since it last wrote.

// Chosen, but for what is said elsewhere.
const (
	// countEvery is how often what was counted is written: what kill -9 loses.
	countEvery = 5 * time.Second
	// hoursKept is how long hours are kept as such, daysKept days; then they are folded.
	hoursKept = 48 * 60 * 60
	daysKept  = 62 * 24 * 60 * 60
	// countsKept is how long anything is: a year, and some weeks to compare it with the last.
	countsKept = 400 * 24 * 60 * 60
	// partRows is of how many campaigns in a market a document holds the counts; with more
	// of them there are more documents, up to partsMost.
	partRows  = 512
	partsMost = 16
)

// What is counted beside decisions. Those have "show", or "skip." and the reason.
const (
	countShow       = "show"
	countSkip       = "skip."
	countImpression = "impression"
	// countUnkept are impressions of which nothing is kept, since nobody is known or storage
	// is not permitted: a repeated report is known only to the node that had the first.
	countUnkept   = "impression.unkept"
	countClick    = "click"
	countPurchase = "purchase"
	// What people said. A report that is known by nothing else is that of its person, campaign,
	// kind and day.
	countHide      = "hide"
	countComplaint = "complaint"
	countHelpful   = "helpful"
	countIntrusive = "intrusive"
	countOptOut    = "opt_out"
)

// reasonMeasures are the measures of decisions.
var reasonMeasures = func() (names [reasonCount]string) {
	names[Shown] = countShow
	for r := Shown + 1; r < reasonCount; r++ {
		names[r] = countSkip + r.String()
	}
	return names
}()

// counting is what a node knows of what happened, here and on other nodes.
type counting struct {
	tallies tallies
	recent  recent
	node    string
	joined  *shared.Joined

	writing sync.Mutex // held while documents are written; locked before mu

	mu    sync.Mutex
	start uint64                   // of this process; another one begins where there are more parts
	parts map[uint64]int           // by start
	hour  uint32                   // the newest in which anything was counted
	own   map[traffic.Cell]uint64  // since start, in hours that still count; their N is 0
	dirty bool                     // some of own is not written
	whole uint32                   // what own has of hours before is written, and counts no more
	books map[string]*traffic.Book // of all nodes, by document
	lost  uint64                   // counters given up for want of room
	sums  struct {                 // shown by campaign in a span
		from, to uint32
		at       time.Time
		shown    map[string]uint64
	}
}

const countPrefix = "traffic."

// openCounting reads what was written before.
func (n *Node) openCounting() error {
	c := &n.counting
	c.node, c.recent.seed = n.options.Name, maphash.MakeSeed()
	c.parts = map[uint64]int{}
	c.own, c.books = map[traffic.Cell]uint64{}, map[string]*traffic.Book{}
	var err error
	c.joined, err = n.openJoined(shared.Kind{Prefix: countPrefix, Join: joinCounts, Changed: func(name string, doc []byte) {
		b, err := traffic.Parse(doc)
		if err != nil {
			panic("BUG: counts that were checked cannot be read: " + err.Error())
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.books[name] = b
	}})
	if err != nil {
		return err
	}
	c.newStart(time.Now(), 1)
	return nil
}

// newStart begins counters that nobody has counted in, in so many parts.
func (c *counting) newStart(now time.Time, parts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = max(c.start+1, uint64(now.UnixNano()))
	for name, b := range c.books {
		if c.isOwn(name) {
			c.start = max(c.start, b.Last()+1)
			if !isOver(name) {
				c.hour = max(c.hour, b.From) // a clock that was set back counts where there is room for it
			}
		}
	}
	c.parts[c.start] = parts
}

// joinCounts joins documents of counts.
func joinCounts(name string, a, b []byte) ([]byte, error) {
	out, err := traffic.JoinForms(a, b)
	if err != nil {
		if errors.Is(err, traffic.ErrVersion) {
			return nil, fmt.Errorf("%w: %w", shared.ErrNewer, err)
		}
		return nil, err
	}
	book, err := traffic.Parse(b)
	if err == nil && !strings.HasPrefix(name, countsOf(book.Node)) {
		err = fmt.Errorf("%w: of node %.40q under the name %s", traffic.ErrMalformed, book.Node, name)
	}
	return out, err
}

// countsOf begins the names of a node's documents.
func countsOf(node string) string {
	name := listDocumentName(node)[len(listPrefix):]
	if len(name) > 64 { // of a host with a long name
		name = name[:48] + "=" + sum(node)[:16]
	}
	return countPrefix + name + "."
}

// partName is the name of a document: of the hours that still count, or of those that are
// over, of one of so many parts of the campaigns.
func partName(node string, over bool, parts, part int) string {
	kind := 'r' // recent
	if over {
		kind = 'h' // history
	}
	return fmt.Sprintf("%s%c%d-%d", countsOf(node), kind, parts, part)
}

// other is the name of the document of the same part that has the other hours.
func otherPart(name string, over bool) string {
	kind := strings.LastIndexByte(name, '.') + 1
	if over {
		return name[:kind] + "h" + name[kind+1:]
	}
	return name[:kind] + "r" + name[kind+1:]
}

func isOver(name string) bool { return name[strings.LastIndexByte(name, '.')+1] == 'h' }

func (c *counting) isOwn(name string) bool { return strings.HasPrefix(name, countsOf(c.node)) }

// add counts what happened at the second now, by the node's clock.
func (c *counting) add(now uint32, row traffic.Row, measure string, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addLocked(now, row, measure, n)
}

func (c *counting) addLocked(now uint32, row traffic.Row, measure string, n uint64) {
	c.hour = max(c.hour, now-now%3600)
	c.own[traffic.Cell{Start: c.start, Begin: c.hour, Row: row, Measure: measure}] += n
	c.dirty = true
}

// collect takes in the decisions since the last time; they count in the hour of now.
func (c *counting) collect(now uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tallies.take(func(campaign, arm, market string, reason Reason, n uint32) {
		c.addLocked(now, traffic.Row{Campaign: campaign, Arm: arm, Market: market}, reasonMeasures[reason], uint64(n))
	})
}

// ownCells are the counters of this process by document; c.mu is held.
func (c *counting) ownCellsLocked() map[string][]traffic.Cell {
	cells := make(map[string][]traffic.Cell)
	for cell, n := range c.own {
		cell.N = n
		parts := c.parts[cell.Start]
		name := partName(c.node, false, parts, partOf(cell.Campaign, parts))
		cells[name] = append(cells[name], cell)
	}
	return cells
}

// partOf is the part that a campaign is in: FNV-1a of its name.
func partOf(campaign string, parts int) int {
	h := uint32(2166136261)
	for i := range len(campaign) {
		h = (h ^ uint32(campaign[i])) * 16777619
	}
	return int(h % uint32(parts))
}

// partsFor is in how many parts the counts of a policy are kept.
func partsFor(rows int) int {
	parts := 1
	for parts < partsMost && rows > parts*partRows {
		parts *= 2
	}
	return parts
}

// each calls f with every counter of a bucket of which any part is in the span, of all
// nodes. f must not alter or keep it.
func (c *counting) each(from, to uint32, f func(node string, cell *traffic.Cell)) {
	for _, b := range c.joinedBooks() {
		b.Each(from, to, func(cell *traffic.Cell) { f(b.Node, cell) })
	}
}

// joinedBooks are the counts of all nodes, of which no two count the same.
func (c *counting) joinedBooks() []*traffic.Book {
	c.mu.Lock()
	books, own := maps.Clone(c.books), c.ownCellsLocked()
	c.mu.Unlock()
	for name, cells := range own {
		b := traffic.NewBook(c.node, 0, cells)
		if written := books[name]; written != nil {
			b = traffic.Join(written, b)
		}
		books[name] = b
	}
	var all []*traffic.Book
	for _, name := range slices.Sorted(maps.Keys(books)) {
		b, other := books[name], books[otherPart(name, !isOver(name))]
		if other != nil && isOver(name) {
			continue // it is joined where its other is looked at
		}
		if other != nil {
			// The other begins earlier than this one.
			b = traffic.Join(&traffic.Book{Node: b.Node, From: other.From, Cells: b.Cells}, other)
		}
		all = append(all, b)
	}
	return all
}

// shown is how often a campaign was shown, on all nodes, in the hours that a span touches;
// hours that were folded count by their whole day. It may be as of so long ago as stale.
func (c *counting) shown(campaign string, from, to uint32, stale time.Duration) uint64 {
	from, to = from-from%3600, to-to%3600+3600
	c.mu.Lock()
	fresh := c.sums.shown != nil && c.sums.from == from && c.sums.to == to && time.Since(c.sums.at) < stale
	n := c.sums.shown[campaign]
	c.mu.Unlock()
	if fresh {
		return n
	}
	sums := make(map[string]uint64)
	c.each(from, to, func(_ string, cell *traffic.Cell) {
		if cell.Measure == countImpression || cell.Measure == countUnkept {
			sums[cell.Campaign] += cell.N
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sums.from, c.sums.to, c.sums.at, c.sums.shown = from, to, time.Now(), sums
	return sums[campaign]
}
