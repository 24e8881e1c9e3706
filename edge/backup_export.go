package edge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/backup"
	"restraint/suppress"
)

// backingUp is the backup that is being sent; there is one at a time, so that what backups cost is bounded.
type backingUp struct {
	sending sync.WaitGroup

	mu   sync.Mutex
	pipe *io.PipeWriter // nil: none is
	over bool           // none may begin
}

// begin returns the pipe that a backup is written to, which end ends; false: another is under way, or the node ends.
func (b *backingUp) begin() (r *io.PipeReader, w *io.PipeWriter, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pipe != nil || b.over {
		return nil, nil, false
	}
	r, w = io.Pipe()
	b.pipe = w
	b.sending.Add(1)
	return r, w, true
}

func (b *backingUp) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pipe.CloseWithError(err) // nil: whoever reads is told of the end
	b.pipe = nil
	b.sending.Done()
}

// stop ends the backup that is under way, and waits for it.
func (b *backingUp) stop() {
	b.mu.Lock()
	b.over = true
	if b.pipe != nil {
		b.pipe.CloseWithError(errBackupStopped)
	}
	b.mu.Unlock()
	b.sending.Wait()
}

var errBackupStopped = errors.New("the node ends")

// getSnapshot answers GET /v1/snapshot: a backup of this node (see package backup), as it is made. Where that fails the connection is cut off, and what
// has come is no whole file.
func (n *Node) getSnapshot(ctx *fasthttp.RequestCtx) {
	if n.options.Keeper == nil {
		newProblem(fasthttp.StatusConflict, errUnkept.Error()).send(ctx)
		return
	}
	for _, st := range n.lists.StatusAll() { // also those that the policy has no more
		if st.State == suppress.StateDamaged {
			newProblem(fasthttp.StatusConflict, fmt.Sprintf("list %q is damaged, and a copy of it would be trusted elsewhere: upload it again, or delete it where the policy has it no more; or take the snapshot of another node", st.List)).send(ctx)
			return
		}
	}
	if ctx.IsHead() {
		private(ctx)
		ctx.SetContentType("application/octet-stream")
		return
	}
	r, w, ok := n.backing.begin()
	if !ok {
		p := newProblem(fasthttp.StatusServiceUnavailable, "another snapshot is being exported from this node: try again when that one is done, or ask another node")
		p.retryAfter = 10
		p.send(ctx)
		return
	}
	asked, p := n.begin(ctx, audit.Entry{Action: audit.SnapshotExport})
	if p != nil {
		n.backing.end(errBackupStopped)
		p.send(ctx)
		return
	}
	private(ctx)
	ctx.SetContentType("application/octet-stream")
	ctx.SetBodyStream(r, -1)
	go n.sendBackup(n.logOf(ctx), w, asked) // until r is closed, or backing.stop
}

// sendBackup writes the backup and ends it.
func (n *Node) sendBackup(log *slog.Logger, w io.Writer, asked *recorded) {
	var sent int64
	var err error
	defer func() {
		if r := recover(); r != nil { // it has no request that guard would save
			n.panicked(log, r, debug.Stack())
			err = errors.New("internal error")
		}
		if err != nil {
			log.Error("snapshot not exported", "error", err.Error(), "bytes", sent)
			asked.end(audit.Failed, nil, audit.Facts{"error": err.Error()})
		} else {
			log.Info("snapshot exported", "bytes", sent)
			asked.end(audit.Done, nil, audit.Facts{"bytes": uint64(sent)})
		}
		n.backing.end(err)
	}()
	sent, err = n.writeBackup(w)
}

// maxNotReady bounds what is said of one condition, in bytes. Chosen: all of them fit into a head.
const maxNotReady = 1000

// writeBackup writes all sections. What was acknowledged before it began is in it, of what is meanwhile some: all of it is joined where it is read.
func (n *Node) writeBackup(out io.Writer) (bytes int64, err error) {
	secret := n.options.Secret
	head := backup.Head{
		Taken: time.Now().UTC(), Node: n.options.Name, Program: n.options.Version,
		Fingerprint: secret.Fingerprint(), Epoch: secret.Epochs().Active().Fingerprint,
	}
	_, conditions := n.ready()
	for _, c := range conditions {
		if !c.Ready {
			head.NotReady = append(head.NotReady, strings.TrimSuffix(fmt.Sprintf("%s: %.*s", c.Name, maxNotReady, c.Detail), ": "))
		}
	}
	n.writeCounts()
	n.saveEffects()
	w, err := backup.NewWriter(out, &head, func(salt []byte) ([]byte, error) { return secret.BackupKey(head.Epoch, salt) })
	if err != nil {
		return 0, err
	}
	for _, part := range []func(*backup.Writer) error{n.backUpPolicies, n.backUpDocuments, n.backUpLists} {
		if err := part(w); err != nil {
			return w.Bytes(), err
		}
	}
	s, err := w.Section(backupCounters, "")
	if err == nil {
		err = n.keeper.Export(s)
	}
	if err == nil {
		err = w.Close()
	}
	return w.Bytes(), err
}
