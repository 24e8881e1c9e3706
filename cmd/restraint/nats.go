package main

import (
	"context"
	"os"

	"restraint/edge/replica"
)

// natsCmd runs a NATS server.
type natsCmd struct {
	Config string `help:"Configuration of the server, in the format of nats-server; deploy/nats has one for each of three." placeholder:"FILE" required:""`
}

// Help is what --help prints below the flags' table.
func (natsCmd) Help() string {
	return `Runs the nats-server that is linked into this program, so that a cluster needs no other one. It logs to
stderr as JSON. SIGTERM and SIGINT hand over what the server leads and stop it; SIGHUP reads the file again.

It does not start where a listener can be reached from other machines and asks nobody who they are.`
}

// Run runs the server until ctx ends.
func (n *natsCmd) Run(ctx context.Context) error {
	reload := make(chan struct{}, 1)
	stop := onHangup(func() {
		select {
		case reload <- struct{}{}:
		default: // it will be read again anyway
		}
	})
	defer stop()
	return replica.RunServer(ctx, n.Config, reload, newLog(os.Stderr, "info"))
}
