package edge

import (
	"context"
	"io"
)

// ListCluster carries what nodes tell one another of lists, but for the documents
// that say which upload is in use, which are Shared. Safe for concurrent use.
type ListCluster interface {
	// Publish has the cluster take a message, which may be empty, and returns its
	// number: above the given one and those of all messages before it, at least 1<<40,
	// and the same for everybody. ErrAway: the message may have been taken all the
	// same. Any other error: it was not. The message is not kept.
	Publish(ctx context.Context, message []byte, above uint64) (uint64, error)

	// Follow has f apply every message until ctx ends. It is called once.
	Follow(ctx context.Context, f ListFollower)

	// Read gives every message there is, in order, to yield, and ends with its first
	// error. ErrAway: there may be more.
	Read(ctx context.Context, yield func(number uint64, message []byte) error) error

	// Put keeps size bytes under a name that is used once.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Get reads what was put. The reader lives within ctx, and is to be closed.
	Get(ctx context.Context, name string, size int64) (io.ReadCloser, error)
	// Sweep deletes, late, what was put and is not used.
	Sweep(ctx context.Context, used func(name string) bool) error

	// Stream is how far Follow has come, connected whether the cluster can be reached.
	Stream() (s Stream, connected bool)
}

// ListFollower is who follows the messages of lists.
type ListFollower struct {
	// File keeps how far it has come; without it all is read again.
	File string
	// Apply is called with each message in order, never concurrently, and with the
	// number of the one before (0: not known). After an error it is called again with
	// the same message, after a pause. The message is not to be kept.
	Apply func(before, number uint64, message []byte) error
	// Sync makes what was applied outlive a power cut. It is called before File is
	// written.
	Sync func() error
	// Lost is called where the cluster has no longer the last message that was applied.
	Lost func()
}

// firstListNumber is below every number of a message: a store of lists that is alone
// counts from 1 and does not come so far.
const firstListNumber = 1 << 40
