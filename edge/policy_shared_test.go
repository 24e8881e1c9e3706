package edge_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"restraint/edge"
	"restraint/edge/shared/sharedtest"
)

// cluster starts nodes over one store, each with its own link.
func cluster(t *testing.T, s *sharedtest.Store, policies ...string) (nodes []*node, links []*link) {
	t.Helper()
	for _, text := range policies {
		l := newLink(s)
		links = append(links, l)
		nodes = append(nodes, startNode(t, "", text, l.options))
	}
	return nodes, links
}

// A policy put on one node is live on all, under one number, and every node keeps
// the same of it; so is one gone back to.
func TestPolicyLiveOnAll(t *testing.T) {
	nodes, _ := cluster(t, sharedtest.New(), testPolicy, "campaigns: {}", limit("9"))
	a, b, c := nodes[0], nodes[1], nodes[2]
	inForce(t, 1, testPolicy, a, b, c)
	b.must(200, "PUT", "/v1/policy", "", limit("2"), nil)
	inForce(t, 2, limit("2"), b)
	inForce(t, 2, limit("2"), a, b, c)
	c.must(200, "POST", "/v1/policy/rollback", "", "", nil)
	inForce(t, 3, testPolicy, a, b, c)
	a.must(200, "PUT", "/v1/policy", "", limit("1"), nil)
	inForce(t, 4, limit("1"), a, b, c)
	for _, n := range nodes {
		if h := n.history(); !slices.Equal(h, []int{4, 3, 2, 1}) {
			t.Errorf("history %v", h)
		}
		if ready, detail := n.condition("policy"); !ready || detail != "version 4" {
			t.Errorf("policy: ready %v, %s", ready, detail)
		}
	}
	// What older versions still ask to be kept is the proposer's, so all files are alike.
	for _, name := range []string{"00000002.json", "00000004.json"} {
		first, err := os.ReadFile(filepath.Join(a.dir, "policies", name))
		if err != nil || !bytes.Contains(first, []byte(`"held"`)) {
			t.Fatalf("%s: %v\n%s", name, err, first)
		}
		for _, n := range nodes[1:] {
			if text, err := os.ReadFile(filepath.Join(n.dir, "policies", name)); err != nil || !bytes.Equal(text, first) {
				t.Errorf("%s: %v\n%s\nis not\n%s", name, err, text, first)
			}
		}
	}
}

// Of two puts at once one wins and the other is told; both nodes end with the winner.
func TestPolicyTwoAtOnce(t *testing.T) {
	nodes, links := cluster(t, sharedtest.New(), testPolicy, testPolicy)
	for round, match := range []string{"", `"2"`} {
		var both sync.WaitGroup // neither puts before both are about to
		both.Add(2)
		var statuses [2]int
		var clients sync.WaitGroup
		texts := []string{limit("4") + strings.Repeat("#\n", round), limit("5") + strings.Repeat("#\n", round)}
		for i := range nodes {
			links[i].beforePolicy(func() { both.Done(); both.Wait() })
			clients.Go(func() {
				header := map[string]string{}
				if match != "" {
					header["If-Match"] = match
				}
				statuses[i], _ = nodes[i].send(t, "PUT", "/v1/policy", []byte(texts[i]), header)
			})
		}
		clients.Wait()
		lost := 409
		if match != "" {
			lost = 412
		}
		winner := slices.Index(statuses[:], 200)
		if winner < 0 || statuses[1-winner] != lost {
			t.Fatalf("If-Match %s: %v, want 200 and %d", match, statuses, lost)
		}
		inForce(t, 2+round, texts[winner], nodes...)
		links[0].beforePolicy(nil)
		links[1].beforePolicy(nil)
	}
}

// A node that joins takes the cluster's policy over its file, and over the versions
// it had as a node of its own, which stay on disk under other names.
func TestPolicyJoin(t *testing.T) {
	alone := startNode(t, "", limit("7"), nil)
	alone.must(200, "PUT", "/v1/policy", "", limit("8"), nil)
	alone.must(200, "PUT", "/v1/policy", "", limit("9"), nil)
	alone.stop()

	s := sharedtest.New()
	nodes, _ := cluster(t, s, testPolicy)
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("2"), nil)
	joiner := startNode(t, alone.dir, limit("7"), newLink(s).options)
	inForce(t, 2, limit("2"), nodes[0], joiner)
	if h := joiner.history(); !slices.Equal(h, []int{2}) {
		t.Errorf("history of the joiner: %v", h)
	}
	aside, err := filepath.Glob(filepath.Join(joiner.dir, "policies", "*.aside"))
	if err != nil || len(aside) != 3 {
		t.Errorf("set aside: %q, %v", aside, err)
	}
	joiner.stop()
	if !strings.Contains(joiner.log.String(), "instead of this node's own") {
		t.Errorf("the log says nothing of it:\n%s", joiner.log)
	}

	fresh := startNode(t, "", limit("6"), newLink(s).options)
	inForce(t, 2, limit("2"), fresh)
	fresh.stop()
	if !strings.Contains(fresh.log.String(), "not this node's first") {
		t.Errorf("the log says nothing of it:\n%s", fresh.log)
	}
}

// The versions of a node of its own are the cluster's where it has none.
func TestPolicyFirstOfCluster(t *testing.T) {
	alone := startNode(t, "", limit("7"), nil)
	alone.must(200, "PUT", "/v1/policy", "", limit("8"), nil)
	alone.stop()
	s := sharedtest.New()
	first := startNode(t, alone.dir, limit("5"), newLink(s).options)
	inForce(t, 2, limit("8"), first)
	nodes, _ := cluster(t, s, testPolicy)
	inForce(t, 2, limit("8"), nodes[0])
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("6"), nil)
	inForce(t, 3, limit("6"), nodes[0], first)
	if h := first.history(); !slices.Equal(h, []int{3, 2, 1}) {
		t.Errorf("history %v", h)
	}
}

// While the cluster is away nothing can be put, decisions go on, and what was put
// elsewhere comes afterwards.
func TestPolicyAway(t *testing.T) {
	nodes, links := cluster(t, sharedtest.New(), testPolicy, testPolicy)
	inForce(t, 1, testPolicy, nodes...)
	links[0].Cut(true)
	nodes[0].refused(t, 503, "PUT", "/v1/policy", "", limit("2"), "could not say so, and can be changed only while the cluster can be reached")
	nodes[0].must(200, "PUT", "/v1/policy?dry_run=1", "", limit("2"), nil)
	nodes[0].must(200, "PUT", "/v1/policy", "", testPolicy, nil) // is in force
	inForce(t, 1, testPolicy, nodes[0])
	nodes[0].must(200, "GET", "/readyz", "", "", nil)
	nodes[1].must(200, "PUT", "/v1/policy", "", limit("4"), nil)
	nodes[1].must(200, "PUT", "/v1/policy", "", limit("5"), nil)
	inForce(t, 3, limit("5"), nodes[1])
	inForce(t, 1, testPolicy, nodes[0])
	links[0].Cut(false)
	inForce(t, 3, limit("5"), nodes...)
	if h := nodes[0].history(); h[0] != 3 || h[len(h)-1] != 1 {
		t.Errorf("history %v", h)
	}
}

// A node that starts while the cluster is away uses its newest policy and says so;
// one that has none decides nothing until it has heard which it is.
func TestPolicyStartAway(t *testing.T) {
	nodes, links := cluster(t, sharedtest.New(), testPolicy, testPolicy)
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("2"), nil)
	inForce(t, 2, limit("2"), nodes...)
	nodes[1].stop()
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("4"), nil)

	links[1].Cut(true)
	old := startNode(t, nodes[1].dir, testPolicy, links[1].options)
	inForce(t, 2, limit("2"), old)
	if ready, detail := old.condition("policy"); !ready || !strings.Contains(detail, "degraded") {
		t.Errorf("policy: ready %v, %s", ready, detail)
	}
	old.refused(t, 503, "PUT", "/v1/policy", "", limit("9"), "")

	far := newLink(links[1].Store)
	far.Cut(true)
	fresh := startNode(t, "", testPolicy, far.options)
	if ready, detail := fresh.condition("policy"); ready || !strings.Contains(detail, "none yet") {
		t.Errorf("policy: ready %v, %s", ready, detail)
	}
	fresh.refused(t, 503, "POST", "/v1/decide", "", `{"user":{"id":"u"},"candidates":[{"campaign":"shoes"}]}`, "no policy is in force yet")
	fresh.refused(t, 503, "POST", "/v1/events", "", `{"type":"impression","user":{"id":"u"},"campaign":"shoes"}`, "no policy is in force yet")
	fresh.refused(t, 503, "GET", "/v1/policy", "", "", "no policy is in force yet")
	fresh.must(200, "GET", "/v1/status", "", "", nil)
	fresh.must(200, "GET", "/metrics", "", "", nil)
	fresh.must(200, "PUT", "/v1/policy?dry_run=1", "", limit("9"), nil)

	links[1].Cut(false)
	far.Cut(false)
	inForce(t, 3, limit("4"), nodes[0], old, fresh)
	for _, n := range []*node{old, fresh} {
		if ready, detail := n.condition("policy"); !ready || detail != "version 3" {
			t.Errorf("policy: ready %v, %s", ready, detail)
		}
	}
}

// What is no policy is ignored and counted, whoever wrote it, and a put mends it.
func TestPolicyGarbage(t *testing.T) {
	s := sharedtest.New()
	nodes, _ := cluster(t, s, testPolicy)
	n := nodes[0]
	inForce(t, 1, testPolicy, n)
	wrongSum := policyDocument(9, limit("9"))
	wrongSum.SHA256 = strings.Repeat("0", 64)
	wrongTime := policyDocument(9, limit("9"))
	wrongTime.At = wrongTime.At.AddDate(-300, 0, 0)
	for i, document := range [][]byte{
		{},
		[]byte("garbage"), pack(t, []byte("{")), pack(t, []byte(`{"version":9}`)), pack(t, nil),
		wrongSum.packed(t), wrongTime.packed(t), policyDocument(0, limit("9")).packed(t), policyDocument(1<<40, limit("9")).packed(t),
		policyDocument(9, "campaigns: {a: {advertisre: x}}").packed(t),
		bytes.Repeat(pack(t, make([]byte, 1<<20)), 65), bytes.Repeat([]byte{7}, 2<<20),
		policyDocument(12, limit("9")).packed(t)[:200],
	} {
		s.Write("policy", document)
		eventually(t, "ignored", func() bool { return n.metric("restraint_policy_documents_ignored_total") == float64(i+1) })
	}
	inForce(t, 1, testPolicy, n)
	n.must(200, "GET", "/readyz", "", "", nil)

	fresh := startNode(t, "", testPolicy, newLink(s).options)
	if ready, detail := fresh.condition("policy"); ready || !strings.Contains(detail, "cannot be taken") {
		t.Errorf("policy of a node without one: ready %v, %s", ready, detail)
	}
	s.Write("policy", policyDocument(20, "campaigns: {a: {advertisre: x}}").packed(t))
	eventually(t, "ignored", func() bool { return n.metric("restraint_policy_documents_ignored_total") == 14 })
	n.must(200, "PUT", "/v1/policy", "", limit("2"), nil)
	inForce(t, 21, limit("2"), n, fresh) // no number of a policy that others may have taken
	s.Write("policy", policyDocument(22, limit("4")).packed(t))
	inForce(t, 22, limit("4"), n, fresh)
}

// late is a link by which documents are followed only once it is let go.
type late struct {
	*link
	letGo chan struct{}
}

func (l late) Follow(ctx context.Context, prefix string, changed func(string, []byte, uint64)) {
	select {
	case <-l.letGo:
		l.link.Follow(ctx, prefix, changed)
	case <-ctx.Done():
	}
}

// A store that loses the policy before the node follows it tells of no change.
func TestPolicyLostBeforeItIsFollowed(t *testing.T) {
	s := sharedtest.New()
	l := late{newLink(s), make(chan struct{})}
	n := startNode(t, "", testPolicy, func(o *edge.Options) { o.Shared = l })
	inForce(t, 1, testPolicy, n)
	l.Cut(true)
	s.Empty()
	l.Cut(false)
	close(l.letGo)
	eventually(t, "the cluster has it again", func() bool { return s.Get("policy").Content != nil })
}

// A store that goes back, or is made anew, brings no old policy back.
func TestPolicyStoreRolledBack(t *testing.T) {
	s := sharedtest.New()
	nodes, links := cluster(t, s, testPolicy, testPolicy)
	inForce(t, 1, testPolicy, nodes...)
	first := s.Get("policy")
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("2"), nil)
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("4"), nil)
	inForce(t, 3, limit("4"), nodes...)
	for name, lose := range map[string]func(s *sharedtest.State){
		"rolled back": func(s *sharedtest.State) { s.Last, s.Documents["policy"] = first.Revision, first },
		"an old one over": func(s *sharedtest.State) {
			s.Last++
			s.Documents["policy"] = sharedtest.Document{Content: first.Content, Revision: s.Last}
		},
		"made anew, empty": func(s *sharedtest.State) { s.Last = 0; clear(s.Documents) },
	} {
		s.Change(lose)
		eventually(t, name+": the newest is there again", func() bool {
			d := s.Get("policy").Content
			return d != nil && !bytes.Equal(d, first.Content)
		})
		inForce(t, 3, limit("4"), nodes...)
		fresh := startNode(t, "", "campaigns: {}", newLink(s).options)
		inForce(t, 3, limit("4"), fresh)
		fresh.stop()
	}

	// The same while no node was there to see it.
	for _, n := range nodes {
		n.stop()
	}
	s.Change(func(s *sharedtest.State) { s.Last, s.Documents["policy"] = first.Revision, first })
	for i, n := range nodes {
		nodes[i] = startNode(t, n.dir, "campaigns: {}", links[i].options)
		nodes[i].must(200, "GET", "/readyz", "", "", nil) // settled before it answers
	}
	inForce(t, 3, limit("4"), nodes...)

	// A number that came twice since the store lost the first: what it has now holds.
	links[1].Cut(true)
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("5"), nil)
	inForce(t, 4, limit("5"), nodes[0])
	links[0].Cut(true)
	s.Change(func(s *sharedtest.State) { s.Last = 0; clear(s.Documents) })
	links[1].Cut(false)
	eventually(t, "the newest of the other", func() bool { return s.Get("policy").Content != nil })
	eventually(t, "put", func() bool {
		status, _ := nodes[1].do("PUT", "/v1/policy", "", limit("6"))
		return status == 200
	})
	links[0].Cut(false)
	eventually(t, "one policy", func() bool {
		_, text := nodes[0].do("GET", "/v1/policy", "", "")
		return string(text) == limit("6")
	})
	inForce(t, 4, limit("6"), nodes...)
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("7"), nil)
	inForce(t, 5, limit("7"), nodes...)
}

// A policy that does not fit is refused with its sizes, one that fits packed is not.
func TestPolicyTooLargeToShare(t *testing.T) {
	nodes, _ := cluster(t, sharedtest.New(), testPolicy, testPolicy)
	fits := testPolicy + strings.Repeat("# the same again\n", 70_000)
	nodes[0].must(200, "PUT", "/v1/policy", "", fits, nil)
	inForce(t, 2, fits, nodes...)
	noise := rand.NewChaCha8([32]byte{})
	random := make([]byte, 1_500_000) // of 6 bits each
	for i := range random {
		random[i] = '0' + byte(noise.Uint64()%64)
	}
	nodes[0].refused(t, 413, "PUT", "/v1/policy", "", testPolicy+"# "+string(random)+"\n", "1000000")
	inForce(t, 2, fits, nodes...)
}

// What the disk does not take is not in force and is tried again.
func TestPolicyDiskFails(t *testing.T) {
	nodes, _ := cluster(t, sharedtest.New(), testPolicy, testPolicy)
	inForce(t, 1, testPolicy, nodes...)
	dir := filepath.Join(nodes[1].dir, "policies")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	nodes[0].must(200, "PUT", "/v1/policy", "", limit("2"), nil)
	eventually(t, "not ready", func() bool {
		ready, detail := nodes[1].condition("policy")
		return !ready && strings.Contains(detail, "cannot be kept")
	})
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	inForce(t, 2, limit("2"), nodes...)
	nodes[1].must(200, "GET", "/readyz", "", "", nil)
}

// The answers that only a node of a cluster gives are as they are described.
func TestOpenAPIShared(t *testing.T) {
	d := readOpenAPI(t)
	s := sharedtest.New()
	nodes, links := cluster(t, s, testPolicy)
	n, raced := nodes[0], func() { s.Write("policy", policyDocument(7, limit("7")).packed(t)) }
	links[0].beforePolicy(raced)
	d.call(t, n, 409, "PUT", "/v1/policy", nil, limit("2"))
	inForce(t, 7, limit("7"), n)
	links[0].beforePolicy(func() { s.Write("policy", policyDocument(8, limit("8")).packed(t)) })
	d.call(t, n, 412, "PUT", "/v1/policy", http.Header{"If-Match": {`"7"`}}, limit("2"))
	inForce(t, 8, limit("8"), n)
	links[0].beforePolicy(func() { s.Write("policy", policyDocument(9, limit("9")).packed(t)) })
	d.call(t, n, 409, "POST", "/v1/policy/rollback?version=7", nil, "")
	inForce(t, 9, limit("9"), n)
	d.call(t, n, 404, "POST", "/v1/policy/rollback?version=3", nil, "") // was never here
	links[0].Cut(true)
	d.call(t, n, 503, "PUT", "/v1/policy", nil, limit("2"))
	d.call(t, n, 503, "POST", "/v1/policy/rollback", nil, "")

	far := newLink(sharedtest.New())
	far.Cut(true)
	fresh := startNode(t, "", testPolicy, far.options)
	d.call(t, fresh, 503, "GET", "/readyz", nil, "")
	d.call(t, fresh, 200, "GET", "/v1/status", nil, "")
	d.call(t, fresh, 200, "GET", "/v1/policy/history", nil, "")
	d.call(t, fresh, 503, "PUT", "/v1/policy", nil, limit("2"))
	d.call(t, fresh, 404, "POST", "/v1/policy/rollback", nil, "")
}
