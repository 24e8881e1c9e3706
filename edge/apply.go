package edge

import (
	"fmt"

	"restraint/caps"
	"restraint/edge/openrtb"
)

// apply makes the changes that the reports of one request come to, and returns once
// they are kept.
func (n *Node) apply(x *exchange) error {
	x.heedErasures(n)
	x.changes = x.changes[:0]
	for i := range x.reports {
		from := len(x.changes)
		x.changes = x.spans.appendChanges(x.changes, &x.reports[i])
		x.reports[i].changes = span{from, len(x.changes)}
	}
	x.notePurchases(n)
	for i := range x.changes {
		if c := &x.changes[i]; c.Kind == caps.ChangeReturn {
			x.narrowReturn(n, c)
		}
	}
	x.appendReports(n)
	if err := n.keeper.Record(x.changes); err != nil {
		return fmt.Errorf("keep events: %w", err)
	}
	for i := range x.reports {
		n.metrics.events[x.reports[i].kind].Inc()
		x.countReport(&x.reports[i])
	}
	n.countReports(x)
	n.countSaid(x.changes)
	n.judgeReported(x)
	return nil
}

// narrowReturn leaves of a return what it undoes: the most specific thing that it
// names, and the wider ones only where that was the last thing bought. Giving back
// one pair of shoes does not free a category in which another was bought since.
func (x *exchange) narrowReturn(n *Node, c *caps.Change) {
	n.caps.Lock(&x.person, c.Keys, c.Now)
	defer x.person.Unlock()
	bought, _ := x.person.Purchase(c.Tags[len(c.Tags)-1])
	first := len(c.Tags) - 1
	for first > 0 {
		wider, ok := x.person.Purchase(c.Tags[first-1])
		if !ok || wider != bought {
			break
		}
		first--
	}
	c.Tags = c.Tags[first:]
}

// appendChanges appends what a report changes in the state; clicks and what is
// said about campaigns (see listen.go) change nothing. The changes alias the spans.
func (s *spans) appendChanges(dst []caps.Change, r *report) []caps.Change {
	c := caps.Change{Keys: s.keys[r.keys.from:r.keys.to], Now: caps.Second(r.now)}
	if len(c.Keys) == 0 {
		return dst
	}
	places := s.places[r.places.from:r.places.to]
	switch r.kind {
	case openrtb.Impression:
		c.Kind = caps.ChangeExpose
		c.Beats = s.places[r.beats.from:r.beats.to]
		c.Scopes = s.scopes[r.scopes.from:r.scopes.to]
		for _, place := range places {
			c.Exposure = caps.Exposure{Identity: place, At: caps.Second(r.at), Retention: r.own}
			dst = append(dst, c)
		}
	case openrtb.Release:
		c.Kind, c.Until = caps.ChangeRelease, caps.Second(r.until)
		for _, place := range places {
			c.Identity = place
			dst = append(dst, c)
		}
	case openrtb.Purchase, openrtb.Return:
		c.Kind = caps.ChangePurchase
		if r.kind == openrtb.Return {
			c.Kind = caps.ChangeReturn
		}
		if c.Tags, c.Stamp = s.tags[r.tags.from:r.tags.to], caps.Second(r.at); len(c.Tags) > 0 {
			dst = append(dst, c)
		}
	case openrtb.Hide, openrtb.Complaint:
		c.Kind = caps.ChangeChoice
		c.Field, c.Stamp, c.Value = s.tags[r.tags.from], caps.Second(r.at), 1
		dst = append(dst, c)
	}
	return dst
}
