package edge

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// What a node did in the last hour, in steps, is kept in memory for whoever looks at it
// without a Prometheus at hand. It is read off the counters that there are anyway, by a
// ticker: no request does anything for it. Chosen: an hour in steps of 10 seconds, 170 KB.
const (
	historyStep  = 10 * time.Second
	historySteps = 360
)

// counters are what a node has counted since it started, as of a time.
type counters struct {
	at        time.Time
	decisions [reasonCount]uint64
	events    uint64
	answers   [3]uint64 // of HTTP: 2xx, 4xx, 5xx
	latency   latencyCounts
}

// history is what the counters stood at, at the end of each step, the oldest first.
type history struct {
	mu   sync.Mutex
	past []counters // historySteps+1 at most; the first is where the first step began
}

// note keeps what the counters stand at. A step that would be shorter than half of one,
// as the first after the start may be, goes into the next.
func (h *history) note(c counters) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.past); n > 0 && c.at.Sub(h.past[n-1].at) < historyStep/2 {
		return
	}
	if len(h.past) > historySteps {
		copy(h.past, h.past[1:])
		h.past = h.past[:historySteps]
	}
	h.past = append(h.past, c)
}

// keepHistory notes the counters at every whole step of the clock, so that the steps of
// all nodes are the same, until ctx ends.
func (n *Node) keepHistory(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		n.history.note(n.metrics.counters(now))
		timer.Reset(now.Truncate(historyStep).Add(historyStep).Sub(now))
	}
}

// counters reads what the counters stand at.
func (m *metrics) counters(now time.Time) (c counters) {
	c.at = now
	for r, counter := range m.decisions {
		c.decisions[r] = counter.Get()
	}
	for _, counter := range m.events {
		if counter != nil {
			c.events += counter.Get()
		}
	}
	for i, class := range []int{2, 4, 5} {
		c.answers[i] = m.responses[class].Get()
	}
	c.latency = m.decideSeconds.read()
	return c
}

// historyAnswer is what GET /v1/history says: columns with a value for each step, the
// oldest first. The last step is under way; it has ended now.
type historyAnswer struct {
	Node        string `json:"node"`
	StepSeconds int    `json:"step_seconds"`
	// End is when each step ended, in Unix seconds to the millisecond, Seconds how long it
	// was.
	End     []float64 `json:"end"`
	Seconds []float64 `json:"seconds"`
	// Decisions are candidates, by "show" and the reasons that there were.
	Decisions map[string][]uint64 `json:"decisions"`
	Events    []uint64            `json:"events"`
	Answers   map[string][]uint64 `json:"answers"` // of HTTP, by class
	// Requests are requests for decisions, Latency how long they took in the node: of each
	// step as many numbers as bounds and one more, for what took longer.
	Requests []uint64       `json:"requests"`
	Latency  historyLatency `json:"latency"`
}

type historyLatency struct {
	UpToUS []float64  `json:"up_to_us"`
	Counts [][]uint64 `json:"counts"`
}

// getHistory answers GET /v1/history.
func (n *Node) getHistory(ctx *fasthttp.RequestCtx) {
	private(ctx)
	answer := n.history.answer(func() counters { return n.metrics.counters(time.Now()) })
	answer.Node = n.options.Name
	sendJSON(ctx, fasthttp.StatusOK, answer)
}

// answer is what the history says. read gives the counters of now, and is called once what
// was noted cannot be of later.
func (h *history) answer(read func() counters) *historyAnswer {
	a := &historyAnswer{
		StepSeconds: int(historyStep / time.Second), End: []float64{}, Seconds: []float64{}, Decisions: map[string][]uint64{},
		Events: []uint64{}, Answers: map[string][]uint64{}, Requests: []uint64{}, Latency: historyLatency{Counts: [][]uint64{}},
	}
	for _, bound := range latencyBounds {
		a.Latency.UpToUS = append(a.Latency.UpToUS, float64(bound)/float64(time.Microsecond))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := read()
	for i := range h.past {
		end := &now
		if i+1 < len(h.past) {
			end = &h.past[i+1]
		}
		a.add(&h.past[i], end)
	}
	return a
}

// add adds a step to the columns.
func (a *historyAnswer) add(from, to *counters) {
	done := len(a.End)
	a.End = append(a.End, float64(to.at.UnixMilli())/1000)
	a.Seconds = append(a.Seconds, math.Round(to.at.Sub(from.at).Seconds()*1000)/1000)
	a.Events = append(a.Events, to.events-from.events)
	for i, class := range []string{"2xx", "4xx", "5xx"} {
		a.Answers[class] = append(a.Answers[class], to.answers[i]-from.answers[i])
	}
	for r := range to.decisions {
		name := Reason(r).String()
		k, column := to.decisions[r]-from.decisions[r], a.Decisions[name]
		if k == 0 && column == nil {
			continue
		}
		if column == nil {
			column = make([]uint64, done, historySteps+1)
		}
		a.Decisions[name] = append(column, k)
	}
	took := to.latency
	for i := range took {
		took[i] -= from.latency[i]
	}
	a.Requests = append(a.Requests, took.requests())
	a.Latency.Counts = append(a.Latency.Counts, took[:])
}
