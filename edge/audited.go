package edge

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/access"
	"restraint/edge/audit"
	"restraint/edge/identity"
	"restraint/edge/shared"
)

// The record of changes: see package audit. What is asked of a node is on disk before it
// is done (begin), and what became of it before it is answered (end); a change that
// cannot be written down is refused. What must not wait for a disk is done first and
// written down then (note): what the cluster decided, access keys that were revoked, a
// person's own opt-out, and that a campaign was dialled back. A dry run is not on the
// record.

// maxOwed bounds the entries that wait for the disk to take them. Chosen.
const maxOwed = 256

// auditing is a node's audit log and what it owes to it.
type auditing struct {
	log     *audit.Log
	digests *identity.Digests
	heads   *shared.Joined // kept of every node's log

	mu    sync.Mutex
	owed  []audit.Entry // changes that were made, and not written down yet
	lost  int           // those for which there was no room in owed
	fault string        // why the last entry could not be written; "": it was
	keys  map[string]access.Key

	headsMu sync.Mutex
	known   map[string]audit.Heads // by document
	joined  audit.Heads            // what joinHeads returned last
	cut     bool                   // a lost end of this log was logged
	signers map[string]bool        // key of a head of this node -> this log names it
	heard   audit.Heads            // of this log, from elsewhere, to be looked at
	signed  time.Time              // when the last head was signed
	own     audit.Head             // which was this one
}

// openRecord opens the audit log and the heads that are kept of all logs.
func (n *Node) openRecord() (err error) {
	r, dir := &n.record, n.options.Dir
	r.digests = identity.NewDigests(n.options.Secret)
	r.known, r.signers, r.keys = map[string]audit.Heads{}, map[string]bool{}, map[string]access.Key{}
	if r.log, err = audit.Open(audit.Options{Dir: filepath.Join(dir, "audit"), Node: n.options.Name, Key: n.options.Secret.AuditKey()}); err != nil {
		return err
	}
	r.heads, err = n.openJoined(shared.Kind{Prefix: headsPrefix, Join: n.joinHeads, Changed: n.noteHeads})
	if err != nil {
		return fmt.Errorf("open the audit record: %w", err)
	}
	r.heard = nil // what this disk has kept is for verify to look at
	if err := n.settleHeads(0); err != nil {
		n.recordState(err) // decisions do not wait for it
	}
	return nil
}

// recorded is a change that was announced on the record.
type recorded struct {
	node  *Node
	entry audit.Entry
}

// begin puts on record what a request asks for, which is to be done only then.
func (n *Node) begin(ctx *fasthttp.RequestCtx, e audit.Entry) (*recorded, *problem) {
	e.Who, e.Why = n.whoAsks(ctx), why(ctx)
	r, err := n.beginAs(e)
	if err != nil {
		return nil, notRecorded(err)
	}
	return r, nil
}

// beginAs is begin for an entry that says who asks.
func (n *Node) beginAs(e audit.Entry) (*recorded, error) {
	seq, err := n.append(e)
	if err != nil {
		return nil, err
	}
	e.Seq = seq
	return &recorded{n, e}, nil
}

// end puts on record what became of the change. Where that cannot be written the change
// stands all the same, and its outcome is written as soon as it can be.
func (r *recorded) end(outcome audit.Outcome, before, after audit.Facts) {
	if r == nil {
		return
	}
	e := r.entry
	e.Of, e.Seq, e.Outcome, e.Before, e.After, e.Why = e.Seq, 0, outcome, before, after, ""
	r.node.note(e)
}

// failed is end for a change that was refused, or went wrong.
func (r *recorded) failed(p *problem) {
	outcome := audit.Refused
	if p.Status >= fasthttp.StatusInternalServerError {
		outcome = audit.Failed // the cluster may have taken it, or some of it
	}
	r.end(outcome, nil, audit.Facts{"error": p.Detail})
}

// note puts on record what was done already.
func (n *Node) note(e audit.Entry) {
	at := time.Now()
	if _, err := n.append(e); err == nil {
		return
	}
	r := &n.record
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.owed) >= maxOwed {
		r.lost++
		return
	}
	if e.After = maps.Clone(e.After); e.After == nil {
		e.After = audit.Facts{}
	}
	e.After["happened_at"] = at.UTC().Format(time.RFC3339)
	r.owed = append(r.owed, e)
}

// append writes an entry, after those that are owed.
func (n *Node) append(e audit.Entry) (uint64, error) {
	if err := n.payOwed(); err != nil {
		return 0, err
	}
	seq, err := n.record.log.Append(e)
	n.recordState(err)
	if err == nil {
		n.metrics.audited.Inc()
	}
	return seq, err
}

// payOwed writes what is owed.
func (n *Node) payOwed() error {
	paid, err := n.payOwedNow()
	if paid > 0 || err != nil {
		n.recordState(err)
		n.metrics.audited.Add(paid)
	}
	return err
}

func (n *Node) payOwedNow() (paid int, err error) {
	r := &n.record
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.owed) > 0 {
		if _, err := r.log.Append(r.owed[0]); err != nil {
			return paid, err
		}
		paid++
		r.owed = r.owed[1:]
	}
	if r.lost == 0 {
		return paid, nil
	}
	lost := audit.Entry{Action: audit.RecordLost, Outcome: audit.Done, Who: audit.Who{By: audit.ByNode}, After: audit.Facts{"changes": r.lost}}
	if _, err := r.log.Append(lost); err != nil {
		return paid, err
	}
	r.lost = 0
	return paid + 1, nil
}

// recordState logs where the record cannot be written, and where it can be again.
func (n *Node) recordState(err error) {
	fault := ""
	if err != nil {
		fault = err.Error()
		n.metrics.notAudited.Inc()
	}
	r := &n.record
	r.mu.Lock()
	was := r.fault
	r.fault = fault
	r.mu.Unlock()
	switch {
	case was == "" && err != nil:
		n.log.Error("the audit record cannot be written: changes are refused until it can be", "error", fault)
	case was != "" && err == nil:
		n.log.Info("the audit record can be written again")
	}
}

// keepRecord writes what is owed and gives the cluster the log's head, until ctx ends.
func (n *Node) keepRecord(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { n.record.heads.Run(ctx) })
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		_ = n.payOwed() // what is wrong is logged
		if err := n.settleHeads(headEvery); err != nil {
			n.recordState(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// headEvery is how often a head is signed at most where there are new entries; after a
// quiet time it takes a second. Chosen: entries that no head names yet are what somebody can
// cut off without a trace.
const headEvery = 5 * time.Second

// closeRecord keeps the last head and closes the log.
func (n *Node) closeRecord() error {
	if n.record.log == nil {
		return nil
	}
	if n.record.heads != nil {
		if err := n.payOwed(); err != nil {
			n.log.Error("changes that were made are not on record", "changes", len(n.record.owed)+n.record.lost, "error", err.Error())
		}
		if err := n.settleHeads(0); err != nil {
			n.log.Warn("the audit record's last head is not on disk", "error", err.Error())
		}
	}
	return n.record.log.Close()
}
