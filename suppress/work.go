package suppress

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// What may be under way in a list: at most one at a time.
const (
	workUpload     = "upload"
	workChange     = "change"
	workCompaction = "compaction"
	workInstall    = "fetch"
	workRollback   = "rollback"
	workDeletion   = "deletion"
)

// Work is what is under way in a list, and how far it is.
type Work struct {
	What  string    `json:"what"` // upload, change (of many members), compaction, fetch (of another node's upload), rollback, deletion
	Since time.Time `json:"since"`
	// Bytes of an upload that were read, compressed as they came.
	Bytes int64 `json:"bytes,omitempty"`
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
	what  string
	since time.Time
	bytes atomic.Int64
}

func (w *work) told() *Work {
	if w == nil {
		return nil
	}
	return &Work{What: w.what, Since: w.since, Bytes: w.bytes.Load()}
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

// counted counts the bytes of an upload that l.build is held for.
func (l *list) counted(r io.Reader) io.Reader { return &countedReader{r, &l.working.Load().bytes} }

type countedReader struct {
	io.Reader
	bytes *atomic.Int64
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}
