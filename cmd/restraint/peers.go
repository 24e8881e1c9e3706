package main

import (
	"context"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/replica"
)

// peers are the other nodes of the replica package's Keeper as the edge knows them.
type peers struct{ *replica.Keeper }

var _ edge.Peers = peers{}

// Erased names errors as the edge does.
func (p peers) Erased(ctx context.Context, keys []caps.Key, until caps.Second) ([]edge.PeerErased, error) {
	nodes, err := p.Keeper.Erased(ctx, keys, until)
	all := make([]edge.PeerErased, len(nodes))
	for i := range nodes {
		all[i] = edge.PeerErased(nodes[i])
	}
	return all, edgeError(err)
}
