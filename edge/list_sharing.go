package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"restraint/suppress"
)

// sweepListsEvery is how often what no list uses is looked for. Chosen.
const sweepListsEvery = 10 * time.Minute

// listing is what a node knows of the cluster's lists.
type listing struct {
	// taking is held while a publication is taken here, so that one is taken once. It
	// is locked before mu.
	taking sync.Mutex

	mu        sync.Mutex
	documents map[string]*listDocument // by list
	unread    map[string]string        // document -> why it cannot be read
	faults    map[string]string        // list -> why its document is not in force here
	lost      uint64                   // as lostListChanges
	noticed   bool                     // changes were lost, and the cluster is not told yet
	stuck     string                   // why the next change cannot be applied
	listed    bool                     // the documents are all there are, or were at the start
	away      bool                     // the cluster could not be asked for them
	joined    bool                     // all of them were in force here, and all changes

	wake chan struct{} // of capacity 1

	followed atomic.Uint64 // number of the last message that was applied in order
}

func (l *listing) open() {
	l.documents, l.unread, l.faults = map[string]*listDocument{}, map[string]string{}, map[string]string{}
	l.wake = make(chan struct{}, 1)
}

// shareLists keeps the lists the cluster's until ctx ends.
func (n *Node) shareLists(ctx context.Context) {
	if n.options.Lists == nil {
		return
	}
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { n.options.Shared.Follow(ctx, "list", n.followedList) })
	following.Go(func() {
		n.options.Lists.Follow(ctx, ListFollower{
			File:  filepath.Join(n.options.Dir, "suppress", "followed"),
			Apply: n.followListChange, Sync: n.lists.Sync, Lost: n.lostListChanges,
		})
	})
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	swept := time.Now()
	var told nodeDocument
	for {
		n.settleLists(ctx)
		told = n.tellLists(ctx, told)
		if time.Since(swept) > sweepListsEvery {
			swept = time.Now()
			n.sweepLists(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-n.listing.wake:
		}
	}
}

// followedList notes a document of the cluster.
func (n *Node) followedList(name string, document []byte, revision uint64) {
	l := &n.listing
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unread, name)
	switch {
	case name == lostDocument:
		var lost lostListChanges
		if err := json.Unmarshal(document, &lost); revision != 0 && (err != nil || lost.Version != listVersion) {
			l.unread[name] = "it cannot be read"
		}
		l.lost = max(l.lost, lost.Number)
	case revision == 0:
		for list := range l.documents {
			if listDocumentName(list) == name {
				delete(l.documents, list)
				delete(l.faults, list)
			}
		}
	default:
		d, err := parseListDocument(name, document)
		if err != nil {
			l.unread[name] = err.Error()
			n.metrics.listsNotInstalled.Inc()
			n.log.Error("the cluster's document of a list cannot be read", "document", name, "error", err.Error())
			break
		}
		l.documents[d.List] = d
	}
	l.signal()
}

func (l *listing) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// settleLists does what is still to be done: it asks for the documents, takes what is
// not in force here, and gives the cluster what it has lost.
func (n *Node) settleLists(ctx context.Context) {
	l := &n.listing
	l.mu.Lock()
	listed, noticed := l.listed, l.noticed
	l.mu.Unlock()
	if !listed {
		asking, cancel := context.WithTimeout(ctx, shareTimeout)
		err := n.options.Shared.List(asking, "list", n.followedList)
		cancel()
		l.mu.Lock()
		l.listed, l.away = err == nil, err != nil
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
	if noticed {
		n.tellLost(ctx)
	}
	l.mu.Lock()
	documents := maps.Clone(l.documents)
	l.mu.Unlock()
	whole := true
	for _, list := range slices.Sorted(maps.Keys(documents)) {
		whole = n.takeList(ctx, documents[list]) && whole
		if ctx.Err() != nil {
			return
		}
	}
	n.proposeLists(ctx)
	stream, _ := n.options.Lists.Stream()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joined = l.joined || whole && stream.Reached && len(l.unread) == 0
}

// takeList puts the publication of a document in force here, unless it is. It reports
// false while one of a list that the policy declares is not.
func (n *Node) takeList(ctx context.Context, d *listDocument) bool {
	l := &n.listing
	l.taking.Lock()
	defer l.taking.Unlock()
	st, err := n.lists.Status(d.List)
	if order := n.lists.Publication(d.List).Order; err == nil && (order > d.Order || order == d.Order && st.Generation == d.Generation && st.State != suppress.StateDamaged) {
		n.listFault(d.List, nil)
		return true
	}
	declared := err == nil && st.Declared
	err = n.installList(ctx, d)
	switch {
	case errors.Is(err, suppress.ErrOlder): // another came meanwhile
		err = nil
	case errors.Is(err, suppress.ErrBusy), ctx.Err() != nil, errors.Is(err, suppress.ErrClosed):
		return !declared
	case err == nil:
		n.metrics.listsInstalled.Inc()
		n.log.Info("list taken from the cluster", "list", d.List, "generation", d.Generation, "deleted", d.Deleted)
	default:
		n.metrics.listsNotInstalled.Inc()
	}
	n.listFault(d.List, err)
	return err == nil || !declared
}

// installList does what a document says.
func (n *Node) installList(ctx context.Context, d *listDocument) error {
	if d.Deleted {
		return n.lists.DeleteAs(d.List, d.Order, d.Order)
	}
	st, err := n.lists.RollbackTo(d.List, d.Publication)
	if err == nil && st.State != suppress.StateDamaged || errors.Is(err, suppress.ErrOlder) || errors.Is(err, suppress.ErrBusy) {
		return err
	}
	up := &d.Uploads[0]
	sh := up.shipment
	sh.Order = d.Order
	var replay *suppress.Replay
	if err == nil { // damaged: the changes are read again, too
		replay = n.replayOf(ctx, d.List, sh.Start, max(sh.Start, n.lists.Sequence()))
	}
	err = n.installUpload(ctx, up, &sh, replay)
	var missing *suppress.ReplayError
	if errors.As(err, &missing) {
		err = n.installUpload(ctx, up, &sh, n.replayOf(ctx, d.List, missing.After, missing.Through))
	}
	return err
}

func (n *Node) installUpload(ctx context.Context, up *listUpload, sh *suppress.Shipment, replay *suppress.Replay) error {
	keys, err := n.options.Lists.Get(ctx, up.Object, sh.Bytes)
	if err != nil {
		return err
	}
	defer keys.Close()
	_, err = n.lists.Install(sh.List, sh, keys, replay)
	return err
}

// errListStream says that the cluster's stream lacks changes that are to be read again.
var errListStream = errors.New("the cluster has lost changes of the list; upload it again")

// replayOf reads the changes of a list again. Both ends have to be in the stream: else
// it was made anew or has lost its end since, and nobody knows what was between them.
func (n *Node) replayOf(ctx context.Context, list string, after, through uint64) *suppress.Replay {
	return &suppress.Replay{Through: through, Changes: func(yield func(uint64, *suppress.Change) error) error {
		begun, ended := after < firstListNumber, through <= after || through < firstListNumber
		err := n.options.Lists.Read(ctx, func(number uint64, message []byte) error {
			begun, ended = begun || number == after, ended || number == through
			if number <= after || number > through || len(message) == 0 {
				return nil
			}
			c, err := n.lists.ParseChange(message)
			switch {
			case errors.Is(err, suppress.ErrVersion), errors.Is(err, suppress.ErrEpoch):
				return err
			case err != nil || c.List != list || n.lists.Foreign(&c):
				return nil
			}
			return yield(number, &c)
		})
		if err == nil && !(begun && ended) {
			err = errListStream
		}
		return err
	}}
}

// listFault notes why a list is not what the cluster says, and logs it once.
func (n *Node) listFault(list string, err error) {
	l := &n.listing
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		delete(l.faults, list)
		return
	}
	if l.faults[list] == "" {
		n.log.Error("list not taken from the cluster; it is tried again", "list", list, "error", err.Error())
	}
	l.faults[list] = err.Error()
}

// followListChange applies a message of the stream: see ListFollower.
func (n *Node) followListChange(before, number uint64, message []byte) error {
	if err := n.applyListChange(before, number, message); err != nil {
		return err
	}
	n.listing.followed.Store(number)
	return nil
}

func (n *Node) applyListChange(before, number uint64, message []byte) error {
	if len(message) == 0 {
		return nil // the number of an upload
	}
	c, err := n.lists.ParseChange(message)
	switch {
	case errors.Is(err, suppress.ErrVersion), errors.Is(err, suppress.ErrEpoch):
		return n.stuckList(number, err)
	case err != nil, n.lists.Foreign(&c):
		n.metrics.listChangesIgnored.Inc()
		n.log.Error("a change of a list cannot be used and is ignored", "number", number, "error", fmt.Sprint(err))
		return nil
	}
	err = n.lists.ApplyChange(number, &c)
	if errors.Is(err, suppress.ErrFull) {
		// Numbers ascend in the stream: all up to the one before have been applied.
		if err = n.lists.Compact(c.List, max(before, firstListNumber-1)); err == nil {
			err = n.lists.ApplyChange(number, &c)
		}
	}
	return n.stuckList(number, err)
}

// stuckList notes why a change cannot be applied; the next ones wait for it.
func (n *Node) stuckList(number uint64, err error) error {
	l := &n.listing
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.stuck = ""
		return nil
	}
	if l.stuck == "" {
		n.log.Error("a change of a list cannot be applied; it is tried again", "number", number, "error", err.Error())
	}
	l.stuck = err.Error()
	return err
}
