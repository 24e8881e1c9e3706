package edge

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// The entry for Go ad servers that run a node in their own process: what POST
// /v1/decide and POST /v1/events take and answer, byte for byte, without HTTP.

// RequestError is why a request in process was refused: the problem (RFC 9457) that
// the HTTP paths answer with. A wrong request has changed nothing.
type RequestError struct {
	// Status is the HTTP status: 400 malformed or out of bounds, 413 over the size
	// limit, 500 a fault of the node, which it has logged, 503 not now.
	Status int
	// Detail says what is wrong and how to mend it. It never holds an identifier.
	Detail string
	// Errors are all faults of a malformed request, each with its field; nil where
	// Detail says it all.
	Errors []FieldError
	// RetryAfter is how long to wait before sending the same again; 0 where that is of
	// no use.
	RetryAfter time.Duration

	problem *problem
}

// FieldError is one fault of a request.
type FieldError struct {
	Field  string // its path, e.g. candidates[3].campaign; "body" for a syntax error
	Detail string // what is wrong with it
}

// Error says the status in words and what is wrong.
func (e *RequestError) Error() string { return http.StatusText(e.Status) + ": " + e.Detail }

// AppendJSON appends the body that the HTTP paths answer with, of the media type
// application/problem+json.
func (e *RequestError) AppendJSON(dst []byte) []byte { return appendJSON(dst, e.problem) }

// requestError is a problem as callers in process have it.
func requestError(p *problem) *RequestError {
	e := &RequestError{Status: p.Status, Detail: p.Detail, RetryAfter: time.Duration(p.retryAfter) * time.Second, problem: p}
	for _, f := range p.Errors {
		e.Errors = append(e.Errors, FieldError{f.Field, f.Detail})
	}
	return e
}

// AppendDecide answers a decide request: body is that of POST /v1/decide, what is
// appended to dst is the body of its answer with the status 200. With explain each
// decision has its sentence and its checks, as ?explain=1 has it; it is for people, and
// allocates. Otherwise nothing is allocated but what dst lacks in capacity.
//
// The error is a *RequestError, and dst then comes back as it was given. body is read
// only and not kept, nor is dst; they must not overlap. A request is counted in the
// same metrics as over HTTP but for restraint_http_responses_total. The process that runs
// the node may ask everything: there is no role to check.
//
// Any number of goroutines may call it, from Open until the context of Run ends; from
// then on the error is a 503. Run does not return before the calls under way have. Only
// while Run runs is what has expired cleared away.
func (n *Node) AppendDecide(dst, body []byte, explain bool) ([]byte, error) {
	return n.inProcess(dst, body, decideBytes, (*Node).decideBody, explain)
}

// decideBody answers the decide request in x.body.
func (n *Node) decideBody(dst []byte, x *exchange, came time.Time) ([]byte, *problem) {
	if err := x.req.Parse(x.body); err != nil {
		return dst, faulty(err)
	}
	return n.appendDecide(dst, x, came)
}

// AppendEvents takes events: body is that of POST /v1/events, one object or NDJSON, what
// is appended to dst is the body of its answer with the status 202, with the lines that
// were rejected. It returns once every accepted event is kept as the node keeps events.
// What is said of AppendDecide's error, buffers, metrics and goroutines holds here too.
func (n *Node) AppendEvents(dst, body []byte) ([]byte, error) {
	return n.inProcess(dst, body, eventsBytes, (*Node).appendEvents, false)
}

// inProcess serves one request in process with an exchange, as `with` and guard do for
// HTTP. The body is copied, since reading it writes into it.
func (n *Node) inProcess(dst, body []byte, limit int, serve func(*Node, []byte, *exchange, time.Time) ([]byte, *problem), explain bool) (answer []byte, err error) {
	came, length := time.Now(), len(dst)
	n.inside.RLock()
	defer n.inside.RUnlock()
	defer func() {
		if r := recover(); r != nil {
			answer, err = dst[:length], requestError(n.panicked(n.log, r, debug.Stack()))
		}
	}()
	var p *problem
	switch {
	case n.draining.Load():
		p = newProblem(http.StatusServiceUnavailable, "the node is draining; ask another")
	case n.rules.Load().Version == 0:
		p = noPolicy()
	case len(body) > limit:
		p = overLimit(limit)
	default:
		x := n.exchanges.Get().(*exchange)
		x.body, x.explain = append(x.body[:0], body...), explain
		dst, p = serve(n, dst, x, came)
		n.keep(x)
	}
	if p != nil {
		return dst[:length], requestError(p)
	}
	return dst, nil
}

// panicked counts and logs a panic that cost one request, and is the answer to it.
func (n *Node) panicked(log *slog.Logger, r any, stack []byte) *problem {
	n.metrics.panics.Inc()
	log.Error("handler panicked", "panic", fmt.Sprint(r), "stack", string(stack))
	return newProblem(http.StatusInternalServerError, "this request met a fault of the node; it is logged")
}
