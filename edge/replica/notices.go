package replica

import (
	"log/slog"
	"sync/atomic"
)

// notices counts and logs what went wrong without ending anything: damaged files, failed snapshots.
type notices struct {
	log   *slog.Logger
	count atomic.Uint64
}

func (n *notices) add(message string, args ...any) {
	n.count.Add(1)
	n.log.Warn(message, args...)
}
