package suppress

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// What may be under way in a list. Of those that make a generation there is at
// most one at a time.
const (
	workUpload     = "upload"
	workChange     = "change" // makes one where it has more members than fit in memory
	workCompaction = "compaction"
	workInstall    = "fetch"
	workRollback   = "rollback"
	workDeletion   = "deletion"
	workReseal     = "resealing"
)

// Work is what is under way in a list, and how far it is.
type Work struct {
	What  string    `json:"what"` // upload, change (an addition or removal), compaction, fetch (of another node's upload), rollback, deletion, resealing (in another epoch of the secret)
	Since time.Time `json:"since"`
	// Of an upload and a change: the bytes that were read, compressed as they came,
	// the rows, and whether they were read to their end.
	Bytes    int64  `json:"bytes,omitempty"`
	Rows     uint64 `json:"rows,omitempty"`
	Building bool   `json:"building,omitempty"`
}

// BusyError refuses what would make a generation of a list while another is made.
// It wraps ErrBusy.
type BusyError struct {
	List string
	Work *Work // nil: it has just begun or ended
	At   time.Time
}

func (e *BusyError) Error() string {
	if e.Work == nil {
		return fmt.Sprintf("%v: another change of list %q is under way; try again when it has ended", ErrBusy, e.List)
	}
	far := ""
	if e.Work.What == workUpload {
		far = fmt.Sprintf(", %d bytes read", e.Work.Bytes)
	}
	return fmt.Sprintf("%v: %s of %q, under way since %s, for %s%s; try again when it has ended",
		ErrBusy, e.Work.What, e.List, e.Work.Since.UTC().Format(time.RFC3339), e.At.Sub(e.Work.Since).Round(time.Second), far)
}

func (e *BusyError) Unwrap() error { return ErrBusy }

// work is Work while it goes on.
type work struct {
	what     string
	since    time.Time
	bytes    atomic.Int64
	rows     atomic.Uint64
	building atomic.Bool
}

// countEvery is how many rows pass between two notes of them (chosen).
const countEvery = 1 << 12

func (w *work) told() *Work {
	if w == nil {
		return nil
	}
	return &Work{What: w.what, Since: w.since, Bytes: w.bytes.Load(), Rows: w.rows.Load(), Building: w.building.Load()}
}

// tryBuild takes the right to make generations of l, or says who has it.
func (s *Store) tryBuild(l *list, what string) error {
	now := s.o.Now()
	if !l.build.TryLock() {
		return &BusyError{List: l.name, Work: l.working.Load().told(), At: now}
	}
	l.working.Store(&work{what: what, since: now})
	return nil
}

func (l *list) endBuild() {
	l.working.Store(nil)
	l.build.Unlock()
}

// underWay is what makes a generation, else the change that began last and is
// still read; nil: nothing.
func (l *list) underWay() *Work {
	if w := l.working.Load(); w != nil {
		return w.told()
	}
	return l.changing.Load().told()
}

// beginChange notes a change that takes no right to build. What it returns ends it.
func (s *Store) beginChange(l *list) (w *work, end func()) {
	w = &work{what: workChange, since: s.o.Now()}
	l.changing.Store(w)
	return w, func() { l.changing.CompareAndSwap(w, nil) }
}

type countedReader struct {
	io.Reader
	bytes *atomic.Int64
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}
