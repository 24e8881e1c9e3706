package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"restraint/edge/identity"
	"restraint/edge/shared"
	"restraint/suppress"
)

// listSeals are the epochs of the secret as the store of lists knows them.
type listSeals struct{ *identity.Epochs }

var _ suppress.Seals = listSeals{}

func (s listSeals) Active() string { return s.Epochs.Active().Fingerprint }

// sealListsEvery is how often it is looked whether lists are of an earlier epoch. Chosen.
const sealListsEvery = 2 * time.Second

// sealLists writes lists anew that are of an earlier epoch of the secret than the one in
// use, here and where the cluster keeps them, until ctx ends.
func (n *Node) sealLists(ctx context.Context) {
	ticker := time.NewTicker(sealListsEvery)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := n.lists.Reseal()
		if err == nil && n.options.Lists != nil {
			err = n.sealUploads(ctx)
		}
		switch {
		case err == nil || ctx.Err() != nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			n.log.Warn("lists stay sealed in an earlier epoch of the secret; it is tried again", "error", said)
		}
	}
}

// sealUploads replaces the key files that the cluster keeps in an earlier epoch, as far as
// they are here in the one in use.
func (n *Node) sealUploads(ctx context.Context) error {
	var faults []error
	for _, st := range n.lists.StatusAll() {
		if st.EarlierEpoch || st.State == suppress.StateDamaged {
			continue
		}
		n.listing.mu.Lock()
		d := n.listing.documents[st.List]
		n.listing.mu.Unlock()
		if d == nil || !n.isEarlier(d) || n.lists.Publication(st.List) != d.Publication {
			continue
		}
		if err := n.sealUpload(ctx, st.List); err != nil && !errors.Is(err, shared.ErrConflict) && !errors.Is(err, shared.ErrAway) {
			faults = append(faults, fmt.Errorf("list %q in the cluster: %w", st.List, err))
		}
	}
	return errors.Join(faults...)
}

// isEarlier says that the cluster keeps a key file in an earlier epoch than the one in use.
func (n *Node) isEarlier(d *listDocument) bool {
	active := n.options.Secret.Epochs().Active().Fingerprint
	for i := range d.Uploads {
		if d.Uploads[i].shipment.Fingerprint != active {
			return true
		}
	}
	return false
}

// sealUpload sends the generations out again in the epoch in use. The publication stays
// as it is, so nobody takes it anew who has it.
func (n *Node) sealUpload(ctx context.Context, list string) error {
	name := listDocumentName(list)
	d, revision, err := n.listDocument(ctx, name)
	if err != nil || d == nil || !n.isEarlier(d) || n.lists.Publication(list) != d.Publication {
		return err // another node was first, or there is a later publication
	}
	anew := *d
	anew.Uploads = nil
	for i, u := range d.Uploads {
		e, err := n.lists.Export(list)
		if i > 0 {
			e, err = n.lists.ExportPrevious(list)
		}
		if i > 0 && (errors.Is(err, suppress.ErrNoPrevious) || err == nil && e.Generation != u.shipment.Generation) {
			anew.Uploads = append(anew.Uploads, u) // it is not here: it goes with the next upload
			continue
		}
		if err != nil {
			return err
		}
		sent, err := n.sendUpload(ctx, e)
		if err != nil {
			return refusedList(err)
		}
		anew.Uploads = append(anew.Uploads, sent)
	}
	document, err := appendListDocument(nil, &anew)
	if err != nil {
		return err
	}
	putting, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	if revision, err = n.options.Shared.Put(putting, name, document, revision); err != nil {
		return refusedList(err)
	}
	n.followedList(name, document, revision)
	n.log.Info("the cluster's copy of a list is sealed in the epoch in use", "list", list, "generation", d.Generation)
	return nil
}

// epochStatus is what /v1/status says of the secret's epochs.
type epochStatus struct {
	Active int              `json:"active"`
	Newest int              `json:"newest"`
	Awaits []string         `json:"awaits,omitempty"`
	Epochs []identity.Epoch `json:"epochs"`
}

func (n *Node) epochStatus() epochStatus {
	e := n.options.Secret.Epochs()
	st := epochStatus{Active: e.Active().Number, Newest: e.Newest().Number, Epochs: e.All()}
	if r := n.keeper.Kept().Replication; r != nil && st.Newest > st.Active {
		st.Awaits = r.EpochAwaits
	}
	return st
}
