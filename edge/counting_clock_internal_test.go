package edge

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/traffic"
)

// clockKeeper knows what time it is at the cluster's servers.
type clockKeeper struct {
	unkept
	servers, asked time.Time
}

func (k *clockKeeper) Kept() Kept {
	return Kept{Replication: &Replication{Broker: brokerCluster, ClockAsked: k.asked, ClockServers: k.servers}}
}

// A node whose clock is years ahead, or that cannot tell yet, lets go of no counts, which
// would be gone on all nodes.
func TestCountsOutliveAWrongClock(t *testing.T) {
	secret, err := identity.ParseSecret([]byte("one secret of thirty-two bytes!!"))
	if err != nil {
		t.Fatal(err)
	}
	keeper := &clockKeeper{}
	n, err := load(Options{
		Name: "a", Dir: t.TempDir(), Secret: secret, Caps: caps.Options{Memory: 16 << 20, RefusalMemory: 8 << 20}, Keeper: keeper,
		FirstPolicy: []byte("campaigns: {}"), FirstPolicyName: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	now := time.Now()
	right := now.AddDate(-3, 0, 0)
	cells := []traffic.Cell{{Start: 1, Begin: uint32(right.Unix()) - 24*3600, Row: traffic.Row{Campaign: "x", Arm: "all", Market: "eu"}, Measure: countShow, N: 7}}
	if err := n.counting.joined.Put(partName("b", true, 1, 0), traffic.Append(nil, traffic.NewBook("b", 0, cells))); err != nil {
		t.Fatal(err)
	}
	held := func() (sum uint64) {
		n.counting.each(0, 1<<32-1, func(_ string, c *traffic.Cell) { sum += c.N })
		return sum
	}
	for what, servers := range map[string]time.Time{"not compared yet": {}, "wrong": right} {
		keeper.asked, keeper.servers = now, servers
		n.checkClock(now)
		n.writeCounts()
		if got := held(); got != 7 {
			t.Fatalf("%s: %d are left of 7", what, got)
		}
	}
	keeper.servers = now
	n.checkClock(now)
	if n.writeCounts(); held() != 0 {
		t.Error("under a clock that is right, three years later, they are still there")
	}
}
