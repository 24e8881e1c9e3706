package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/shared"
	"restraint/edge/shared/sharedtest"
	"restraint/suppress"
)

// listCluster starts nodes that share lists, under one secret.
func listCluster(t *testing.T, n int) (nodes []*node, links []*link, s *sharedtest.Store, all *lists) {
	t.Helper()
	s, all = sharedtest.New(), newLists()
	for i := range n {
		l := newLink(s)
		links = append(links, l)
		nodes = append(nodes, startListNode(t, "", i, l, all))
	}
	return nodes, links, s, all
}

func startListNode(t *testing.T, dir string, i int, l *link, all *lists) *node {
	t.Helper()
	return startNode(t, dir, testPolicy, func(o *edge.Options) {
		o.Name, o.Secret = fmt.Sprint("node ", i), listSecret(t)
		o.Shared, o.Lists = l, &listLink{lists: all, link: l}
	})
}

// listSecret is one secret for all nodes of a test.
func listSecret(t *testing.T) identity.Secret {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, _, err := identity.OpenSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// suppressed says whether a person is held off the campaign welcome.
func (n *node) suppressed(user string) bool {
	n.t.Helper()
	a := n.decide(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"welcome"}]}`)
	return len(a.Decisions) == 1 && a.Decisions[0].Reason == "suppressed"
}

// members waits until exactly these of the asked are members on all nodes.
func members(t *testing.T, want string, asked string, nodes ...*node) {
	t.Helper()
	for i, n := range nodes {
		var got []string
		eventually(t, fmt.Sprintf("members on node %d: %s", i, want), func() bool {
			got = got[:0]
			for _, user := range strings.Fields(asked) {
				if n.suppressed(user) {
					got = append(got, user)
				}
			}
			return strings.Join(got, " ") == want
		})
	}
}

const customers = "/v1/lists/customers"

// A list pushed to one node is live on all, and so is every change of it.
func TestListLiveOnAll(t *testing.T) {
	nodes, _, _, _ := listCluster(t, 3)
	a, b, c := nodes[0], nodes[1], nodes[2]
	a.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	members(t, "u1 u2", "u1 u2 u3", nodes...)
	b.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u3\n", nil)
	members(t, "u1 u2 u3", "u1 u2 u3", nodes...)
	c.must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u1\n", nil)
	members(t, "u2 u3", "u1 u2 u3", nodes...)
	c.must(200, "PUT", customers+"?id=user.id&force", "text/plain", "u4\n", nil)
	members(t, "u4", "u1 u2 u3 u4", nodes...)
	b.must(200, "POST", customers+"/rollback", "", "", nil)
	members(t, "u2 u3", "u1 u2 u3 u4", nodes...)
	c.must(200, "POST", customers+"/rollback", "", "", nil)
	members(t, "u4", "u1 u2 u3 u4", nodes...)
	b.must(204, "DELETE", customers, "", "", nil)
	members(t, "", "u1 u2 u3 u4", nodes...)
	a.must(409, "POST", customers+"/rollback", "", "", nil)
	a.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u1\n", nil)
	members(t, "u1", "u1 u2 u3 u4", nodes...)
	for i, n := range nodes {
		if ready, detail := n.condition("lists"); !ready || detail != "" {
			t.Errorf("node %d: %v %q", i, ready, detail)
		}
		if v := n.metric("restraint_list_publications_failed_total"); v != 0 {
			t.Errorf("node %d: %v failed", i, v)
		}
	}
}

// A node that joins has all before it is ready; one that was away has it after.
func TestListJoins(t *testing.T) {
	nodes, links, s, all := listCluster(t, 2)
	a, b := nodes[0], nodes[1]
	a.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u9\n", nil)
	a.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	a.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u3\n", nil)
	joiner := startListNode(t, "", 3, newLink(s), all)
	eventually(t, "the joiner is ready", func() bool { status, _ := joiner.do("GET", "/readyz", "", ""); return status == 200 })
	for user, want := range map[string]bool{"u1": true, "u2": true, "u3": true, "u9": false} {
		if joiner.suppressed(user) != want {
			t.Errorf("%s on a ready joiner: %v", user, !want)
		}
	}
	members(t, "u1 u2 u3", "u1 u2 u3 u9", a, b)
	links[1].Cut(true)
	a.must(200, "PUT", customers+"?id=user.id", "text/plain", "u5\nu1\n", nil)
	a.must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u1\n", nil)
	members(t, "u5", "u1 u2 u3 u5", a)
	members(t, "u1 u2 u3", "u1 u2 u3 u5", b)
	if ready, _ := b.condition("lists"); !ready {
		t.Error("a node that was the same once is not ready for want of NATS")
	}
	b.stop()
	b = startListNode(t, b.dir, 1, links[1], all)
	members(t, "u1 u2 u3", "u1 u2 u3 u5", b)
	if ready, detail := b.condition("lists"); !ready || !strings.Contains(detail, "degraded") {
		t.Errorf("started without NATS: %v %q", ready, detail)
	}
	links[1].Cut(false)
	all.change(func() {})
	members(t, "u5", "u1 u2 u3 u5", a, b, joiner)
}

// A list that a node had before it joined is told of until it is pushed again.
func TestListOfBefore(t *testing.T) {
	alone := startNode(t, "", testPolicy, func(o *edge.Options) { o.Secret = listSecret(t) })
	for range 2 {
		alone.do("PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n")
	}
	alone.stop()
	nodes, _, s, all := listCluster(t, 1)
	joiner := startListNode(t, alone.dir, 2, newLink(s), all)
	eventually(t, "it is told", func() bool {
		ready, detail := joiner.condition("lists")
		return ready && strings.Contains(detail, `"customers": only this node has it`)
	})
	members(t, "u1 u2", "u1 u2 u3", joiner)
	nodes[0].must(201, "PUT", customers+"?id=user.id", "text/plain", "u3\n", nil)
	members(t, "u3", "u1 u2 u3", nodes[0], joiner)
	eventually(t, "it is the same", func() bool { _, detail := joiner.condition("lists"); return detail == "" })
}

// Of two uploads at once both nodes end with the same one.
func TestListTwoAtOnce(t *testing.T) {
	nodes, _, _, _ := listCluster(t, 2)
	for round := range 3 {
		var both sync.WaitGroup
		var statuses [2]int
		for i, n := range nodes {
			both.Go(func() {
				statuses[i], _ = n.send(t, "PUT", customers+"?id=user.id&force", fmt.Appendf(nil, "u%d\n", 2*round+i), map[string]string{"Content-Type": "text/plain"})
			})
		}
		both.Wait()
		last := -1
		for i, n := range nodes {
			eventually(t, "nodes are the same", func() bool {
				in := [2]bool{n.suppressed(fmt.Sprint("u", 2*round)), n.suppressed(fmt.Sprint("u", 2*round+1))}
				other := nodes[1-i].suppressed(fmt.Sprint("u", 2*round))
				if in[0] == other && in[0] != in[1] {
					last = slices.Index(in[:], true)
					return true
				}
				return false
			})
		}
		if statuses[last]/100 != 2 || statuses[1-last] != 409 && statuses[1-last]/100 != 2 {
			t.Errorf("round %d: %v, in use is that of node %d", round, statuses, last)
		}
	}
}

// Without NATS nothing changes, here or elsewhere, and the answer says so.
func TestListAway(t *testing.T) {
	nodes, links, _, _ := listCluster(t, 2)
	a, b := nodes[0], nodes[1]
	a.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	a.must(200, "PUT", customers+"?id=user.id", "text/plain", "u1\nu3\n", nil)
	members(t, "u1 u3", "u1 u2 u3 u4", a, b)
	links[0].Cut(true)
	for _, r := range [][2]string{
		{"PUT", customers + "?id=user.id"},
		{"POST", customers + "/add?id=user.id"},
		{"POST", customers + "/remove?id=user.id"},
		{"POST", customers + "/rollback"},
		{"DELETE", customers},
	} {
		status, answer := a.do(r[0], r[1], "text/plain", "u4\nu1\n")
		if status != 503 || !strings.Contains(string(answer), "stays as it is") {
			t.Errorf("%s %s: %d %s", r[0], r[1], status, answer)
		}
	}
	members(t, "u1 u3", "u1 u2 u3 u4", a, b)
	links[0].Cut(false)
	// NATS goes while the body is on its way: the build is thrown away.
	lost := links[0].Lose("list.")
	if status, answer := a.do("PUT", customers+"?id=user.id", "text/plain", "u1\nu4\n"); status != 503 {
		t.Errorf("put that is not written: %d %s", status, answer)
	}
	members(t, "u1 u3", "u1 u2 u3 u4", a, b)
	lost()
	a.must(200, "PUT", customers+"?id=user.id", "text/plain", "u1\nu4\n", nil)
	members(t, "u1 u4", "u1 u2 u3 u4", a, b)
}

// What the cluster loses it is given again, and lost changes are told.
func TestListsLost(t *testing.T) {
	nodes, _, s, all := listCluster(t, 2)
	a, b := nodes[0], nodes[1]
	a.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	b.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u3\n", nil)
	members(t, "u1 u2 u3", "u1 u2 u3", a, b)
	all.change(func() { clear(all.files) })
	s.Change(func(s *sharedtest.State) { delete(s.Documents, "list.customers") })
	eventually(t, "the document is back", func() bool { return s.Get("list.customers").Revision != 0 })
	joiner := startListNode(t, "", 3, newLink(s), all)
	members(t, "u1 u2 u3", "u1 u2 u3", a, b, joiner)

	all.change(func() { all.messages = nil })
	for _, n := range []*node{a, b, joiner} {
		eventually(t, "the loss is told", func() bool {
			_, detail := n.condition("lists")
			return strings.Contains(detail, `"customers": the cluster has lost changes`)
		})
	}
	b.must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u3\n", nil)
	members(t, "u1 u2", "u1 u2 u3", a, b, joiner)
	b.must(200, "PUT", customers+"?id=user.id", "text/plain", "u1\nu3\n", nil)
	members(t, "u1 u3", "u1 u2 u3", a, b, joiner)
	for i, n := range []*node{a, b, joiner} {
		eventually(t, fmt.Sprint("node ", i, " is whole again"), func() bool {
			ready, detail := n.condition("lists")
			return ready && detail == ""
		})
	}
}

// hiding is a link whose documents of lists cannot be read at first.
type hiding struct {
	*link
	shown chan struct{}
}

func (h hiding) List(ctx context.Context, prefix string, each func(string, []byte, uint64)) error {
	select {
	case <-h.shown:
		return h.link.List(ctx, prefix, each)
	default:
		return errCut
	}
}

func (h hiding) Follow(ctx context.Context, prefix string, changed func(string, []byte, uint64)) {
	if strings.HasPrefix(prefix, "list") {
		select {
		case <-h.shown:
		case <-ctx.Done():
		}
	}
	h.link.Follow(ctx, prefix, changed)
}

// Changes that were folded into others before the upload came that they apply over
// are read again, and where they cannot be, the upload is not used and that is told.
func TestListReadAgain(t *testing.T) {
	s, all := sharedtest.New(), newLists()
	start := func(shared shared.Store, l *link) *node {
		return startNode(t, "", testPolicy, func(o *edge.Options) {
			o.Secret, o.ListChanges = listSecret(t), suppress.MaxChangeKeys+1000
			o.Shared, o.Lists = shared, &listLink{lists: all, link: l}
		})
	}
	first := newLink(s)
	a := start(first, first)
	a.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	a.must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u1\n", nil)
	var body strings.Builder
	const added = suppress.MaxChangeKeys + 2000
	for i := range added {
		fmt.Fprintf(&body, "x%d\n", i)
	}
	last := fmt.Sprintf("x%d", added-1)
	// More than are held in memory: 202 where making room took longer than the node waits.
	if status, answer := a.do("POST", customers+"/add?id=user.id", "text/plain", body.String()); status != 200 && status != 202 {
		t.Fatalf("%d: %.300s", status, answer)
	}
	members(t, "u2 x0 "+last, "u1 u2 x0 "+last, a)
	join := func() (n *node, show func()) {
		l := hiding{newLink(s), make(chan struct{})}
		return start(l, l.link), func() { close(l.shown) }
	}
	b, show := join()
	members(t, "x0 "+last, "u1 u2 x0 "+last, b)
	show()
	members(t, "u2 x0 "+last, "u1 u2 x0 "+last, b)

	c, show := join()
	members(t, "x0 "+last, "u1 u2 x0 "+last, c)
	b.stop()
	a.stop()
	all.change(func() { all.messages = slices.Clone(all.messages[1:]) }) // the number of the upload
	show()
	eventually(t, "it is told that changes cannot be read again", func() bool {
		ready, detail := c.condition("lists")
		return !ready && strings.Contains(detail, "the cluster has lost changes of the list; upload it again")
	})
	if c.metric("restraint_list_publications_failed_total") == 0 {
		t.Error("the failure is not counted")
	}
	members(t, "x0 "+last, "u1 u2 x0 "+last, c)
}

// Documents that cannot be read are told, and those of a newer program are not replaced.
func TestListDocumentsUnread(t *testing.T) {
	nodes, _, s, _ := listCluster(t, 1)
	a := nodes[0]
	for _, document := range []string{"", "{", `{"version":2,"list":"customers"}`, `{"version":1,"list":"orders","order":5,"generation":5,"deleted":true}`} {
		s.Change(func(s *sharedtest.State) {
			s.Last++
			s.Documents["list.customers"] = sharedtest.Document{Content: []byte(document), Revision: s.Last}
		})
		eventually(t, "it is told", func() bool {
			_, detail := a.condition("lists")
			return strings.Contains(detail, `document "list.customers"`)
		})
		status, answer := a.do("PUT", customers+"?id=user.id&force", "text/plain", "u1\n")
		if newer := strings.Contains(document, `"version":2`); newer != (status == 503) || newer && !strings.Contains(string(answer), "update this node") {
			t.Errorf("put over %s: %d %s", document, status, answer)
		}
	}
}
