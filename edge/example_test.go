package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/replica"
)

// nodeKeeper is a replica.Keeper as a node knows it: the two packages do not know each other.
type nodeKeeper struct{ *replica.Keeper }

func (k nodeKeeper) Kept() edge.Kept {
	s := k.Stats()
	return edge.Kept{OutboxBytes: s.OutboxBytes, OutboxOldest: s.OutboxOldest, SnapshotAge: s.SnapshotAge, Notices: s.Notices, Incomplete: s.Restored.Incomplete}
}

// openNode makes a node whose counters outlive the process, and that shares them with
// nobody. close is for after Run.
func openNode(dir string, rules []byte) (node *edge.Node, close func() error, err error) {
	quiet := slog.New(slog.DiscardHandler) // yours
	secret, made, err := identity.OpenSecret(filepath.Join(dir, "secret"))
	if err != nil {
		return nil, nil, err
	}
	keeper, err := replica.Open(replica.Options{Dir: filepath.Join(dir, "counters"), Fingerprint: secret.Fingerprint(), Seals: secret.Epochs().Seals(), SecretMade: made, Log: quiet})
	if err != nil {
		return nil, nil, err
	}
	node, err = edge.Open(edge.Options{
		Name: "ad-server-1", Dir: dir, Secret: secret, Keeper: nodeKeeper{keeper},
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Connections: 100, // lists, policy and metrics are still asked over HTTP
		Caps:        caps.Options{Memory: 64 << 20, RefusalMemory: 8 << 20},
		MaxRejected: 0.01, MaxShrink: 0.5, MaxUpload: 1 << 30,
		FirstPolicy: rules, FirstPolicyName: "built-in example", Version: "example", Log: quiet,
	})
	if err != nil {
		_ = keeper.Close()
		return nil, nil, err
	}
	return node, keeper.Close, nil
}

// An ad server in Go with the node in its own process: a decision is a function call that
// allocates nothing, and takes and gives the bytes of POST /v1/decide.
func ExampleNode_AppendDecide() {
	dir, err := os.MkdirTemp("", "restraint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	node, closeKeeper, err := openNode(dir, policy.Example)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }() // clears away what has expired, until ctx ends

	// On each bid: the bid request with its candidates, and a buffer that is used again.
	bid := []byte(`{"id":"r-1","user":{"id":"u-123"},"candidates":[{"campaign":"spring-shoes","creative":"c-1"}]}`)
	var answer []byte
	if answer, err = node.AppendDecide(answer[:0], bid, false); err != nil {
		log.Fatal(err) // an *edge.RequestError: show nothing
	}
	fmt.Printf("%s", answer)

	// Once it was seen.
	seen := []byte(`{"type":"impression","id":"imp-1","user":{"id":"u-123"},"campaign":"spring-shoes","creative":"c-1"}`)
	if answer, err = node.AppendEvents(answer[:0], seen); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", answer)
	if answer, err = node.AppendDecide(answer[:0], bid, false); err != nil {
		log.Fatal(err)
	}
	var second struct{ Decisions []struct{ Reason string } }
	if err := json.Unmarshal(answer, &second); err != nil {
		log.Fatal(err)
	}
	fmt.Println("now skipped:", second.Decisions[0].Reason)

	stop()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	if err := closeKeeper(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"id":"r-1","policy":1,"decisions":[{"campaign":"spring-shoes","show":true}]}
	// {"accepted":1,"rejected":[]}
	// now skipped: spacing
}
