package main

import (
	"context"

	"github.com/alecthomas/kong"
)

// serveCmd runs a node.
type serveCmd struct {
	Config      string `help:"Configuration file; none: everything has its default." placeholder:"FILE"`
	Clock       string `help:"wall, or request: take now from the requests' at, for replays; loopback and embedded NATS only." enum:"wall,request" default:"wall"`
	PrintConfig bool   `help:"Print the effective configuration and where each value came from, and end."`
	kong.Plugins
	keys configFlags
}

// Run loads the configuration and runs the node until ctx ends.
func (s *serveCmd) Run(ctx context.Context, p *process) error {
	cfg, err := p.loadConfig(s.Config, s.keys.given(), s.Clock == "request")
	if err != nil {
		return err
	}
	if s.PrintConfig {
		return printConfig(p.stdout, &cfg)
	}
	return serve(ctx, cfg)
}
