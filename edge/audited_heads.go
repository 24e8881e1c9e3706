package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"restraint/edge/audit"
	"restraint/edge/shared"
)

// Heads of every node's audit log are joined documents: each node keeps those of all on
// its disk, and so does the cluster's store.

// headsPrefix begins the names of the documents.
const headsPrefix = "audit."

// HeadsFile is the name, under joined in a data directory, of the heads that are kept of
// a node's audit log.
func HeadsFile(node string) string {
	sum := sha256.Sum256([]byte(node))
	return headsPrefix + hex.EncodeToString(sum[:16])
}

// HeadsFiles is the pattern of the names of such files, of whichever nodes.
const HeadsFiles = headsPrefix + "*"

// errHeadsName says that heads stand under another node's name.
var errHeadsName = errors.New("these heads of an audit record are of another node than the document's name says")

// joinHeads is the join of two documents; see openJoined.
func (n *Node) joinHeads(name string, a, b []byte) ([]byte, error) {
	r := &n.record
	r.headsMu.Lock()
	known := r.known[name]
	r.headsMu.Unlock()
	if a == nil {
		known = nil
	}
	others, err := audit.ParseHeads(b, known)
	switch {
	case errors.Is(err, audit.ErrHeadsNewer):
		return nil, shared.ErrNewer
	case err != nil:
		return nil, err
	case HeadsFile(others[0].Node) != name:
		return nil, fmt.Errorf("%w: %.80q", errHeadsName, others[0].Node)
	}
	if name == HeadsFile(n.options.Name) {
		r.hear(others, known)
	}
	r.joined = known.Join(others)
	return audit.AppendHeads(nil, r.joined), nil
}

// hear notes heads of this node's own log that are new to it: the log is to have what
// they were signed over.
func (r *auditing) hear(others, known audit.Heads) {
	r.headsMu.Lock()
	defer r.headsMu.Unlock()
	for _, h := range others {
		if h.Key == r.log.PublicKey() && !slices.Contains(known, h) && len(r.heard) < maxHeard {
			r.heard = append(r.heard, h)
		}
	}
}

// maxHeard bounds the heads that wait for being looked at. Chosen: as many as a document
// can bring.
const maxHeard = 256

// checkHeard looks whether the log has what heads that came from elsewhere were signed
// over.
func (n *Node) checkHeard() error {
	r := &n.record
	r.headsMu.Lock()
	heard := r.heard
	r.heard = nil
	r.headsMu.Unlock()
	for i := range heard {
		h := &heard[i]
		if h.Seq > r.log.Seq() || h.Seq == r.own.Seq && h.MAC == r.own.MAC {
			continue // its end is looked at elsewhere, or it was signed just now
		}
		has, err := r.log.Has(h)
		if err != nil {
			return err
		}
		if !has {
			n.sayCut(h)
			if err := r.log.Differs(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteHeads keeps the heads of a document in memory.
func (n *Node) noteHeads(name string, doc []byte) {
	r := &n.record
	heads, err := audit.ParseHeads(doc, r.joined) // which is what doc has
	if err != nil {
		panic("BUG: heads that were joined here cannot be read: " + err.Error())
	}
	r.headsMu.Lock()
	defer r.headsMu.Unlock()
	r.known[name] = heads
}

// headsKept are the heads that this node keeps of all logs.
func (n *Node) headsKept() (all audit.Heads) {
	r := &n.record
	r.headsMu.Lock()
	defer r.headsMu.Unlock()
	for _, heads := range r.known {
		all = append(all, heads...)
	}
	return all
}

// settleHeads looks whether what is kept elsewhere of this node's log is still in it, and
// keeps a new head where there are new entries and the last was signed so long ago.
func (n *Node) settleHeads(ago time.Duration) error {
	r := &n.record
	name := HeadsFile(n.options.Name)
	r.headsMu.Lock()
	own := r.known[name]
	r.headsMu.Unlock()
	kept := uint64(0)
	for i := range own {
		h := &own[i]
		if h.Key != r.log.PublicKey() {
			n.sayAnother(h)
			continue
		}
		if kept = max(kept, h.Seq); h.Seq <= r.log.Seq() {
			continue
		}
		n.sayCut(h)
		if err := r.log.Lost(h); err != nil {
			return err
		}
	}
	if err := n.checkHeard(); err != nil {
		return err
	}
	head, ok := r.log.Head()
	if !ok || head.Seq <= kept || time.Since(r.signed) < ago {
		return nil
	}
	r.signed, r.own = time.Now(), head
	return r.heads.Put(name, audit.AppendHeads(nil, audit.Heads{head}))
}

// sayCut logs, and counts, that the log lacks entries that it signed.
func (n *Node) sayCut(h *audit.Head) {
	n.metrics.auditCut.Inc()
	if r := &n.record; !r.cut {
		r.cut = true
		n.log.Error("the audit record lacks entries that it had: its end was cut off, or it is an older copy; restraint audit verify says more",
			"newest", r.log.Seq(), "had", h.Seq, "signed", h.At.UTC().Format(time.RFC3339))
	}
}

// sayAnother logs that an earlier log of this node is known, which is not here.
func (n *Node) sayAnother(h *audit.Head) {
	r := &n.record
	if _, looked := r.signers[h.Key]; looked {
		return
	}
	r.signers[h.Key] = r.log.Names(h.Key)
	if !r.signers[h.Key] {
		n.log.Warn("this node had another audit record before, which is not here", "had", h.Seq, "signed", h.At.UTC().Format(time.RFC3339), "signing_key", h.Key)
	}
}
