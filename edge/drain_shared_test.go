package edge_test

import (
	"bytes"
	"strings"
	"testing"

	"restraint/edge"
	"restraint/edge/audit"
	"restraint/edge/shared/sharedtest"
)

// What a node wrote last is with the cluster when it has ended: its disk may be thrown
// away then.
func TestEndedNodeGivesTheClusterAll(t *testing.T) {
	s := sharedtest.New()
	l := newLink(s)
	n := startNode(t, "", testPolicy, l.options)
	inForce(t, 1, testPolicy, n)
	n.must(200, "PUT", "/v1/policy?pilot=50", "", limit("2"), nil)
	n.versions()
	n.stop()
	r, signed := n.verified(t), uint64(0)
	if r.FaultsTotal != 0 {
		t.Fatal(r.Faults)
	}
	heads, err := audit.ParseHeads(s.Get(edge.HeadsFile("test")).Content, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range heads {
		signed = max(signed, heads[i].Seq)
	}
	if signed != r.Last {
		t.Errorf("the cluster's head is of entry %d of %d", signed, r.Last)
	}
	var effects, counts int
	s.Change(func(s *sharedtest.State) {
		for name, d := range s.Documents {
			if strings.HasPrefix(name, "effect-") && bytes.Contains(d.Content, []byte(`"show"`)) {
				effects++
			}
			if strings.HasPrefix(name, "traffic.") {
				counts++
			}
		}
	})
	if effects != 1 || counts != 1 {
		t.Errorf("%d documents of the pilot, %d of counts", effects, counts)
	}
}

// A policy that comes while a node ends is refused, whatever of the node is closed by then.
func TestEndedNodeTakesNoPolicy(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.stop()
	if err := n.running.PutPolicy([]byte(limit("5")), "policy.yaml"); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Error(err)
	}
	if r := n.verified(t); r.FaultsTotal+r.UnfinishedTotal != 0 {
		t.Errorf("%+v", r)
	}
}
