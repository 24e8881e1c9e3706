package edge

import "time"

// maxUploads are read at once, of all lists, additions and removals too: each may
// hold 48 MiB to sort its members and, compressed by zstd, a window of 128 MiB that a
// few bytes ask for. Chosen.
const maxUploads = 16

// uploadWait is how long one waits for another's end: small ones take milliseconds.
// Chosen.
const uploadWait = 2 * time.Second

// uploads holds a place for each upload that is read.
type uploads chan struct{}

// begin takes a place, until end, or says that none became free.
func (u uploads) begin() bool {
	timer := time.NewTimer(uploadWait)
	defer timer.Stop()
	select {
	case u <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (u uploads) end() { <-u }
