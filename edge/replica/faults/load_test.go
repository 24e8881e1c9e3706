package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// load sends the workload to nodes from a few workers, and records what came of it. It can be stopped and started again.
type load struct {
	nodes   []*node
	history *history
	workers []*worker
	pace    time.Duration // between two steps of a worker

	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	wrong   []string // found while it ran
}

// worker does the steps of one workload, one after the other.
type worker struct {
	*load
	work   *workload
	random *rand.Rand // for what the answers lead to; the workload's own are for what is sent
	tokens int
}

func newLoad(nodes []*node, seed uint64, workers, users int) *load {
	l := &load{nodes: nodes, history: newHistory(), pace: 3 * time.Millisecond}
	for i := range workers {
		l.workers = append(l.workers, &worker{load: l, work: newWorkload(seed, i, users, len(nodes)), random: rand.New(rand.NewPCG(seed, uint64(1000+i)))})
	}
	return l
}

func (l *load) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for _, w := range l.workers {
		l.running.Go(func() { w.run(ctx) })
	}
}

// stop waits for what is under way.
func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// during runs f under load, which has some events acknowledged before f begins.
func (l *load) during(t testing.TB, f func()) {
	t.Helper()
	l.start()
	defer l.stop()
	l.awaitMore(t, 100)
	f()
}

// awaitMore waits until so many more reports have been acknowledged.
func (l *load) awaitMore(t testing.TB, n int) {
	t.Helper()
	want := l.history.totals().acknowledged + n
	until(t, fmt.Sprintf("%d more events acknowledged", n), func() bool { return l.history.totals().acknowledged >= want })
}

func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (w *worker) run(ctx context.Context) {
	ticker := time.NewTicker(w.pace) // a rate, not a wait for anything
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch s := w.work.next(); s.action {
		case report:
			w.report(s.events, w.nodes[s.node])
		case serve:
			w.serve(s)
		case look:
			w.look(s.pair, w.nodes[s.node])
		}
	}
}

// report sends events in one body, and again if nobody knows what came of them: half of the time, and perhaps elsewhere.
func (w *worker) report(events []event, n *node) {
	lines := make([]string, len(events))
	for i := range events {
		lines[i] = events[i].body(time.Now().Unix())
	}
	w.send(events, strings.Join(lines, "\n"), n)
}

func (w *worker) send(events []event, body string, n *node) {
	for {
		for _, e := range events {
			w.history.begin(e)
		}
		o := w.post(events, body, n)
		if o != unknown || w.random.IntN(2) == 0 {
			return
		}
		n = w.nodes[w.random.IntN(len(w.nodes))]
	}
}

// post reports events and records what came of it.
func (w *worker) post(events []event, body string, n *node) outcome {
	status, answer, err := n.do(http.MethodPost, "/v1/events", "application/x-ndjson", body)
	o := unknown
	switch {
	case errors.Is(err, errNotSent):
		o = refused
	case err != nil:
	case status == http.StatusAccepted:
		o = acknowledged
		var a struct {
			Accepted int
			Rejected []any
		}
		if err := json.Unmarshal([]byte(answer), &a); err != nil || a.Accepted != len(events) || len(a.Rejected) != 0 {
			w.fault("%s answers %q to %d events that are right", n.name, answer, len(events))
		}
	case status == http.StatusServiceUnavailable:
		o = refused
	default:
		w.fault("%s answers %d %s to events that are right", n.name, status, answer)
	}
	for _, e := range events {
		if o == refused && e.kind != impression && err == nil {
			w.history.end(e, n.name, unknown) // a 503 says that refusals may have been kept
			continue
		}
		w.history.end(e, n.name, o)
	}
	return o
}

// serve asks whether the tight campaign may be shown, and reports that it was.
func (w *worker) serve(s step) {
	n := w.nodes[s.node]
	show := shown{
		pair: s.pair, node: n.name,
		acknowledged: w.history.acknowledged(impression, s.pair), own: w.history.acknowledgedBy(n.name, impression, s.pair),
	}
	d, err := n.decide(s.pair.user, fmt.Sprintf(`{"campaign":%q}`, s.pair.of), `,"want":1,"hold":true`)
	if err != nil || len(d.Decisions) != 1 {
		return
	}
	w.history.ask()
	if !d.Decisions[0].Show {
		return
	}
	w.history.show(show)
	w.tokens++
	e := event{kind: impression, id: fmt.Sprintf("%s-t%d", w.work.prefix, w.tokens), pair: s.pair}
	body := fmt.Sprintf(`{"type":"impression","token":%q,"campaign":%q}`, d.Token, s.pair.of)
	if s.alone {
		body = fmt.Sprintf(`{"type":"impression","id":%q,"token":%q,"campaign":%q}`, e.id, d.Token, s.pair.of)
	}
	w.send([]event{e}, body, w.nodes[s.second])
	if !w.work.there && w.random.IntN(5) == 0 { // reported twice
		w.send([]event{e}, body, w.nodes[w.random.IntN(len(w.nodes))])
	}
}

// look reads a count while events go on.
func (w *worker) look(p pair, n *node) {
	least := w.history.acknowledgedBy(n.name, impression, p)
	d, err := n.decide(p.user, fmt.Sprintf(`{"campaign":%q}`, p.of), "")
	if err != nil {
		return // the node may be away; whether it answers at all is asked after the run
	}
	w.history.read()
	if len(d.Decisions) != 1 {
		w.fault("%s gives %d decisions on one candidate", n.name, len(d.Decisions))
		return
	}
	r := reading{node: n.name, user: p.user, verdicts: map[string]verdict{p.of: d.Decisions[0].verdict()}}
	for _, wrong := range checkRead(r, p.of, bounds{least, w.history.tried(impression, p)}, countLimit) {
		w.fault("%s", wrong)
	}
}
