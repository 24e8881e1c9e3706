package edge

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/shared/sharedtest"
)

// A node that waits for its cluster to say which policy is in force asks it every second,
// and that is on the record once.
func TestFirstPolicyIsProposedOnRecordOnce(t *testing.T) {
	link := sharedtest.New().Link()
	link.Cut(true)
	secret, err := identity.ParseSecret([]byte("one secret of thirty-two bytes!!"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := load(Options{
		Name: "a", Dir: t.TempDir(), Secret: secret, Caps: caps.Options{Memory: 16 << 20, RefusalMemory: 8 << 20}, Shared: link,
		FirstPolicy: []byte("campaigns: {}"), FirstPolicyName: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	before := n.record.log.Seq()
	for range 5 {
		n.settlePolicy(context.Background())
	}
	if now := n.record.log.Seq(); now != before {
		t.Errorf("%d entries while the cluster is away", now-before)
	}
	link.Cut(false)
	n.settlePolicy(context.Background())
	if now := n.record.log.Seq(); now != before+1 || n.rules.Load().Version != 1 {
		t.Errorf("%d entries for what became of it; version %d", now-before, n.rules.Load().Version)
	}
}
