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

// A node says of every node of the cluster whether it is ready, under which policy, and how
// far behind; one that cannot be reached stays as it last said.
func TestNodesHeard(t *testing.T) {
	nodes, links, _, _ := listCluster(t, 2)
	a, b := nodes[0], nodes[1]
	heard := func(n *node) (said string) {
		var all struct {
			Nodes []struct {
				Node   string
				Heard  int
				Ready  *bool
				Policy int
				Events *int `json:"events_behind"`
			}
		}
		n.must(200, "GET", "/v1/lists", "", "", &all)
		for _, o := range all.Nodes {
			said += fmt.Sprintf("%s %v %d %v; ", o.Node, o.Ready != nil && *o.Ready, o.Policy, o.Heard < 60 && o.Events != nil && *o.Events == 0)
		}
		return said
	}
	want := func(n *node, said string) {
		t.Helper()
		eventually(t, said, func() bool { return heard(n) == said })
	}
	want(a, "node 0 true 1 true; node 1 true 1 true; ")
	a.must(200, "PUT", "/v1/policy", "", testPolicy+"# again", nil)
	want(b, "node 0 true 2 true; node 1 true 2 true; ")
	links[1].Cut(true)
	a.must(200, "PUT", "/v1/policy", "", testPolicy+"# and again", nil)
	want(a, "node 0 true 3 true; node 1 true 2 true; ")
	want(b, "")
	if alone := startNode(t, "", testPolicy, nil); heard(alone) != "" {
		t.Errorf("a node alone knows %q", heard(alone))
	}
}
