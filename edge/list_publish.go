package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"restraint/edge/shared"
	"restraint/suppress"
)

// publishExport sends a generation out and has the cluster use it.
func (n *Node) publishExport(ctx context.Context, e *suppress.Export) error {
	d := &listDocument{Version: listVersion, List: e.List, Publication: e.Publication, Deleted: e.Deleted}
	if e.Deleted {
		return n.putList(ctx, d, func(*listDocument) error { return nil })
	}
	up, err := n.sendUpload(ctx, e)
	if err != nil {
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

// sendUpload keeps the key file in the cluster. One generation may be sent again, with
// other changes in it, and what did not end under a name stays as it is: each try has
// a name of its own.
func (n *Node) sendUpload(ctx context.Context, e *suppress.Export) (up listUpload, err error) {
	for begun := time.Now(); ; {
		object := fmt.Sprintf("%s.%d.%d", listDocumentName(e.List)[len(listPrefix):], e.Generation, time.Now().UnixNano())
		if up, err = newListUpload(object, &e.Shipment); err != nil {
			return up, err
		}
		if err = n.options.Lists.Put(ctx, object, e.Reader(), e.Bytes); !errors.Is(err, shared.ErrAway) || !again(ctx, begun) {
			return up, err
		}
	}
}

// How often another node may be faster, and for how long the cluster may be away
// before a change is given up: a connection that was cut is there again in less.
// Chosen.
const (
	putRaces   = 5
	awayAtMost = 2 * time.Second
	awayPause  = 50 * time.Millisecond
)

// again pauses, and says whether what began then may be tried again.
func again(ctx context.Context, begun time.Time) bool {
	pause := time.NewTimer(awayPause)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	return time.Since(begun) < awayAtMost
}

// putList puts d over the document that the cluster has, unless that is of a later
// publication (ErrOlder). build completes d for what it replaces, nil for none.
func (n *Node) putList(ctx context.Context, d *listDocument, build func(old *listDocument) error) (err error) {
	begun, races := time.Now(), 0
	for {
		err = n.putListOnce(ctx, d, build)
		switch {
		case errors.Is(err, shared.ErrConflict) && races < putRaces:
			races++
			continue
		case errors.Is(err, shared.ErrAway) && again(ctx, begun):
			continue
		}
		return err
	}
}

func (n *Node) putListOnce(ctx context.Context, d *listDocument, build func(old *listDocument) error) error {
	name := listDocumentName(d.List)
	old, revision, err := n.listDocument(ctx, name)
	if err != nil {
		return err
	}
	if old != nil && old.Order == d.Order && d.Order != 0 {
		return nil // the answer to an earlier try was lost: no other publication has the number
	}
	if err := build(old); err != nil {
		return err
	}
	if old != nil && old.Order >= d.Order {
		return fmt.Errorf("%w: an upload, a rollback or the deletion of list %q began later on another node and has ended: look at the list, and send this again if it is to hold", suppress.ErrOlder, d.List)
	}
	document, err := appendListDocument(nil, d)
	if err != nil {
		return err
	}
	putting, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	if revision, err = n.options.Shared.Put(putting, name, document, revision); err != nil {
		return refusedList(err)
	}
	n.followedList(name, document, revision)
	return nil
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
	if err != nil && !errors.Is(err, shared.ErrAway) && ctx.Err() == nil {
		n.log.Warn("files of lists that are not in use stay", "error", err.Error())
	}
}
