package client_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/client"
	"restraint/edge/identity"
)

// testPolicy has small limits, so that a few showings reach them.
const testPolicy = `
timezone: UTC
markets:
  - {name: strict, countries: [DEU], require: tcf}
  - {name: everywhere, require: none}
unknown: everywhere
sensitive: ["cat:286"]
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 3, within: 24h}]}
  single: {advertiser: acme, caps: [{per: campaign, limit: 1, within: 1h}], hold: 60s}
  "quote\"d\\name": {advertiser: other, caps: [{per: campaign, limit: 1, within: 1h}]}
  beside: {advertiser: other, not_beside: ["cat:386"]}
  glanced: {advertiser: other, purpose: retargeting, interest: {least: 2, after: 1m, until: 14d, from: [own]}}
  mail: {advertiser: other, caps: [{per: campaign, channel: email, limit: 1, within: 1h}]}
`

// testNode is a node that runs, and how to stop it.
type testNode struct {
	*edge.Node
	stop func()
}

// startNode starts a node on addr and stops it with the test.
func startNode(t testing.TB, addr string, change func(*edge.Options)) *testNode {
	t.Helper()
	dir := t.TempDir()
	secret, _, err := identity.OpenSecret(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	o := edge.Options{
		Name: "test", Listen: addr, AdminListen: "127.0.0.1:0", Dir: dir, Secret: secret,
		Caps:        caps.Options{Memory: 16 << 20, RefusalMemory: 8 << 20},
		MaxRejected: 0.01, MaxShrink: 0.5, MaxUpload: 1 << 20, Connections: 1000,
		FirstPolicy: []byte(testPolicy), FirstPolicyName: "test", Version: "test", Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	running, err := edge.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- running.Run(ctx) }()
	n := &testNode{Node: running}
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// newClient makes a client whose deadlines a busy machine keeps, and closes it with the
// test.
func newClient(t testing.TB, change func(*client.Options), addrs ...string) *client.Client {
	t.Helper()
	o := client.Options{Addrs: addrs, Timeout: time.Minute, ReportTimeout: time.Minute}
	if change != nil {
		change(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// decide is Decide where a failure is fatal.
func decide(t *testing.T, c *client.Client, r *client.Request) *client.Answer {
	t.Helper()
	a, err := c.Decide(t.Context(), r)
	if err != nil || a.FailSafe || len(a.Decisions) == 0 {
		t.Fatalf("decide: %+v %v", a, err)
	}
	return a
}

// fails checks that an answer is fail-safe, of that verdict and for that reason.
func fails(t *testing.T, a *client.Answer, err error, n int, show bool, kind client.Kind) *client.Error {
	t.Helper()
	var failed *client.Error
	if !errors.As(err, &failed) || failed.Kind != kind || !a.FailSafe || a.Token != "" || len(a.Decisions) != n {
		t.Fatalf("want %d fail-safe decisions for %s, got %+v, %v", n, kind, a, err)
	}
	for i, d := range a.Decisions {
		if d.Show != show || a.ShowAt(i) != show || d.Reason != "" {
			t.Errorf("decision %d is %+v, want show %v", i, d, show)
		}
	}
	return failed
}

func one(campaign string) []client.Candidate { return []client.Candidate{{Campaign: campaign}} }
