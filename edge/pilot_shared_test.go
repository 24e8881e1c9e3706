package edge_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/edge/shared/sharedtest"
)

// tryingOut waits until the nodes try a version out on so many percent, beside one before.
func tryingOut(t *testing.T, version, percent, before int, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "the pilot", func() bool { return n.pilot().Version >= version })
		if p := n.pilot(); !p.Running || p.Version != version || p.Percent != percent || p.Before != before {
			t.Fatalf("%+v, want version %d on %d %% beside %d", p, version, percent, before)
		}
	}
}

// alike says that nodes put the same people into the pilot.
func alike(t *testing.T, nodes ...*node) {
	t.Helper()
	_, want := nodes[0].versions()
	for _, n := range nodes[1:] {
		if _, tried := n.versions(); len(want) == 0 || !slices.Equal(tried, want) {
			t.Errorf("in the pilot: %v, on another node %v", tried, want)
		}
	}
}

// A pilot begun on one node runs on all, under one number and of the same people; so is
// it with another share, and with its end.
func TestPilotLiveOnAll(t *testing.T) {
	secret := t.TempDir()
	s := sharedtest.New()
	nodes, links := sameSecret(t, secret, s, 3)
	a, b, c := nodes[0], nodes[1], nodes[2]
	b.must(200, "PUT", "/v1/policy?pilot=30", "", limit("2"), nil)
	tryingOut(t, 2, 30, 1, nodes...)
	alike(t, nodes...)
	c.must(200, "POST", "/v1/policy/pilot?percent=50", "", "", nil)
	tryingOut(t, 3, 50, 1, nodes...)
	alike(t, nodes...)
	first, err := os.ReadFile(filepath.Join(a.dir, "policies", "00000003.json"))
	if err != nil || !bytes.Contains(first, []byte(`"pilot"`)) {
		t.Fatalf("%v\n%s", err, first)
	}
	for _, n := range nodes[1:] {
		if text, err := os.ReadFile(filepath.Join(n.dir, "policies", "00000003.json")); err != nil || !bytes.Equal(text, first) {
			t.Errorf("%v\n%s\nis not\n%s", err, text, first)
		}
	}

	// A node that joins meanwhile has both policies, though it never saw the one before.
	joiner := startNode(t, copySecret(t, secret), "campaigns: {}", newLink(s).options)
	tryingOut(t, 3, 50, 1, joiner)
	alike(t, a, joiner)
	if _, text := joiner.do("GET", "/v1/policy", "", ""); string(text) != testPolicy {
		t.Errorf("the policy of the others: %s", text)
	}
	if ready, detail := joiner.condition("policy"); !ready || detail != "version 1, and version 3 for 50 % of people" {
		t.Errorf("policy: ready %v, %s", ready, detail)
	}
	joiner.must(200, "POST", "/v1/policy/rollback?dry_run=1", "", "", nil)

	// One that starts while the cluster is away goes on with the pilot that it had, and can
	// change nothing.
	b.stop()
	links[1].Cut(true)
	b = startNode(t, b.dir, "campaigns: {}", links[1].options)
	tryingOut(t, 3, 50, 1, b)
	alike(t, a, b)
	b.refused(t, 503, "POST", "/v1/policy/pilot?end=stop", "", "", "can be changed only while the cluster can be reached")
	tryingOut(t, 3, 50, 1, b)
	c.must(200, "POST", "/v1/policy/pilot?end=promote", "", "", nil)
	inForce(t, 4, limit("2"), a, c, joiner)
	tryingOut(t, 3, 50, 1, b)
	links[1].Cut(false)
	inForce(t, 4, limit("2"), b)
	for _, n := range []*node{a, b, c, joiner} {
		if n.pilot().Running {
			t.Error("the pilot goes on")
		}
	}
}

// Of two changes of a pilot at once one wins.
func TestPilotTwoAtOnce(t *testing.T) {
	nodes, links := cluster(t, sharedtest.New(), testPolicy, testPolicy)
	nodes[0].must(200, "PUT", "/v1/policy?pilot=30", "", limit("2"), nil)
	tryingOut(t, 2, 30, 1, nodes...)
	links[0].beforePolicy(func() { // while node a asks the cluster, node b is done
		links[0].beforePolicy(nil)
		nodes[1].must(200, "POST", "/v1/policy/pilot?end=stop", "", "", nil)
	})
	nodes[0].refused(t, 409, "POST", "/v1/policy/pilot?end=promote", "", "", "was faster")
	inForce(t, 3, testPolicy, nodes...)
}

// A store that is rolled back, or made anew, is given the pilot again.
func TestPilotStoreRolledBack(t *testing.T) {
	s := sharedtest.New()
	nodes, _ := cluster(t, s, testPolicy, testPolicy)
	inForce(t, 1, testPolicy, nodes...)
	first := s.Get("policy")
	nodes[0].must(200, "PUT", "/v1/policy?pilot=30", "", limit("2"), nil)
	tryingOut(t, 2, 30, 1, nodes...)
	for name, lose := range map[string]func(s *sharedtest.State){
		"rolled back": func(s *sharedtest.State) { s.Last, s.Documents["policy"] = first.Revision, first },
		"made anew":   func(s *sharedtest.State) { s.Last = 0; clear(s.Documents) },
	} {
		s.Change(lose)
		eventually(t, name, func() bool {
			d := s.Get("policy").Content
			return d != nil && !bytes.Equal(d, first.Content)
		})
		tryingOut(t, 2, 30, 1, nodes...)
		fresh := startNode(t, "", "campaigns: {}", newLink(s).options)
		tryingOut(t, 2, 30, 1, fresh)
		fresh.stop()
	}
}

// What is no pilot is ignored, whoever wrote it.
func TestPilotGarbage(t *testing.T) {
	s := sharedtest.New()
	nodes, _ := cluster(t, s, testPolicy)
	n := nodes[0]
	inForce(t, 1, testPolicy, n)
	type trial struct {
		Percent int       `json:"percent"`
		Draw    int       `json:"draw"`
		Since   time.Time `json:"since"`
		Before  any       `json:"before"`
	}
	type withPilot struct {
		written
		Pilot trial `json:"pilot"`
	}
	good := func() withPilot {
		w := policyDocument(9, limit("9"))
		return withPilot{w, trial{10, 8, w.At, policyDocument(7, testPolicy)}}
	}
	ignored := 0.0
	for what, change := range map[string]func(*withPilot){
		"no share":            func(w *withPilot) { w.Pilot.Percent = 0 },
		"more than all":       func(w *withPilot) { w.Pilot.Percent = 101 },
		"begun later":         func(w *withPilot) { w.Pilot.Draw = 10 },
		"of no time":          func(w *withPilot) { w.Pilot.Since = time.Time{} },
		"before itself":       func(w *withPilot) { w.Pilot.Before = policyDocument(8, testPolicy) },
		"before without text": func(w *withPilot) { b := policyDocument(7, testPolicy); b.Text = ""; w.Pilot.Before = b },
		"before with faults":  func(w *withPilot) { w.Pilot.Before = policyDocument(7, "campaigns: {a: {advertisre: x}}") },
		"before with its own": func(w *withPilot) { g := good(); g.Version = 7; g.Pilot.Draw = 6; w.Pilot.Before = g },
		"another advertiser's": func(w *withPilot) {
			w.Pilot.Before = policyDocument(7, strings.ReplaceAll(testPolicy, "acme", "other"))
		},
	} {
		w := good()
		change(&w)
		s.Write("policy", pack(t, []byte(encode(t, w))))
		ignored++
		eventually(t, what, func() bool { return n.metric("restraint_policy_documents_ignored_total") == ignored })
		if n.pilot().Running {
			t.Fatalf("%s: it runs", what)
		}
	}
	inForce(t, 1, testPolicy, n)
	s.Write("policy", pack(t, []byte(encode(t, good()))))
	tryingOut(t, 9, 10, 7, n)
	n.must(200, "POST", "/v1/policy/pilot?end=stop", "", "", nil)
	inForce(t, 10, testPolicy, n)
}

// What nodes counted of a pilot is added up, on each of them, also what a process counted
// that has ended.
func TestPilotCountsOfAllNodes(t *testing.T) {
	nodes, links := sameSecret(t, t.TempDir(), sharedtest.New(), 2)
	nodes[0].must(200, "PUT", "/v1/policy?pilot=40", "", limit("2"), nil)
	tryingOut(t, 2, 40, 1, nodes...)
	by, _ := nodes[0].versions()
	nodes[1].versions()
	nodes[1].versions()
	nodes[1].stop()
	nodes[1] = startNode(t, nodes[1].dir, testPolicy, links[1].options)
	eventually(t, "the counts of both", func() bool {
		arms := nodes[0].pilot().Effect.Arms
		return arms[0].Decisions == 3*by[1] && arms[1].Decisions == 3*by[2]
	})

	// Another share begins to count anew.
	nodes[0].must(200, "POST", "/v1/policy/pilot?percent=50", "", "", nil)
	tryingOut(t, 3, 50, 1, nodes...)
	for _, n := range nodes {
		for _, arm := range n.pilot().Effect.Arms {
			if arm.Decisions != 0 {
				t.Errorf("%+v of another share", arm)
			}
		}
	}
}

// sameSecret starts nodes that share a store and a secret.
func sameSecret(t *testing.T, dir string, s *sharedtest.Store, count int) (nodes []*node, links []*link) {
	t.Helper()
	for i := range count {
		l := newLink(s)
		if i > 0 {
			dir = copySecret(t, dir)
		}
		links = append(links, l)
		nodes = append(nodes, startNode(t, dir, testPolicy, l.options))
	}
	inForce(t, 1, testPolicy, nodes...)
	return nodes, links
}

// copySecret makes a directory for a node of the same cluster.
func copySecret(t *testing.T, dir string) string {
	t.Helper()
	secret, err := os.ReadFile(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "secret"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return other
}
