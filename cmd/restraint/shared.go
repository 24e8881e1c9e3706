package main

import (
	"context"
	"errors"
	"fmt"

	"restraint/edge"
	"restraint/edge/replica"
)

// shared are the replica package's documents as the edge knows them.
type shared struct{ replica.Documents }

var _ edge.Shared = shared{}

// Put names errors as the edge does.
func (s shared) Put(ctx context.Context, name string, document []byte, revision uint64) (uint64, error) {
	next, err := s.Documents.Put(ctx, name, document, revision)
	switch {
	case errors.Is(err, replica.ErrConflict):
		err = fmt.Errorf("%w: %w", edge.ErrConflict, err)
	case errors.Is(err, replica.ErrAway):
		err = fmt.Errorf("%w: %w", edge.ErrAway, err)
	}
	return next, err
}
