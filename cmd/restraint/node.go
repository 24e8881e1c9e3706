package main

import (
	"context"
	"errors"
)

// serve runs a node until ctx ends.
func serve(_ context.Context, _ Config) error {
	return errors.New("not built yet")
}
