package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"restraint/suppress"
)

// lostListChanges is told that the stream lacks changes that were applied here.
func (n *Node) lostListChanges() {
	n.log.Error("the cluster has lost changes of lists: upload again the lists that readyz names")
	n.listing.mu.Lock()
	defer n.listing.mu.Unlock()
	n.listing.noticed = true
	n.listing.signal()
}

// tellLost says to all that what was uploaded until now may lack changes on some nodes.
func (n *Node) tellLost(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	number, err := n.options.Lists.Publish(ctx, nil, n.highestList())
	if err == nil {
		err = n.putLost(ctx, number)
	}
	if err != nil {
		return // it is tried again
	}
	n.listing.mu.Lock()
	defer n.listing.mu.Unlock()
	n.listing.noticed, n.listing.lost = false, max(n.listing.lost, number)
}

func (n *Node) putLost(ctx context.Context, number uint64) error {
	var have lostListChanges
	var over uint64
	err := n.options.Shared.List(ctx, lostDocument, func(name string, document []byte, revision uint64) {
		if name == lostDocument && json.Unmarshal(document, &have) == nil {
			over = revision
		}
	})
	if err != nil || have.Number >= number {
		return err
	}
	document, err := json.Marshal(lostListChanges{Version: listVersion, Number: number})
	if err != nil {
		return err
	}
	_, err = n.options.Shared.Put(ctx, lostDocument, document, over)
	return err
}

// highestList is the highest number that this node knows of.
func (n *Node) highestList() uint64 {
	highest := n.lists.Sequence()
	for _, st := range n.lists.StatusAll() {
		highest = max(highest, n.lists.Publication(st.List).Order, st.Generation)
	}
	n.listing.mu.Lock()
	defer n.listing.mu.Unlock()
	for _, d := range n.listing.documents {
		highest = max(highest, d.Order)
	}
	return highest
}

// proposeLists gives the cluster the lists that it had and has no more, or has an older
// publication of.
func (n *Node) proposeLists(ctx context.Context) {
	for _, st := range n.lists.StatusAll() {
		n.listing.mu.Lock()
		d := n.listing.documents[st.List]
		n.listing.mu.Unlock()
		order := n.lists.Publication(st.List).Order
		if order < firstListNumber || st.State == suppress.StateDamaged || d != nil && d.Order >= order {
			continue
		}
		err := n.proposeList(ctx, st.List)
		switch {
		case err == nil:
			n.log.Warn("the cluster had lost a list and was given it again", "list", st.List, "generation", st.Generation)
		case errors.Is(err, suppress.ErrOlder): // it comes by Follow
		default:
			n.listFault(st.List, fmt.Errorf("the cluster does not have it, and did not take it: %w", err))
		}
	}
}

func (n *Node) proposeList(ctx context.Context, list string) error {
	e, err := n.lists.Export(list)
	if err != nil {
		return err
	}
	// Before a large file is sent: another node may have been first.
	if d, _, err := n.listDocument(ctx, listDocumentName(list)); err != nil || d != nil && d.Order >= e.Order {
		return cmp.Or(err, suppress.ErrOlder)
	}
	return n.publishExport(ctx, e)
}

// listsCondition says whether every list of the policy can be relied on.
func (n *Node) listsCondition() condition {
	said := n.damagedLists()
	c := condition{Name: "lists", Ready: len(said) == 0}
	if n.options.Lists != nil {
		ready, shared := n.sharedLists()
		c.Ready = c.Ready && ready
		said = append(said, shared...)
	}
	c.Detail = strings.Join(said, ", ")
	return c
}

// sharedLists says how the lists stand to the cluster's. Once they were the same, a
// node stays ready: until the next upload is here, the one before holds.
func (n *Node) sharedLists() (ready bool, said []string) {
	stream, connected := n.options.Lists.Stream()
	l := &n.listing
	l.mu.Lock()
	defer l.mu.Unlock()
	ready = l.joined
	switch {
	case stream.Gap != "":
		ready, said = false, append(said, stream.gap("upload the lists again"))
	case l.joined:
	case !connected || !l.listed && l.away:
		ready, said = true, append(said, "degraded: NATS cannot be reached; lists are as they were on disk")
	case !l.listed:
		said = append(said, "the cluster was asked for its lists")
	case !stream.Reached:
		said = append(said, fmt.Sprintf("%d messages with changes behind", stream.Behind))
	}
	if l.stuck != "" {
		said = append(said, "a change cannot be applied: "+l.stuck)
	}
	for name, why := range l.unread {
		said = append(said, fmt.Sprintf("document %q: %s", name, why))
	}
	for _, st := range n.lists.StatusAll() {
		d, order := l.documents[st.List], n.lists.Publication(st.List).Order
		switch {
		case !st.Declared:
		case d != nil && d.Order > order:
			detail := fmt.Sprintf("list %q: generation %d is being fetched", st.List, d.Generation)
			if why := l.faults[st.List]; why != "" {
				detail += ": " + why
			}
			said = append(said, detail)
		case st.State == suppress.StateNone:
		case st.Generation < l.lost:
			said = append(said, fmt.Sprintf("list %q: the cluster has lost changes: upload it again", st.List))
		case l.listed && d == nil && order < firstListNumber && (st.Generation > 1 || st.Changes > 0 && n.lists.Sequence() < firstListNumber):
			said = append(said, fmt.Sprintf("list %q: only this node has it: upload it again", st.List))
		case l.faults[st.List] != "":
			said = append(said, fmt.Sprintf("list %q: %s", st.List, l.faults[st.List]))
		}
	}
	slices.Sort(said)
	return ready, said
}
