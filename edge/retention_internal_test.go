package edge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
)

// Each kind that goes by age is held until its time is over, then let go of by the node
// itself, while nobody asks; and what is told of the oldest is never more than the rounds
// of the sweep over its time.
func TestRetentionInFakeTime(t *testing.T) {
	const oneDay, rounds = 24 * time.Hour, 20 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		secret, err := identity.ParseSecret([]byte(strings.Repeat("s", 32)))
		if err != nil {
			t.Fatal(err)
		}
		n, err := load(Options{
			Name: "fake", Dir: t.TempDir(), Secret: secret, MaxRejected: 0.01, MaxShrink: 0.5, MaxUpload: 1 << 30, Connections: 1,
			Caps: caps.Options{Memory: 16 << 20, RefusalMemory: 2 << 20},
			FirstPolicy: []byte(`
retention: {exposures: 10d, purchases: 20d}
markets: [{name: all, require: none}]
campaigns:
  a: {advertiser: acme, hold: 60s, caps: [{per: campaign, limit: 9, within: lifetime}], purchased: {advertiser: 20d}}
`), FirstPolicyName: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer n.close()
		start := time.Now()
		// pass lets time pass with the node at work for the last of it.
		pass := func(until time.Duration) {
			time.Sleep(until - rounds - time.Since(start))
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); n.sweep(ctx) }()
			time.Sleep(rounds)
			stop()
			<-done
		}
		for _, body := range []string{
			`{"type":"impression","user":{"id":"u"},"campaign":"a"}`,
			`{"type":"purchase","user":{"id":"u"},"advertiser":"acme"}`,
			`{"type":"hide","user":{"id":"u"},"campaign":"a"}`,
		} {
			if answer, err := n.AppendEvents(nil, []byte(body)); err != nil || !bytes.Contains(answer, []byte(`"accepted":1`)) {
				t.Fatalf("%s: %s %v", body, answer, err)
			}
		}
		if _, err := n.AppendDecide(nil, []byte(`{"user":{"id":"v"},"candidates":[{"campaign":"a"}],"want":1,"hold":true}`), false); err != nil {
			t.Fatal(err)
		}
		oldest := func() map[string]uint32 {
			var text bytes.Buffer
			n.metrics.write(&text)
			ages := n.oldest()
			for kind, age := range ages {
				if line := fmt.Sprintf("restraint_oldest_seconds{kind=%q} %v\n", kind, float64(age)); !strings.Contains(text.String(), line) {
					t.Errorf("the metrics lack %s", line)
				}
			}
			if len(ages) != strings.Count(text.String(), "restraint_oldest_seconds{") {
				t.Errorf("the metrics have more than %v", ages)
			}
			return ages
		}
		kinds := []struct {
			name string
			kept time.Duration
		}{{"holds", time.Minute}, {"exposures", 10 * oneDay}, {"purchases", 20 * oneDay}, {"hidden_campaigns", 90 * oneDay}}
		for _, kind := range kinds {
			said := uint32(0)
			for _, k := range n.rules.Load().retained() {
				if k.Kind == kind.name {
					said = k.Seconds
				}
			}
			if said != uint32(kind.kept/time.Second) {
				t.Errorf("%s: kept for %d seconds by what is told, want %v", kind.name, said, kind.kept)
			}
			if before := kind.kept - time.Second; before > rounds {
				pass(before)
				if age := time.Duration(oldest()[kind.name]) * time.Second; age < before-rounds || age > before {
					t.Errorf("%s: after %v the oldest is of %v ago", kind.name, before, age)
				}
			}
			pass(kind.kept + 2*rounds)
			if age, held := oldest()[kind.name]; held {
				t.Errorf("%s: something of %d seconds ago is there after %v", kind.name, age, kind.kept+2*rounds)
			}
		}
		if s := n.caps.Stats(); s.Users+s.Counters+s.RefusalUsers+s.Refusals != 0 {
			t.Errorf("left in memory: %+v", s)
		}
	})
}
