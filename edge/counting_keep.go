package edge

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"restraint/edge/shared"
	"restraint/edge/traffic"
)

// keepCounting writes what is counted, and shares it, until ctx ends.
func (n *Node) keepCounting(ctx context.Context) {
	c := &n.counting
	var sharing sync.WaitGroup
	defer sharing.Wait()
	sharing.Go(func() { c.joined.Run(ctx) })
	ticker := time.NewTicker(countEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			n.writeCounts()
		}
	}
}

// writeCounts writes what was counted since the last time, and puts what is over where it
// belongs, unless the clock may be wrong: what is dropped here is dropped by all nodes.
func (n *Node) writeCounts() {
	c := &n.counting
	c.writing.Lock()
	defer c.writing.Unlock()
	now := n.clock.at(time.Now(), 0)
	c.collect(now)
	err := c.write()
	if err == nil && n.mayExpire() {
		err = c.roll(now)
	}
	if err != nil {
		n.log.Warn("what happened is not all on disk; it is tried again", "error", err.Error())
		return
	}
	r := n.rules.Load()
	if parts := partsFor(len(r.Campaigns) * len(r.Markets)); parts > c.parts[c.start] {
		c.newStart(time.Now(), parts) // what was counted stays where it is
	}
}

// write writes this start's counters.
func (c *counting) write() error {
	c.mu.Lock()
	if !c.dirty {
		c.mu.Unlock()
		return nil
	}
	own, hour := c.ownCellsLocked(), c.hour
	c.dirty = false
	c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if err := c.joined.Put(name, traffic.Append(nil, traffic.NewBook(c.node, 0, own[name]))); err != nil {
			c.mu.Lock()
			c.dirty = true
			c.mu.Unlock()
			return err
		}
	}
	c.mu.Lock()
	c.whole = hour
	c.mu.Unlock()
	return nil
}

// roll moves the hours that nothing more is counted in to what is over, folds that, and
// drops what is past its time, of every node.
func (c *counting) roll(now uint32) error {
	if now < 2*3600 {
		return nil
	}
	over, floor := now-now%3600-3600, now-min(now, countsKept)
	floor -= floor % (24 * 3600)
	c.mu.Lock()
	books := maps.Clone(c.books)
	for cell := range c.own {
		if cell.End() <= int64(over) && (cell.Begin < c.whole || !c.dirty) {
			delete(c.own, cell)
		}
	}
	c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(books)) {
		var err error
		if c.isOwn(name) && !isOver(name) {
			err = c.rollPart(name, books[name], books[otherPart(name, true)], over, floor)
		} else if b := books[name]; b.From < floor {
			err = c.dropBefore(name, b, floor)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rollPart moves what is over from one document of a part to the other.
func (c *counting) rollPart(name string, recent, history *traffic.Book, over, floor uint32) error {
	moved, _ := recent.Split(over)
	if len(moved.Cells) == 0 {
		return nil
	}
	moved = &traffic.Book{Node: c.node, Cells: moved.Cells}
	if history != nil {
		moved = traffic.Join(history, moved)
	}
	form, lost := foldCounts(moved, over, floor)
	if err := c.joined.Put(otherPart(name, true), form); err != nil {
		return err
	}
	c.mu.Lock()
	c.lost += uint64(lost)
	c.mu.Unlock()
	// Only now, so that they are in one of the two at any time.
	return c.joined.Put(name, traffic.Append(nil, &traffic.Book{Node: c.node, From: over}))
}

// foldCounts folds what is over by its age, and earlier where it would not fit; where
// that is not enough, the oldest goes, and lost is of how many counters. All up to over is
// there, so all of it may be folded.
func foldCounts(b *traffic.Book, over, floor uint32) (form []byte, lost int) {
	const most = shared.MaxBytes / 8 * 7
	for _, kept := range [...]struct{ hours, days uint32 }{{hoursKept, daysKept}, {24 * 3600, daysKept}, {0, daysKept}, {0, daysKept / 2}, {0, 0}} {
		folded := b.Fold(over-min(over, kept.hours), over-min(over, kept.days), floor)
		if form = traffic.Append(nil, folded); len(form) <= most {
			return form, 0
		}
	}
	for b = b.Fold(over, over, floor); len(form) > most; form = traffic.Append(nil, b) {
		floor = uint32(b.Cells[0].End())
		for i := range b.Cells {
			floor = min(floor, uint32(b.Cells[i].End()))
		}
		before := len(b.Cells)
		b = traffic.Join(b, &traffic.Book{Node: b.Node, From: floor})
		lost += before - len(b.Cells)
	}
	return form, lost
}

// dropBefore drops what of a document is past its time, and the document with the last of
// it.
func (c *counting) dropBefore(name string, b *traffic.Book, floor uint32) error {
	if b.Newest() <= int64(floor) && !c.isOwn(name) {
		c.joined.Drop(name)
		c.mu.Lock()
		delete(c.books, name)
		c.mu.Unlock()
		return nil
	}
	before, _ := b.Split(floor)
	if len(before.Cells) == 0 {
		return nil
	}
	return c.joined.Put(name, traffic.Append(nil, &traffic.Book{Node: b.Node, From: floor}))
}

// writeMetrics writes what the counts take.
func (c *counting) writeMetrics(w io.Writer) {
	s := c.joined.Stats()
	c.mu.Lock()
	lost := c.lost
	c.mu.Unlock()
	vm.WriteGaugeFloat64(w, "restraint_traffic_documents", float64(s.Documents))
	vm.WriteGaugeFloat64(w, "restraint_traffic_bytes", float64(s.Bytes))
	vm.WriteGaugeFloat64(w, "restraint_traffic_documents_unsent", float64(s.Unsent))
	vm.WriteCounterUint64(w, "restraint_traffic_documents_sent_total", s.Sent)
	vm.WriteCounterUint64(w, "restraint_traffic_documents_refused_total", s.Refused)
	vm.WriteCounterUint64(w, "restraint_traffic_counters_lost_total", lost)
}
