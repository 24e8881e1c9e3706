package main

import (
	"context"
	"io"

	"restraint/edge"
	"restraint/edge/replica"
)

// lists is the replica package's way for lists as the edge knows it.
type lists struct{ *replica.Lists }

var _ edge.ListCluster = lists{}

// Publish names errors as the edge does.
func (l lists) Publish(ctx context.Context, message []byte, above uint64) (uint64, error) {
	number, err := l.Lists.Publish(ctx, message, above)
	return number, edgeError(err)
}

// Follow has the edge's follower called.
func (l lists) Follow(ctx context.Context, f edge.ListFollower) {
	l.Lists.Follow(ctx, replica.ListFollower(f))
}

// Read names errors as the edge does.
func (l lists) Read(ctx context.Context, yield func(number uint64, message []byte) error) error {
	return edgeError(l.Lists.Read(ctx, yield))
}

// Put names errors as the edge does.
func (l lists) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	return edgeError(l.Lists.Put(ctx, name, r, size))
}

// Get names errors as the edge does.
func (l lists) Get(ctx context.Context, name string, size int64) (io.ReadCloser, error) {
	r, err := l.Lists.Get(ctx, name, size)
	return r, edgeError(err)
}

// Stream says how far this node has come.
func (l lists) Stream() (s edge.Stream, connected bool) {
	stats := l.Stats()
	return edge.Stream(stats.Stream), stats.Connected
}
