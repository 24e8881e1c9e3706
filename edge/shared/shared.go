// Package shared is what the nodes of a cluster have in common beside the streams of
// events: named documents. Store is how a node asks for them; Joined keeps those of which
// every change is a merge, also where the node is alone.
package shared

import (
	"context"
	"errors"
)

// Store is the documents that the nodes of a cluster have in common: the policy is
// one of them. Safe for concurrent use.
type Store interface {
	// Put replaces the document where its revision is still the given one (0: there
	// is none yet) and returns the new revision, which is never 0. ErrConflict:
	// another node was faster. ErrAway: the cluster cannot be reached, and nothing is
	// known to have changed; a write whose answer was lost may still come by Follow.
	// Any other error: the cluster refused, and nothing has changed.
	// The document is not kept.
	Put(ctx context.Context, name string, document []byte, revision uint64) (uint64, error)

	// List calls each with every document whose name begins with prefix, in order of
	// revision, as they are when it is called. ErrAway: not all could be read, and each
	// may not have been called. each may keep the document and must not alter it.
	List(ctx context.Context, prefix string, each func(name string, document []byte, revision uint64)) error

	// Follow calls changed with the newest state of each document whose name begins
	// with prefix, at first and after each change, in order of revision, never
	// concurrently, until ctx ends. It may leave out states in between and may repeat
	// one. A document that is there no more is nil, with revision 0. Revisions begin
	// anew where the store was made anew, and go back where it was rolled back.
	// changed must not alter the document and may keep it.
	Follow(ctx context.Context, prefix string, changed func(name string, document []byte, revision uint64))
}

// What a Shared refuses by.
var (
	ErrConflict = errors.New("another node was faster")
	ErrAway     = errors.New("the cluster cannot be reached")
)
