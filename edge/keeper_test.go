package edge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// told is a Keeper that says what a test tells it to.
type told struct {
	unkept
	kept Kept
}

func (k *told) Kept() Kept { return k.kept }

// replicating is a node whose Keeper says so, and what it answers at /readyz.
func replicating(t *testing.T, r Replication) (n *Node, ready bool, details map[string]string) {
	t.Helper()
	n = benchNode(t, 16<<20, []byte(allocationPolicy))
	n.keeper = &told{kept: Kept{Replication: &r}}
	ready, conditions := n.ready()
	details = map[string]string{}
	for _, c := range conditions {
		details[c.Name] = fmt.Sprint(c.Ready, " ", c.Detail)
	}
	return n, ready, details
}

// A gap makes the node not ready, and what it says there is what the configuration takes.
func TestGapIsSaid(t *testing.T) {
	well := Stream{Next: 5, Reached: true}
	with := func(s Stream) Replication {
		return Replication{Broker: "cluster", Connected: true, Events: s, Refusals: well}
	}
	if _, ready, details := replicating(t, with(well)); !ready {
		t.Fatalf("%v", details)
	}
	gap := well
	gap.Gap, gap.GapName = "messages 1 to 9 have gone", "RESTRAINT_EVENTS/1-9/5"
	n, ready, details := replicating(t, with(gap))
	said := details["stream_events"]
	if ready || !strings.HasPrefix(said, "false gap: messages 1 to 9 have gone") || !strings.Contains(said, `ready.accept_gap: "RESTRAINT_EVENTS/1-9/5"`) || !strings.Contains(said, "by itself") {
		t.Errorf("ready %v: %s", ready, said)
	}
	if strings.Contains(said, "or restart to") {
		t.Errorf("a restart alone ends nothing: %s", said)
	}
	gap.GapsAccepted = 2
	n.keeper = &told{kept: Kept{Replication: &Replication{Events: gap}}}
	var b bytes.Buffer
	n.metrics.write(&b)
	for _, line := range []string{`restraint_stream_gap{stream="events"} 1`, `restraint_stream_gaps_accepted_total{stream="events"} 2`} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	// A message of a later version is no gap that can be accepted.
	stuck := well
	stuck.Gap = "update this node"
	if _, ready, details := replicating(t, with(stuck)); ready || details["stream_events"] != "false update this node" {
		t.Errorf("%v %v", ready, details)
	}
}

// A node that never reached the end of a stream is ready without NATS where what its snapshot
// knows is no older than ready.max_stale; with NATS it reads first, and afterwards it stays ready.
func TestReadyWithoutNATS(t *testing.T) {
	const allowed = time.Hour
	now := time.Now()
	r := Replication{Broker: "cluster", Problem: "no servers"}
	for _, c := range []struct {
		name      string
		stream    Stream
		connected bool
		ready     bool
		said      string
	}{
		{"a fresh snapshot", Stream{Known: now.Add(-allowed)}, false, true, "degraded: NATS cannot be reached (no servers)"},
		{"an old snapshot", Stream{Known: now.Add(-allowed - time.Second)}, false, false, "the snapshot is 1h0m1s old; ready.max_stale allows 1h0m0s"},
		{"no snapshot", Stream{}, false, false, "there is no snapshot to go by"},
		{"NATS is there", Stream{Known: now, Behind: 7}, true, false, "7 messages behind"},
		{"NATS goes away later", Stream{Known: now.Add(-2 * allowed), Reached: true}, false, true, ""},
		{"a gap", Stream{Known: now, Reached: true, Gap: "messages 1 to 9 have gone"}, false, false, "messages 1 to 9"},
	} {
		r.Connected = c.connected
		if ready, said := r.ready(&c.stream, now, allowed); ready != c.ready || !strings.Contains(said, c.said) || c.said == "" && said != "" {
			t.Errorf("%s: ready %v, %q", c.name, ready, said)
		}
	}
}

// A stuck broker is said, and the node goes on.
func TestStuckBrokerIsSaid(t *testing.T) {
	r := Replication{Broker: "embedded", Connected: true, Events: Stream{Reached: true}, Refusals: Stream{Reached: true}}
	if _, ready, details := replicating(t, r); !ready || details["broker"] != "true " {
		t.Errorf("%v %v", ready, details)
	}
	r.BrokerStuck, r.BrokerRestarts = "no space left", 3
	n, ready, details := replicating(t, r)
	if !ready || !strings.Contains(details["broker"], "stuck") || !strings.Contains(details["broker"], "no space left") {
		t.Errorf("%v %v", ready, details)
	}
	var b bytes.Buffer
	n.metrics.write(&b)
	for _, line := range []string{"restraint_broker_stuck 1", "restraint_broker_restarts_total 3"} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}
