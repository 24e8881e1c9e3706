package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"restraint/edge/shared"
	"restraint/suppress"
)

// errListElsewhere says that the cluster has a change and this node not yet.
var errListElsewhere = errors.New("the cluster has it; this node is still to follow")

// errListRefused says that the cluster did not take a change.
var errListRefused = errors.New("the cluster did not take it")

// refusedList wraps an error of the cluster.
func refusedList(err error) error {
	if errors.Is(err, shared.ErrAway) || errors.Is(err, shared.ErrConflict) {
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
	publish := func(e *suppress.Export) error {
		err := n.publishExport(ctx, e)
		published = err == nil
		return err
	}
	body := &touched{Reader: r}
	report, err := n.lists.ReplaceAs(name, body, im, publish)
	for begun := time.Now(); errors.Is(err, suppress.ErrBusy) && !body.read && again(ctx, begun); {
		// The upload of another node is on its way in, as a rule.
		report, err = n.lists.ReplaceAs(name, body, im, publish)
	}
	if err != nil && published {
		err = fmt.Errorf("%w: %w", errListElsewhere, err)
	}
	return report, err
}

// touched knows whether it was read.
type touched struct {
	io.Reader
	read bool
}

func (t *touched) Read(b []byte) (int, error) {
	t.read = true
	return t.Reader.Read(b)
}

// changeList adds the members in r, or removes them, in the whole cluster.
func (n *Node) changeList(ctx context.Context, name string, op suppress.Op, r io.Reader, im suppress.Import) (suppress.Report, error) {
	if n.options.Lists == nil || im.DryRun {
		return n.lists.Change(name, op, r, im)
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
	c, err := n.lists.ParseChange(message)
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
