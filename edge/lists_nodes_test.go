package edge_test

import (
	"fmt"
	"testing"
)

// A node says how a list stands on every node of the cluster.
func TestListNodes(t *testing.T) {
	nodes, links, _, all := listCluster(t, 2)
	a, b := nodes[0], nodes[1]
	stand := func(n *node) (said string) {
		var st struct {
			Nodes []struct {
				Node, State string
				Generation  uint64
				Current     bool
				Heard       int64
			}
		}
		n.must(200, "GET", customers, "", "", &st)
		for _, l := range st.Nodes {
			said += fmt.Sprintf("%s %s %v %v; ", l.Node, l.State, l.Generation > 0, l.Current && l.Heard < 60)
		}
		return said
	}
	want := func(n *node, said string) {
		t.Helper()
		eventually(t, said, func() bool { return stand(n) == said })
	}
	want(a, "node 0 none false true; node 1 none false true; ")
	b.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	want(a, "node 0 ready true true; node 1 ready true true; ")
	want(b, "node 0 ready true true; node 1 ready true true; ")
	links[1].Cut(true)
	a.must(200, "PUT", customers+"?id=user.id", "text/plain", "u1\nu3\n", nil)
	want(a, "node 0 ready true true; node 1 ready true false; ")
	want(b, "") // it cannot be asked
	links[1].Cut(false)
	all.change(func() {})
	want(a, "node 0 ready true true; node 1 ready true true; ")
}
