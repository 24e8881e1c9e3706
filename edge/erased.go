package edge

import (
	"math"

	"restraint/caps"
	"restraint/edge/openrtb"
)

// heedErasures makes the reports of one request what is left of them for people who
// were erased. It is done once, here: those who hear of the changes go by their seconds
// alone, or the order in which they hear of an erasure would decide.
//
//   - A token that was issued before an erasure says nothing of the identifiers erased.
//   - A report by a token is no later than ErasureSkew after this node last knew of all
//     erasures, or after the token was issued: one that this node has not heard of
//     reaches that far, so it takes the report when it comes. With the cluster in reach
//     that changes nothing.
//   - What a person hid since an erasure was asked for is hidden, though the erasure
//     reaches ahead.
func (x *exchange) heedErasures(n *Node) {
	for i := range x.reports {
		r := &x.reports[i]
		if r.issued != 0 {
			n.heedToken(x, r)
		}
		if r.kind == openrtb.Hide || r.kind == openrtb.Complaint {
			n.heedHide(x, r)
		}
	}
}

// heedToken leaves out the keys that were erased when, or after, the token was issued.
func (n *Node) heedToken(x *exchange, r *report) {
	keys := x.spans.keys[r.keys.from:r.keys.to]
	left := len(n.unerased(keys, r.issued))
	if left < len(keys) {
		n.metrics.eventsErased.Inc()
	}
	r.keys.to = r.keys.from + left
	if r.at > r.issued && r.at-r.issued > caps.ErasureSkew {
		r.at = min(r.at, uint32(later(caps.Second(max(r.issued, n.erasuresKnown())), caps.ErasureSkew)))
	}
}

// unerased are the keys, in the same memory, that were not erased when a token of the
// second issued was made, or since.
func (n *Node) unerased(keys []caps.Key, issued uint32) []caps.Key {
	left := keys[:0]
	for _, key := range keys {
		if uint32(n.caps.Erased(key)) < issued {
			left = append(left, key)
		}
	}
	return left
}

// heedHide stamps what was hidden now, or since an erasure was asked for, after the
// erasure.
func (n *Node) heedHide(x *exchange, r *report) {
	hid := r.at
	for _, key := range x.spans.keys[r.keys.from:r.keys.to] {
		erased := uint32(n.caps.Erased(key))
		if erased != 0 && (hid == r.now || hid > erased-min(erased, caps.ErasureSkew)) {
			r.at = max(r.at, uint32(later(caps.Second(erased), 1)))
		}
	}
}

// erasuresKnown is the second up to which this node has heard of every erasure that the
// cluster has. A node alone makes them all itself.
func (n *Node) erasuresKnown() uint32 {
	r := n.keeper.Kept().Replication
	switch {
	case r == nil || r.Broker != brokerCluster:
		return math.MaxUint32
	case r.Refusals.Known.IsZero():
		return 0
	}
	return uint32(r.Refusals.Known.Unix())
}

// brokerCluster is Replication.Broker of a node that has others.
const brokerCluster = "cluster"

// later adds without wrapping round.
func later(t, seconds caps.Second) caps.Second {
	if seconds > caps.Never-t {
		return caps.Never
	}
	return t + seconds
}
