package main

import (
	"log/slog"
	"path/filepath"
	"strings"

	"restraint/edge/replica"
)

// brokerOptions says which NATS a node uses: that of nats.urls, or an embedded one under data.
func brokerOptions(cfg *Config, log *slog.Logger) replica.BrokerOptions {
	return replica.BrokerOptions{
		Dir:             filepath.Join(cfg.Data, "nats"),
		Node:            cfg.Node,
		URLs:            cfg.NATS.URLs,
		CredentialsFile: cfg.NATS.CredentialsFile,
		CA:              cfg.NATS.TLS.CA,
		Cert:            cfg.NATS.TLS.Cert,
		Key:             cfg.NATS.TLS.Key,
		Replicas:        cfg.NATS.Replicas,
		SyncInterval:    cfg.NATS.SyncInterval,
		AcceptGaps:      strings.FieldsFunc(cfg.Ready.AcceptGap, func(r rune) bool { return r == ',' || r == ' ' }),
		MaxAge:          cfg.NATS.MaxAge,
		Log:             log,
	}
}
