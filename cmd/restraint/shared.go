package main

import (
	"context"
	"errors"
	"fmt"

	"restraint/edge/replica"
	"restraint/edge/shared"
)

// documents are the shared documents as the replica package has them.
type documents interface {
	Put(ctx context.Context, name string, document []byte, revision uint64) (uint64, error)
	List(ctx context.Context, prefix string, each func(name string, document []byte, revision uint64)) error
	Follow(ctx context.Context, prefix string, changed func(name string, document []byte, revision uint64))
}

// clusterDocuments are the replica package's documents as the edge knows them.
type clusterDocuments struct{ documents }

var _ shared.Store = clusterDocuments{}

// Put names errors as the edge does.
func (s clusterDocuments) Put(ctx context.Context, name string, document []byte, revision uint64) (uint64, error) {
	next, err := s.documents.Put(ctx, name, document, revision)
	return next, edgeError(err)
}

// List names errors as the edge does.
func (s clusterDocuments) List(ctx context.Context, prefix string, each func(name string, document []byte, revision uint64)) error {
	return edgeError(s.documents.List(ctx, prefix, each))
}

func edgeError(err error) error {
	switch {
	case errors.Is(err, replica.ErrConflict):
		return fmt.Errorf("%w: %w", shared.ErrConflict, err)
	case errors.Is(err, replica.ErrAway):
		return fmt.Errorf("%w: %w", shared.ErrAway, err)
	}
	return err
}
