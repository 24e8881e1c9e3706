package edge

import (
	"restraint/caps"
	"restraint/edge/openrtb"
)

// apply puts the reports of one request into the state. Refusals and purchases
// go first, since they alone can find their memory full; then nothing else of the
// request is applied, and as each of them is a merge it does no harm to send them
// again.
func (n *Node) apply(x *exchange) error {
	for i := range x.reports {
		if err := n.applyRefusal(x, &x.reports[i]); err != nil {
			return err
		}
	}
	for i := range x.reports {
		n.applyShowing(x, &x.reports[i])
		n.metrics.events[x.reports[i].kind].Inc()
	}
	return nil
}

func (n *Node) applyRefusal(x *exchange, r *report) error {
	keys := x.spans.keys[r.keys.from:r.keys.to]
	tags := x.spans.tags[r.tags.from:r.tags.to]
	at := caps.Second(r.at)
	switch r.kind {
	case openrtb.Purchase:
		return n.caps.Purchase(keys, tags, at, caps.Second(r.now))
	case openrtb.Return:
		return n.caps.Return(keys, tags, at, caps.Second(r.now))
	case openrtb.Hide, openrtb.Complaint:
		return n.caps.Choose(keys, tags[0], at, 1, caps.Second(r.now))
	}
	return nil
}

func (n *Node) applyShowing(x *exchange, r *report) {
	keys := x.spans.keys[r.keys.from:r.keys.to]
	places := x.spans.places[r.places.from:r.places.to]
	switch r.kind {
	case openrtb.Impression:
		beats := x.spans.places[r.beats.from:r.beats.to]
		scopes := x.spans.scopes[r.scopes.from:r.scopes.to]
		for _, place := range places {
			n.caps.Expose(keys, caps.Exposure{Identity: place, At: caps.Second(r.at), Issued: caps.Second(r.issued)}, beats, scopes, caps.Second(r.now))
		}
	case openrtb.Release:
		for _, place := range places {
			n.caps.Release(keys, place, 0, caps.Second(r.now))
		}
	}
}
