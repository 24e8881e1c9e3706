package loadtest

import (
	"context"
	"fmt"

	"github.com/valyala/fasthttp"
)

// Bounds of one batch of events.
const (
	maxBatchLines   = 256
	maxBatchSeconds = 60 // of the log's time: a node refuses what lies 5 minutes ahead
)

// worker replays the rows of its users, one after another.
type worker struct {
	call   *call
	bodies *bodies
	oracle *Oracle // nil: no recount
	tally  tally

	decide  []byte // body of a decide request
	batch   []byte // NDJSON of events not yet sent
	pending []*row // their rows
	waiting map[uint32]struct{}
}

func newWorker(n *node, b *bodies, caps []ExpectedCap) *worker {
	rows := b.log.rows // in time order
	w := &worker{call: n.newCall(), bodies: b, tally: newTally(spanOf(rows[0].second(), rows[len(rows)-1].second())), waiting: map[uint32]struct{}{}}
	if len(caps) > 0 {
		w.oracle = NewOracle(caps...)
	}
	return w
}

// play replays rows and returns once every event of them is answered. Where
// ctx ends between two rows, the events of showings already decided are still
// sent, once.
func (w *worker) play(ctx context.Context, rows []*row) error {
	for _, r := range rows {
		if ctx.Err() != nil {
			break
		}
		if err := w.row(ctx, r); err != nil {
			return err
		}
		w.tally.kinds[r.kind]++
	}
	return w.flush(ctx)
}

func (w *worker) row(ctx context.Context, r *row) error {
	switch r.kind {
	case kindImpression:
		return w.impression(ctx, r)
	case kindPurchase, kindReturn:
		w.tally.purchase(r)
		return w.event(ctx, r)
	default:
		return nil
	}
}

func (w *worker) impression(ctx context.Context, r *row) error {
	if _, waiting := w.waiting[r.user]; waiting {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.decide = w.bodies.appendDecide(w.decide[:0], r)
	status, answer, err := w.call.send(ctx, fasthttp.MethodPost, "/v1/decide", "application/json", w.decide)
	if err != nil {
		return err
	}
	switch status {
	case fasthttp.StatusOK:
	case fasthttp.StatusBadRequest, fasthttp.StatusRequestEntityTooLarge:
		w.refused(r, "decide", parseProblem(answer))
		return nil
	default:
		return fmt.Errorf("POST /v1/decide: %w: status %d, %q", ErrNode, status, parseProblem(answer))
	}
	text := w.bodies.log.names.text
	v, err := parseVerdict(answer, text[r.campaign])
	if err != nil {
		return err
	}
	w.tally.decided(r, v)
	if w.oracle != nil {
		w.oracle.Check(Asked{User: w.bodies.log.users.text[r.user], Campaign: text[r.campaign], Creative: text[r.creative], Item: text[r.item], At: r.second()}, v.Show, v.Reason)
	}
	if !v.Show {
		return nil
	}
	return w.event(ctx, r)
}

// event puts the row's event into the batch.
func (w *worker) event(ctx context.Context, r *row) error {
	if n := len(w.pending); n >= maxBatchLines || n > 0 && r.second()-w.pending[0].second() > maxBatchSeconds {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.batch = w.bodies.appendEvent(w.batch, r)
	w.pending = append(w.pending, r)
	w.waiting[r.user] = struct{}{}
	return nil
}

// flush sends the batch.
func (w *worker) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	status, answer, err := w.call.send(ctx, fasthttp.MethodPost, "/v1/events", "application/x-ndjson", w.batch)
	if err != nil {
		return err
	}
	if status != fasthttp.StatusAccepted {
		return fmt.Errorf("POST /v1/events: %w: status %d, %q", ErrNode, status, parseProblem(answer))
	}
	a, err := parseAccepted(answer, len(w.pending))
	if err != nil {
		return err
	}
	for _, rejected := range a.Rejected {
		w.refused(w.pending[rejected.Line-1], "event", rejected.Detail)
	}
	w.batch, w.pending = w.batch[:0], w.pending[:0]
	clear(w.waiting)
	return nil
}

func (w *worker) refused(r *row, what, detail string) {
	w.tally.refused.add(w.bodies.log.files[r.file].File, int(r.line), rowFault{what, clip200([]byte(what + ": " + detail))})
}
