package edge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/backup"
	"restraint/edge/shared"
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
	if damaged := n.damagedLists(); len(damaged) > 0 {
		newProblem(fasthttp.StatusConflict, "a copy of what is damaged would be trusted elsewhere: "+strings.Join(damaged, ", ")+"; or take the snapshot of another node").send(ctx)
		return
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
	go n.sendBackup(w, asked) // until r is closed, or backing.stop
}

// sendBackup writes the backup and ends it.
func (n *Node) sendBackup(w io.Writer, asked *recorded) {
	var sent int64
	var err error
	defer func() {
		if r := recover(); r != nil { // it has no request that guard would save
			n.panicked(r, debug.Stack())
			err = errors.New("internal error")
		}
		if err != nil {
			n.log.Error("snapshot not exported", "error", err.Error(), "bytes", sent)
			asked.end(audit.Failed, nil, audit.Facts{"error": err.Error()})
		} else {
			n.log.Info("snapshot exported", "bytes", sent)
			asked.end(audit.Done, nil, audit.Facts{"bytes": uint64(sent)})
		}
		n.backing.end(err)
	}()
	sent, err = n.writeBackup(w)
}

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
			head.NotReady = append(head.NotReady, strings.TrimSuffix(c.Name+": "+c.Detail, ": "))
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

func (n *Node) backUpPolicies(w *backup.Writer) error {
	p := &n.policies
	p.mu.Lock()
	numbers := make([]int, len(p.versions))
	for i := range p.versions {
		numbers[i] = p.versions[i].Version
	}
	p.mu.Unlock()
	for _, number := range numbers {
		v, ok, err := p.version(number)
		if err != nil {
			return err
		}
		if !ok { // set aside meanwhile
			continue
		}
		text, err := json.Marshal(&v)
		if err == nil {
			err = backUpBytes(w, backupPolicy, fmt.Sprintf("%08d", number), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func backUpBytes(w *backup.Writer, kind, name string, b []byte) error {
	s, err := w.Section(kind, name)
	if err == nil {
		_, err = s.Write(b)
	}
	return err
}

func (n *Node) backUpDocuments(w *backup.Writer) error {
	for _, j := range []*shared.Joined{n.record.heads, n.dialling.documents, n.effects.joined, n.counting.joined} {
		if j == nil { // nothing is dialled back of a replay's
			continue
		}
		for name, form := range j.All() {
			if err := backUpBytes(w, backupDocument, name, form); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) backUpLists(w *backup.Writer) error {
	for _, st := range n.lists.StatusAll() {
		b, err := n.lists.Backup(st.List)
		if err != nil {
			return err
		}
		for _, g := range []struct {
			kind string
			of   *suppress.Export
		}{{backupPrevious, b.Previous}, {backupList, b.Current}} {
			if g.of != nil {
				if err := backUpGeneration(w, g.kind, g.of); err != nil {
					return err
				}
			}
		}
		if err := n.backUpChanges(w, b); err != nil {
			return err
		}
	}
	return nil
}

func backUpGeneration(w *backup.Writer, kind string, e *suppress.Export) error {
	form, err := suppress.AppendShipment(make([]byte, 4), &e.Shipment)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(form, uint32(len(form)-4))
	s, err := w.Section(kind, e.List)
	if err == nil {
		_, err = s.Write(form)
	}
	if err == nil {
		_, err = io.CopyBuffer(s, e.Reader(), make([]byte, 256<<10))
	}
	return err
}

func (n *Node) backUpChanges(w *backup.Writer, b *suppress.Backup) error {
	var s io.Writer
	var form []byte
	return b.Changes(func(seq uint64, c *suppress.Change) (err error) {
		if s == nil {
			if s, err = w.Section(backupChanges, b.List); err != nil {
				return err
			}
		}
		form = append(binary.LittleEndian.AppendUint64(form[:0], seq), 0, 0, 0, 0)
		if form, err = n.lists.AppendChange(form, c); err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(form[8:], uint32(len(form)-12))
		_, err = s.Write(form)
		return err
	})
}
