package edge

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"restraint/suppress"
)

// Each node of a cluster tells how it and its lists stand, in a document of its own, where
// that changes and once a minute.
const (
	nodePrefix  = "node."
	nodeVersion = 1
	// tellEvery is how often a node tells at least, goneAfter after which time without a
	// word nobody speaks of it any more. Chosen.
	tellEvery = time.Minute
	goneAfter = 24 * time.Hour
)

// nodeDocument is what a node tells.
type nodeDocument struct {
	Version int         `json:"version"`
	Node    string      `json:"node"`
	At      int64       `json:"at"` // Unix seconds
	Lists   []nodeStand `json:"lists,omitempty"`
	// Self is how the node itself stood; nil: an older program told.
	Self *nodeSelf `json:"self,omitempty"`
}

// nodeSelf is how a node stands. How far it is behind does not make it tell.
type nodeSelf struct {
	Ready          bool   `json:"ready"`
	Policy         int    `json:"policy"` // version in force; 0: none yet
	EventsBehind   uint64 `json:"events_behind"`
	RefusalsBehind uint64 `json:"refusals_behind"`
}

// self is how this node stands.
func (n *Node) self() *nodeSelf {
	ready, _ := n.ready()
	s := &nodeSelf{Ready: ready, Policy: n.rules.Load().Version}
	if r := n.keeper.Kept().Replication; r != nil {
		s.EventsBehind, s.RefusalsBehind = r.Events.Behind, r.Refusals.Behind
	}
	return s
}

// news says whether a document tells anything that one told before does not.
func (d *nodeDocument) news(told *nodeDocument) bool {
	return told.Self == nil || d.Self.Ready != told.Self.Ready || d.Self.Policy != told.Self.Policy || !reflect.DeepEqual(d.Lists, told.Lists)
}

// nodeHeard is what a node of the cluster last said of itself, in an answer.
type nodeHeard struct {
	Node  string `json:"node"`
	Heard int64  `json:"heard"` // seconds since
	*nodeSelf
}

// nodeStand is how one list stands on a node.
type nodeStand struct {
	List       string         `json:"list"`
	State      suppress.State `json:"state"`
	Generation uint64         `json:"generation"`
	Order      uint64         `json:"order"`
}

// nodeList is that in an answer.
type nodeList struct {
	Node       string         `json:"node"`
	State      suppress.State `json:"state"`
	Generation uint64         `json:"generation"`
	// Current: it is of the publication that this node has in use.
	Current bool  `json:"current"`
	Heard   int64 `json:"heard"` // seconds since the node said so
}

// list is how a list stands on the node; order is of the publication in use here.
func (d *nodeDocument) list(name string, order uint64) (l nodeList, ok bool) {
	for _, s := range d.Lists {
		if s.List == name {
			return nodeList{Node: d.Node, State: s.State, Generation: s.Generation, Current: s.Order == order, Heard: d.heard()}, true
		}
	}
	return l, false
}

// heard is how many seconds ago the node said so.
func (d *nodeDocument) heard() int64 { return max(0, time.Now().Unix()-d.At) }

func nodeDocumentName(node string) string { return nodePrefix + hex.EncodeToString([]byte(node)) }

// stands is how the declared lists stand here.
func (n *Node) stands() (all []nodeStand) {
	for _, st := range n.lists.StatusAll() {
		if st.Declared {
			p := n.lists.Publication(st.List)
			all = append(all, nodeStand{List: st.List, State: st.State, Generation: p.Generation, Order: p.Order})
		}
	}
	return all
}

// tellLists tells the cluster how the node and its lists stand, where there is anything to tell.
// One goroutine calls it, with what it returned before.
func (n *Node) tellLists(ctx context.Context, told nodeDocument) nodeDocument {
	now := time.Now()
	d := nodeDocument{Version: nodeVersion, Node: n.options.Name, At: now.Unix(), Lists: n.stands(), Self: n.self()}
	if now.Sub(time.Unix(told.At, 0)) < tellEvery && !d.news(&told) {
		return told
	}
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	name := nodeDocumentName(d.Node)
	var revision uint64
	err := n.options.Shared.List(ctx, name, func(found string, _ []byte, at uint64) {
		if found == name {
			revision = at
		}
	})
	text, e := json.Marshal(d)
	if err = cmp.Or(err, e); err == nil {
		_, err = n.options.Shared.Put(ctx, name, text, revision)
	}
	if err != nil {
		return told // it is told with the next round
	}
	return d
}

// nodeLists is what the nodes of the cluster last told, this one included. Without
// the cluster, or while it is away, there is nothing.
func (n *Node) nodeLists() (all []nodeDocument) {
	if n.options.Lists == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	err := n.options.Shared.List(ctx, nodePrefix, func(name string, text []byte, _ uint64) {
		var d nodeDocument
		if json.Unmarshal(text, &d) != nil || d.Version != nodeVersion || nodeDocumentName(d.Node) != name || time.Since(time.Unix(d.At, 0)) > goneAfter {
			return
		}
		all = append(all, d)
	})
	if err != nil {
		return nil
	}
	slices.SortFunc(all, func(a, b nodeDocument) int { return cmp.Compare(a.Node, b.Node) })
	return all
}
