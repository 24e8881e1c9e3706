package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"restraint/suppress"
)

// errListElsewhere says that the cluster has a change and this node not yet.
var errListElsewhere = errors.New("the cluster has it; this node is still to follow")

// errListRefused says that the cluster did not take a change.
var errListRefused = errors.New("the cluster did not take it")

// refusedList wraps an error of the cluster.
func refusedList(err error) error {
	if errors.Is(err, ErrAway) || errors.Is(err, ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", errListRefused, err)
}

// numberList gets a number of the cluster, above all that are known here.
func (n *Node) numberList(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	number, err := n.options.Lists.Publish(ctx, nil, n.highestList())
	if err != nil {
		return 0, refusedList(err)
	}
	return number, nil
}

// declaredList says that the policy declares the list.
func (n *Node) declaredList(name string) bool {
	st, err := n.lists.Status(name)
	return err == nil && st.Declared
}

// replaceList makes the members in r the whole list, in the whole cluster.
func (n *Node) replaceList(ctx context.Context, name string, r io.Reader, im suppress.Import) (suppress.Report, error) {
	if n.options.Lists == nil || im.DryRun {
		return n.lists.Replace(name, r, im)
	}
	if !n.declaredList(name) {
		im.DryRun = true // which is refused, and would change nothing if the list were declared by now
		return n.lists.Replace(name, r, im)
	}
	number, err := n.numberList(ctx)
	if err != nil {
		return suppress.Report{List: name}, err
	}
	im.Generation, im.Start = number, number
	published := false
	report, err := n.lists.ReplaceAs(name, r, im, func(e *suppress.Export) error {
		err := n.publishExport(ctx, e)
		published = err == nil
		return err
	})
	if err != nil && published {
		err = fmt.Errorf("%w: %w", errListElsewhere, err)
	}
	return report, err
}

// changeList adds the members in r, or removes them, in the whole cluster.
func (n *Node) changeList(ctx context.Context, name string, op suppress.Op, r io.Reader, im suppress.Import) (suppress.Report, error) {
	if n.options.Lists == nil || im.DryRun {
		return n.lists.Change(name, op, r, im)
	}
	if _, connected := n.options.Lists.Stream(); !connected {
		return suppress.Report{List: name}, ErrAway // before the body is read
	}
	p, report, err := n.lists.Prepare(name, op, r, im)
	if err != nil {
		return report, err
	}
	defer p.Close()
	published := 0
	var behind error
	for message, err := range p.Messages() {
		var number uint64
		if err == nil {
			number, err = n.publishChange(ctx, message)
		}
		if err != nil {
			if published > 0 {
				err = fmt.Errorf("%d messages of up to %d keys were taken, the rest not; send all of them again: %w", published, suppress.MaxChangeKeys, err)
			}
			return report, err
		}
		published++
		behind = errors.Join(behind, n.applyOwn(ctx, number, message))
	}
	if behind == nil {
		behind = n.lists.Sync()
	}
	if behind != nil {
		return report, fmt.Errorf("%w: %w", errListElsewhere, behind)
	}
	return report, nil
}

func (n *Node) publishChange(ctx context.Context, message []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	number, err := n.options.Lists.Publish(ctx, message, n.highestList())
	if err != nil {
		return 0, refusedList(err)
	}
	return number, nil
}

// changeTimeout bounds the publication of one message, and the wait for its room.
// Chosen.
const changeTimeout = 10 * time.Second

// applyOwn applies a change that was published here, before the stream brings it. One
// that has no room is waited for: what reads the stream makes room, since it knows
// that all changes before it are here.
func (n *Node) applyOwn(ctx context.Context, number uint64, message []byte) error {
	c, err := suppress.ParseChange(message)
	if err != nil {
		panic("BUG: a change that was made here cannot be read: " + err.Error())
	}
	if err = n.lists.ApplyChange(number, &c); !errors.Is(err, suppress.ErrFull) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	ticker := time.NewTicker(followedEvery)
	defer ticker.Stop()
	for n.listing.followed.Load() < number {
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
	return nil
}

// followedEvery is how often it is looked whether the stream has brought a change. Chosen.
const followedEvery = 5 * time.Millisecond

// deleteList deletes a list in the whole cluster.
func (n *Node) deleteList(ctx context.Context, name string) error {
	if n.options.Lists == nil {
		return n.lists.Delete(name)
	}
	if _, err := n.lists.Status(name); err != nil {
		return err
	}
	number, err := n.numberList(ctx)
	if err != nil {
		return err
	}
	d := &listDocument{
		Version: listVersion, List: name, Deleted: true, Publication: suppress.Publication{Order: number, Generation: number},
	}
	if err := n.putList(ctx, d, func(*listDocument) error { return nil }); err != nil {
		return err
	}
	n.takeList(ctx, d) // tried again where it fails
	return nil
}

// rollBack makes the upload before the one in use again, in the whole cluster.
func (n *Node) rollBack(ctx context.Context, name string) (suppress.Status, error) {
	if n.options.Lists == nil {
		return n.lists.Rollback(name)
	}
	if st, err := n.lists.Status(name); err != nil || !st.Declared {
		return n.lists.Rollback(name) // which is refused
	}
	number, err := n.numberList(ctx)
	if err != nil {
		return suppress.Status{}, err
	}
	d := &listDocument{Version: listVersion, List: name}
	err = n.putList(ctx, d, func(old *listDocument) error {
		if old == nil || old.previous() == nil {
			return fmt.Errorf("roll back list %q: %w: the cluster keeps no upload before the one in use; upload it again", name, suppress.ErrNoPrevious)
		}
		up := *old.previous()
		d.Publication = suppress.Publication{Order: number, Generation: up.shipment.Generation}
		d.Uploads = []listUpload{up, old.Uploads[0]}
		return nil
	})
	if err != nil {
		return suppress.Status{}, err
	}
	behind := !n.takeList(ctx, d)
	st, err := n.lists.Status(name)
	if err == nil && behind {
		err = errListElsewhere
	}
	return st, err
}

// publishExport sends a generation out and has the cluster use it.
func (n *Node) publishExport(ctx context.Context, e *suppress.Export) error {
	d := &listDocument{Version: listVersion, List: e.List, Publication: e.Publication, Deleted: e.Deleted}
	if e.Deleted {
		return n.putList(ctx, d, func(*listDocument) error { return nil })
	}
	// One generation may be sent out again, with other changes in it.
	object := fmt.Sprintf("%s.%d.%d", listDocumentName(e.List)[len(listPrefix):], e.Generation, time.Now().UnixNano())
	up, err := newListUpload(object, &e.Shipment)
	if err != nil {
		return err
	}
	if err := n.options.Lists.Put(ctx, object, e.Reader(), e.Bytes); err != nil {
		return refusedList(err)
	}
	return n.putList(ctx, d, func(old *listDocument) error {
		d.Uploads = []listUpload{up}
		if old == nil || old.Deleted {
			return nil
		}
		for _, u := range old.Uploads {
			if u.shipment.Generation != e.Generation {
				d.Uploads = append(d.Uploads, u)
				break
			}
		}
		return nil
	})
}

// putRaces is how often another node may be faster. Chosen.
const putRaces = 5

// putList puts d over the document that the cluster has, unless that is of a later
// publication (ErrOlder). build completes d for what it replaces, nil for none.
func (n *Node) putList(ctx context.Context, d *listDocument, build func(old *listDocument) error) (err error) {
	name := listDocumentName(d.List)
	for range putRaces {
		var old *listDocument
		var revision uint64
		if old, revision, err = n.listDocument(ctx, name); err != nil {
			return err
		}
		if err = build(old); err != nil {
			return err
		}
		if old != nil && old.Order >= d.Order {
			return fmt.Errorf("%w: another node changed list %q meanwhile", suppress.ErrOlder, d.List)
		}
		var document []byte
		if document, err = appendListDocument(nil, d); err != nil {
			return err
		}
		putting, cancel := context.WithTimeout(ctx, shareTimeout)
		revision, err = n.options.Shared.Put(putting, name, document, revision)
		cancel()
		if err == nil {
			n.followedList(name, document, revision)
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return refusedList(err)
}

// listDocument asks the cluster for a document. One that is damaged is replaced, one
// of a newer program is not.
func (n *Node) listDocument(ctx context.Context, name string) (d *listDocument, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	var newer error
	err = n.options.Shared.List(ctx, name, func(found string, document []byte, at uint64) {
		if found == name {
			d, newer = parseListDocument(name, document)
			revision = at
		}
	})
	if err != nil {
		return nil, 0, refusedList(err)
	}
	if errors.Is(newer, errListNewer) {
		return nil, 0, refusedList(newer)
	}
	return d, revision, nil
}

// sweepLists deletes what no document names.
func (n *Node) sweepLists(ctx context.Context) {
	used := map[string]bool{}
	readable := true
	err := n.options.Shared.List(ctx, listPrefix, func(name string, document []byte, _ uint64) {
		d, err := parseListDocument(name, document)
		if err != nil {
			readable = false
			return
		}
		for _, u := range d.Uploads {
			used[u.Object] = true
		}
	})
	if err == nil && readable {
		err = n.options.Lists.Sweep(ctx, func(name string) bool { return used[name] })
	}
	if err != nil && !errors.Is(err, ErrAway) && ctx.Err() == nil {
		n.log.Warn("files of lists that are not in use stay", "error", err.Error())
	}
}
