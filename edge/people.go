package edge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/caps"
	"restraint/edge/openrtb"
	"restraint/suppress"
)

// Peers are the other nodes of the cluster. Safe for concurrent use.
type Peers interface {
	// Erased asks every other node whether it has forgotten what it knew of the keys up to
	// the second, by name. It takes no longer than a second or two. ErrAway: the cluster
	// cannot be reached.
	Erased(ctx context.Context, keys []caps.Key, until caps.Second) ([]PeerErased, error)
}

// PeerErased is what is known of another node and an erasure.
type PeerErased struct {
	Node string
	// Answered: it said whether it has Applied it.
	Answered, Applied bool
	// Seen is when the node was last known to run; zero: not known.
	Seen time.Time
}

// inquiry is a request about one person.
type inquiry struct {
	openrtb.Inquiry
	keys []caps.Key
	now  uint32
}

// readInquiry reads a request about one person, who must be known by 1 to maxKeys
// identifiers that can all be used: one that were left out would not be erased.
func (n *Node) readInquiry(ctx *fasthttp.RequestCtx, takes openrtb.Takes) (*inquiry, *problem) {
	if p := wantType(ctx, jsonTypes); p != nil {
		return nil, p
	}
	hand := inHand{of: &n.inHand}
	defer hand.end()
	body, p := readBody(ctx, nil, decideBytes, &hand)
	if p != nil {
		return nil, p
	}
	q := new(inquiry)
	if err := q.Parse(body, takes); err != nil {
		return nil, faulty(err)
	}
	if q.now = n.clock.at(ctx.Time(), q.At); q.now == 0 {
		return nil, newProblem(fasthttp.StatusBadRequest, "at: required; this node takes the time from the requests (--clock=request), and none has said one yet")
	}
	if many := len(q.Identifiers) + q.IdentifiersDropped; many > maxKeys {
		return nil, newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("%d identifiers; at most %d at once: send them in several requests", many, maxKeys))
	}
	for i := range q.Identifiers {
		id := &q.Identifiers[i]
		canonical, err := suppress.Canonical(nil, string(id.Source), id.ID)
		if err != nil {
			return nil, faulty(openrtb.Faults{{Field: placeOf(id.Source), Detail: "an identifier that cannot be used: " + err.Error()}})
		}
		q.keys = append(q.keys, n.hasher.Key(string(id.Source), canonical))
	}
	return q, nil
}

// placeOf is where an identifier of a source stands. The source of an eid is not
// repeated: it may be an identifier in the wrong place.
func placeOf(source []byte) string {
	switch s := string(source); s {
	case openrtb.SourceUserID, openrtb.SourceIFA:
		return strings.Replace(s, "ifa", "device.ifa", 1)
	case openrtb.SourceBuyerUID:
		return "user.buyeruid"
	}
	return "user.eids"
}

// held looks everything up that is held about the keys.
func (n *Node) held(keys []caps.Key, now uint32) []caps.Held {
	all := make([]caps.Held, len(keys))
	for i, key := range keys {
		all[i] = n.caps.Lookup(key, caps.Second(now))
	}
	return all
}

// clockUnknown refuses what could do harm for a node that has never compared its clock
// with the cluster's: a second that is years ahead would erase what is still to come,
// and would beat every refusal until then.
func (n *Node) clockUnknown(what string) *problem {
	if n.clockCompared() {
		return nil
	}
	p := newProblem(fasthttp.StatusServiceUnavailable,
		"this node has not reached NATS since it started and cannot tell whether its clock is right; "+what+" has to wait for that, or be asked of another node. What refuses is taken at any time")
	p.retryAfter = 5
	return p
}

// clockCompared says whether the clock was compared with the cluster's, where there is one.
func (n *Node) clockCompared() bool {
	r := n.keeper.Kept().Replication
	return r == nil || r.Broker != brokerCluster || !r.ClockServers.IsZero()
}

// mayExpire says whether the clock can be believed so far that what would go on every node
// may go by its time.
func (n *Node) mayExpire() bool {
	_, wrong := n.clock.wrong()
	return !wrong && n.clockCompared()
}

// refusalsFull is the answer where a change of a person could not be kept.
func refusalsFull(err error) *problem {
	p := newProblem(fasthttp.StatusServiceUnavailable, fmt.Sprintf("keep the change: %v; it can come twice: send all of it again later", err))
	p.retryAfter = 5
	return p
}
