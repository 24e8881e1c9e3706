package edge_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restraint/edge"
	"restraint/edge/audit"
	"restraint/edge/shared/sharedtest"
)

// heads are what a node signs, and keeps.
func (n *node) heads(t *testing.T) (own audit.Head, kept []audit.Witness) {
	t.Helper()
	var answer struct {
		Head audit.Head
		Kept []audit.Head
	}
	n.must(200, "GET", "/v1/audit/head", "", "", &answer)
	for _, h := range answer.Kept {
		kept = append(kept, audit.Witness{From: "kept", Head: h})
	}
	return answer.Head, kept
}

// Each node keeps the heads of all, also on its disk, and a policy stands in the record of
// every node that put it in force.
func TestHeadsOfTheCluster(t *testing.T) {
	named := func(name string, l *link) func(*edge.Options) {
		return func(o *edge.Options) { o.Name, o.Shared = name, l }
	}
	s := sharedtest.New()
	links := []*link{newLink(s), newLink(s)}
	nodes := []*node{startNode(t, "", testPolicy, named("a", links[0])), startNode(t, "", testPolicy, named("b", links[1]))}
	inForce(t, 1, testPolicy, nodes...)
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("4"), nil)
	inForce(t, 2, limit("4"), nodes...)
	own, _ := nodes[0].heads(t)
	of := func(node string, kept []audit.Witness) (of []audit.Witness) {
		for _, w := range kept {
			if w.Node == node {
				of = append(of, w)
			}
		}
		return of
	}
	eventually(t, "the head on the other node", func() bool {
		_, kept := nodes[1].heads(t)
		return slices.ContainsFunc(of("a", kept), func(w audit.Witness) bool { return w.Seq == own.Seq })
	})
	entries := nodes[1].recorded(t)
	taken := entries[slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Policy == 2 })]
	if inShort(&taken) != "policy.taken done  by cluster" || taken.Before["version"] != 1.0 || taken.After["version"] != 2.0 {
		t.Errorf("%+v", taken)
	}

	// The end of the record of one is cut off while it is down; the other knows.
	nodes[0].stop()
	path := filepath.Join(nodes[0].dir, "audit", "0000000000000001.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	cutAt := 3
	if err := os.WriteFile(path, bytes.Join(lines[:cutAt], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	_, kept := nodes[1].heads(t)
	if r := nodes[0].verified(t, of("a", kept)...); r.FaultsTotal != 1 || r.Faults[0].Seq != 4 || !strings.Contains(r.Faults[0].What, "cut off") {
		t.Errorf("%v", r.Faults)
	}
	// It finds that itself, also where its own disk has forgotten the head.
	if err := os.RemoveAll(filepath.Join(nodes[0].dir, "joined")); err != nil {
		t.Fatal(err)
	}
	again := startNode(t, nodes[0].dir, testPolicy, named("a", links[0]))
	eventually(t, "the cut on record", func() bool {
		return slices.ContainsFunc(again.recorded(t), func(e audit.Entry) bool { return e.Action == audit.RecordCut })
	})
	cuts := again.metric("restraint_audit_cut_total")
	again.stop()
	if cuts == 0 || !strings.Contains(again.log.String(), "lacks entries that it had") {
		t.Errorf("%v cuts are counted\n%s", cuts, again.log)
	}
	if r := again.verified(t, of("a", kept)...); r.FaultsTotal == 0 || r.Faults[0].Seq > uint64(len(lines)) {
		t.Errorf("%+v", r)
	}

	// A node whose whole data directory was made anew is known to have had another record.
	_, kept = nodes[1].heads(t)
	fresh := startNode(t, "", testPolicy, named("a", links[0]))
	eventually(t, "another record", func() bool {
		own, kept := fresh.heads(t)
		return slices.ContainsFunc(of("a", kept), func(w audit.Witness) bool { return w.Key != own.Key })
	})
	fresh.stop()
	if !strings.Contains(fresh.log.String(), "had another audit record before") {
		t.Errorf("not said\n%s", fresh.log)
	}
	if r := fresh.verified(t, of("a", kept)...); r.FaultsTotal == 0 || !strings.Contains(r.Faults[0].What, "does not name") {
		t.Errorf("%+v", r.Faults)
	}
}

// A node that was put back to an older copy, cut off from the others, and has grown past what
// they know, finds that out when it hears of them.
func TestRecordPutBackAndGrown(t *testing.T) {
	named := func(name string, l *link) func(*edge.Options) {
		return func(o *edge.Options) { o.Name, o.Shared = name, l }
	}
	s := sharedtest.New()
	links := []*link{newLink(s), newLink(s)}
	a, b := startNode(t, "", testPolicy, named("a", links[0])), startNode(t, "", testPolicy, named("b", links[1]))
	inForce(t, 1, testPolicy, a, b)
	a.stop()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(a.dir)); err != nil {
		t.Fatal(err)
	}
	prefer := func(n *node, times int) {
		for i := range times {
			n.must(200, "POST", "/v1/users/preferences", "application/json", fmt.Sprintf(`{"user":{"id":"u-%d"},"personalisation":false}`, i), nil)
		}
	}
	a = startNode(t, a.dir, testPolicy, named("a", links[0]))
	prefer(a, 2)
	before, _ := a.heads(t)
	eventually(t, "the head on the other node", func() bool {
		_, kept := b.heads(t)
		return slices.ContainsFunc(kept, func(w audit.Witness) bool { return w.Head.MAC == before.MAC })
	})
	a.stop()
	_, kept := b.heads(t)
	kept = slices.DeleteFunc(kept, func(w audit.Witness) bool { return w.Node != "a" })

	links[0].Cut(true)
	if err := os.Chmod(filepath.Join(copied, "secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := startNode(t, copied, testPolicy, named("a", links[0]))
	prefer(again, 5)
	if now, _ := again.heads(t); now.Seq <= before.Seq || again.metric("restraint_audit_cut_total") != 0 {
		t.Fatalf("entry %d, not past %d", now.Seq, before.Seq)
	}
	links[0].Cut(false)
	eventually(t, "on record", func() bool {
		return slices.ContainsFunc(again.recorded(t), func(e audit.Entry) bool { return e.Action == audit.RecordDamaged && e.After["head_mac"] == before.MAC })
	})
	again.stop()
	r := again.verified(t, kept...)
	if r.FaultsTotal == 0 || !strings.Contains(r.Faults[0].What, "it is another one than the head of") {
		t.Errorf("%+v", r.Faults)
	}
}

// Heads that somebody put into the cluster under another's name, or altered, are refused.
func TestForeignHeadsAreRefused(t *testing.T) {
	s := sharedtest.New()
	l := newLink(s)
	n := startNode(t, "", testPolicy, func(o *edge.Options) { o.Name, o.Shared = "a", l })
	own, _ := n.heads(t)
	altered := own
	altered.Seq += 100
	s.Change(func(s *sharedtest.State) {
		for name, doc := range map[string][]byte{
			edge.HeadsFile("b"): audit.AppendHeads(nil, audit.Heads{own}),
			edge.HeadsFile("c"): []byte("{"),
			edge.HeadsFile("a"): audit.AppendHeads(nil, audit.Heads{altered}),
		} {
			s.Last++
			s.Documents[name] = sharedtest.Document{Content: doc, Revision: s.Last}
		}
	})
	eventually(t, "the refusals", func() bool { return n.metric("restraint_audit_heads_refused_total") == 3 })
	eventually(t, "its own again", func() bool {
		heads, err := audit.ParseHeads(s.Get(edge.HeadsFile("a")).Content, nil)
		return err == nil && heads[0].Seq >= own.Seq
	})
	if _, kept := n.heads(t); len(kept) != 1 || kept[0].Node != "a" || kept[0].Seq == altered.Seq {
		t.Errorf("%+v", kept)
	}
}
