package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/edge/audit"
)

// Three nodes on real NATS: each keeps the heads of all, so an end that is cut off one record,
// with what its own disk kept of it, is found by any other; a policy stands in the record of
// all.
func TestAuditOnThreeNodes(t *testing.T) {
	nodes, _ := threeNodes(t)
	a := nodes[0]
	data := filepath.Join(a.cmd.Dir, "data")
	for _, change := range []string{"u-1\n", "u-2\n", "u-3\n"} {
		if status, answer := a.send(t, "POST", "/v1/lists/customers/add", "text/plain", change); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	for _, other := range nodes[1:] {
		untilSo(t, "the head of a on the others", func() bool {
			r := inProcess(t, nil, "", "audit", "verify", "--data", data, "--peer", other.url)
			return r.code == 0 && strings.Contains(r.stdout, "numbers 1 to 12,") && strings.Contains(r.stdout, "up to entry 12, by a head of the node at "+other.url)
		})
	}
	for i, s := range nodes {
		entries := entriesOf(t, s.cmd.Dir)
		action := audit.PolicyTaken
		if i == 0 {
			action = audit.PolicyPut
		}
		if !slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Action == action && e.Outcome == audit.Done && e.Policy == 2 }) {
			t.Errorf("node %d: version 2 is not on record: %+v", i, entries)
		}
	}

	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-a.exited
	log := filepath.Join(data, "audit", "0000000000000001.jsonl")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, bytes.Join(bytes.SplitAfter(text, []byte("\n"))[:9], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(data, "joined")); err != nil {
		t.Fatal(err)
	}
	for _, other := range nodes[1:] {
		inProcess(t, nil, "", "audit", "verify", "--data", data, "--peer", other.url).must(t, 1, "entry 10: the end was cut off: entries 10 to 12 are missing, 3 in all", "names entry 12")
	}
}

// untilSo asks until it is so.
func untilSo(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !so(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}
