package suppress

import "sync/atomic"

// Progress is how far an upload is that is under way.
type Progress struct {
	Rows     uint64 `json:"rows"`     // read so far
	Building bool   `json:"building"` // it has been read to its end
}

// progress is written by the upload and may be read beside it.
type progress struct {
	rows     atomic.Uint64
	building atomic.Bool
}

// countEvery is how many rows pass between two notes of the progress (chosen).
const countEvery = 1 << 12

// underWay gives the progress of the upload that began last; nil when none is
// under way, or another one has ended since.
func (l *list) underWay() *Progress {
	p := l.upload.Load()
	if p == nil {
		return nil
	}
	return &Progress{p.rows.Load(), p.building.Load()}
}
