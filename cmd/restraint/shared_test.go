package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"restraint/edge/replica"
	"restraint/edge/shared"
)

// refusing are documents of which none can be put.
type refusing struct {
	documents
	err error
}

func (r refusing) Put(context.Context, string, []byte, uint64) (uint64, error) { return 0, r.err }

// The edge knows the errors of the replica package by its own names.
func TestSharedErrors(t *testing.T) {
	full := errors.New("no room")
	for _, c := range []struct{ from, want, not error }{
		{replica.ErrConflict, shared.ErrConflict, shared.ErrAway},
		{replica.ErrAway, shared.ErrAway, shared.ErrConflict},
		{full, full, shared.ErrAway},
	} {
		_, err := clusterDocuments{refusing{err: fmt.Errorf("put policy: %w", c.from)}}.Put(t.Context(), "policy", nil, 1)
		if !errors.Is(err, c.want) || errors.Is(err, c.not) {
			t.Errorf("%v becomes %v", c.from, err)
		}
	}
}
