package edge

import (
	"context"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/shared"
)

// The paths of people, for the privacy officer. Identifiers come in bodies only, since
// URLs are logged by whatever is in between.

// What is asked about people, for the metrics.
const (
	askedLookup = iota
	askedErase
	askedPreferences

	peopleAsked
)

var peopleNames = [peopleAsked]string{
	askedLookup:      `restraint_lookups_total`,
	askedErase:       `restraint_erasures_total`,
	askedPreferences: `restraint_preferences_total`,
}

// postLookup answers POST /v1/users/lookup.
func (n *Node) postLookup(ctx *fasthttp.RequestCtx) {
	q, p := n.readInquiry(ctx, 0)
	if p != nil {
		p.send(ctx)
		return
	}
	n.metrics.people[askedLookup].Inc()
	private(ctx)
	sendJSON(ctx, fasthttp.StatusOK, n.everything(q))
}

// private keeps what is said about a person out of caches.
func private(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("Cache-Control", "no-store") }

// erasureAnswer is what an erasure came to.
type erasureAnswer struct {
	Receipt     string       `json:"receipt"`
	ErasedAt    uint32       `json:"erased_at"`
	ErasedUntil uint32       `json:"erased_until"`
	OptOutKept  bool         `json:"opt_out_kept"`
	Lists       []erasedList `json:"lists"`
}

// postErase answers POST /v1/users/erase: 200 on a node alone, 202 where other nodes have
// still to hear of it.
func (n *Node) postErase(ctx *fasthttp.RequestCtx) {
	q, p := n.readInquiry(ctx, openrtb.TakesKeep)
	if p == nil {
		p = n.clockUnknown("erasing")
	}
	if p != nil {
		p.send(ctx)
		return
	}
	keep := q.KeepOptOut || !q.HasKeepOptOut
	change, p := n.beginErasure(ctx, q, keep)
	if p != nil {
		p.send(ctx)
		return
	}
	until, err := n.erase(q.keys, keep, q.now)
	if err != nil {
		p := refusalsFull(err)
		change.failed(p)
		p.send(ctx)
		return
	}
	n.metrics.people[askedErase].Inc()
	answer := erasureAnswer{ErasedAt: q.now, ErasedUntil: until, OptOutKept: keep, Lists: n.eraseFromLists(context.Background(), q.keys, keep)}
	change.end(audit.Done, nil, erasureFacts(&answer))
	answer.Receipt = string(n.receipts.Append(nil, &identity.Receipt{At: q.now, Until: until, Keys: q.keys}))
	status := fasthttp.StatusOK
	if n.options.Peers != nil {
		status = fasthttp.StatusAccepted
	}
	private(ctx)
	sendJSON(ctx, status, answer)
}

// erasureStatus says how far an erasure is.
type erasureStatus struct {
	ErasedAt    uint32       `json:"erased_at"`
	ErasedUntil uint32       `json:"erased_until"`
	Done        bool         `json:"done"`
	Nodes       []nodeErased `json:"nodes"`
	Detail      string       `json:"detail,omitempty"`
}

// getErasure answers GET /v1/users/erasures/{receipt}.
func (n *Node) getErasure(ctx *fasthttp.RequestCtx, receipt string) {
	r, err := n.receipts.Open([]byte(receipt))
	if err != nil {
		newProblem(fasthttp.StatusBadRequest, "receipt: "+err.Error()+"; give it as POST /v1/users/erase answered it").send(ctx)
		return
	}
	status := erasureStatus{ErasedAt: r.At, ErasedUntil: r.Until}
	if status.Nodes, status.Done, err = n.erasedOn(context.Background(), &r); err != nil {
		status.Detail = "the other nodes cannot be asked: " + brokerFault(err)
	}
	private(ctx)
	sendJSON(ctx, fasthttp.StatusOK, status)
}

// brokerFault says what is wrong with the way to other nodes.
func brokerFault(err error) string {
	if errors.Is(err, shared.ErrAway) {
		return "NATS cannot be reached; they hear of the erasure when it is back"
	}
	return err.Error()
}

// postPreferences answers POST /v1/users/preferences with what holds from now on.
func (n *Node) postPreferences(ctx *fasthttp.RequestCtx) {
	q, p := n.readInquiry(ctx, openrtb.TakesChoices)
	if p != nil {
		p.send(ctx)
		return
	}
	held := n.held(q.keys, q.now)
	have := choicesOf(held)
	all := q.asked(n.tags, have)
	if len(all) == 0 && !q.HasAdvertisers && !q.HasTopics {
		newProblem(fasthttp.StatusBadRequest, "nothing is chosen; give personalisation, hidden_advertisers, hidden_topics or pause_until").send(ctx)
		return
	}
	if permits(all, have) {
		if p := n.clockUnknown("taking a refusal back"); p != nil {
			p.send(ctx)
			return
		}
	}
	change, p := n.beginPreferences(ctx, q, have)
	if p != nil {
		p.send(ctx)
		return
	}
	if err := n.keeper.Record(stampAll(q.keys, all, held, have, q.now)); err != nil {
		p := refusalsFull(fmt.Errorf("preferences: %w", err))
		change.failed(p)
		p.send(ctx)
		return
	}
	n.metrics.people[askedPreferences].Inc()
	private(ctx)
	rules := n.rules.Load()
	now := choicesOf(n.held(q.keys, q.now)).preferences(rules.choiceNames(), q.now)
	change.end(audit.Done, nil, choiceFacts(&now))
	now.OptOutLists = n.optOutLists(rules, q.keys)
	sendJSON(ctx, fasthttp.StatusOK, now)
}
