package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"restraint/edge/replica"
)

// Every setting for NATS reaches the broker.
func TestBrokerOptions(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	flags := map[string]string{
		"node": "edge-7", "data": "/var/lib/r", "nats.urls": "nats://a:4222,tls://b:4222", "nats.credentials_file": "c",
		"nats.tls.ca": "d", "nats.tls.cert": "e", "nats.tls.key": "f", "nats.replicas": "3", "nats.sync_interval": "20s", "nats.max_age": "36h",
		"ready.accept_gap": "RESTRAINT_EVENTS/1-9/5, RESTRAINT_REFUSALS/2-3/6",
	}
	cfg, err := loadConfig("", flags, false, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := replica.BrokerOptions{
		Dir: filepath.FromSlash("/var/lib/r/nats"), Node: "edge-7", URLs: []string{"nats://a:4222", "tls://b:4222"}, CredentialsFile: "c",
		CA: "d", Cert: "e", Key: "f", Replicas: 3, Log: log,
		MaxAge: 36 * time.Hour, SyncInterval: 20 * time.Second, AcceptGaps: []string{"RESTRAINT_EVENTS/1-9/5", "RESTRAINT_REFUSALS/2-3/6"},
	}
	if got := brokerOptions(&cfg, log); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if code := exitCode(fmt.Errorf("start node: %w", replica.ErrBrokerOptions)); code != 2 {
		t.Errorf("wrong settings end with %d", code)
	}
	cfg, err = loadConfig("", nil, false, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got := brokerOptions(&cfg, log); got.URLs != nil || got.Replicas != 1 || got.MaxAge != 72*time.Hour || got.Dir == "" || len(got.AcceptGaps) != 0 || got.SyncInterval != 10*time.Second {
		t.Errorf("defaults: %+v", got)
	}
}
