package edge

import (
	"time"

	"restraint/edge/policy"
	"restraint/suppress"
)

// ListAnswer is one list as the node describes it: as it stands, what the policy
// says of it, and whether requests can be compared with it at all.
type ListAnswer struct {
	suppress.Status
	Kind      string `json:"kind,omitempty"`   // suppression or opt_out
	Source    string `json:"source,omitempty"` // first_party or third_party
	Basis     string `json:"basis,omitempty"`
	MaxAge    uint32 `json:"max_age,omitempty"`    // seconds; 0: never stale
	WhenStale string `json:"when_stale,omitempty"` // skip or show
	// Seen is when requests last brought identifiers of its sources, to this node.
	Seen []sourceSeen `json:"seen,omitempty"`
	// Nodes are the lists of the cluster's nodes, as each last said.
	Nodes []nodeList `json:"nodes,omitempty"`
}

// listsAnswer is what GET /v1/lists says: every list, and every node of the cluster as it
// last said, this one included; without the cluster, or while it is away, none.
type listsAnswer struct {
	Lists []ListAnswer `json:"lists"`
	Nodes []nodeHeard  `json:"nodes"`
}

func (n *Node) listsAnswer() *listsAnswer {
	a := &listsAnswer{Lists: []ListAnswer{}, Nodes: []nodeHeard{}}
	nodes := n.nodeLists()
	for _, st := range n.lists.StatusAll() {
		a.Lists = append(a.Lists, n.listAnswer(st, nodes))
	}
	for i := range nodes {
		a.Nodes = append(a.Nodes, nodeHeard{nodes[i].Node, nodes[i].heard(), nodes[i].Self})
	}
	return a
}

func (n *Node) listAnswer(st suppress.Status, nodes []nodeDocument) ListAnswer {
	a := ListAnswer{Status: st}
	rules := n.rules.Load()
	now := n.clock.at(time.Now(), 0)
	if l := rules.list(st.List); l != nil {
		a.Kind = l.Kind.String()
		a.Source, a.Basis, a.MaxAge = l.Source, l.Basis, l.MaxAge
		if l.MaxAge != 0 {
			a.WhenStale = map[policy.WhenStale]string{policy.StaleSkip: "skip", policy.StaleShow: "show"}[l.WhenStale]
		}
		for _, source := range l.IDs {
			for _, w := range rules.watched {
				if w.name == source {
					a.Seen = append(a.Seen, w.said(now))
				}
			}
		}
	}
	for i := range nodes {
		if l, ok := nodes[i].list(st.List, n.lists.Publication(st.List).Order); ok {
			a.Nodes = append(a.Nodes, l)
		}
	}
	return a
}
