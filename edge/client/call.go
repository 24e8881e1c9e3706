package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// Most bytes of requests, which are the nodes' limits, and of answers, which are what
// they can need: 500 decisions with names of 128 bytes that are all escapes, 10,000
// rejected lines.
const (
	maxDecideBody   = 256 << 10
	maxReportBody   = 8 << 20
	maxReportEvents = 10_000
	maxDecideAnswer = 512 << 10
	maxReportAnswer = 4 << 20
)

// keptBytes is the most memory that a call keeps for the next. Chosen.
const keptBytes = 64 << 10

// call is what one call needs, kept from call to call.
type call struct {
	body, wire []byte
	response   fasthttp.Response
	node       *node // that was asked last
	sent       bool  // a node may have acted on it
}

// done gives x back; its buffers are used again then.
func (c *Client) done(x *call) {
	if cap(x.body) <= keptBytes && cap(x.response.Body()) <= keptBytes {
		c.calls.Put(x)
	}
	c.running.RUnlock()
}

// sending is how a request is sent.
type sending struct {
	want int                // the status of a good answer
	safe bool               // it may be sent again although a node may have acted on it
	read func([]byte) error // reads the body of a good answer, and keeps nothing of it
}

// do sends x.body to a node and reads its answer; x.node then is that node.
func (c *Client) do(ctx context.Context, r *route, x *call, s sending) *Error {
	now := time.Now()
	deadline := now.Add(r.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	short := deadline.Sub(now) < r.timeout/2 // too short to tell of a node that it hangs
	var tried uint64
	var last *Error
	x.sent = false
	for {
		if err := late(ctx, deadline, last); err != nil {
			return err
		}
		n, i, probe := r.pick(tried, time.Now())
		if n == nil {
			if last == nil {
				last = &Error{Kind: Unreachable, Detail: "no node has answered in time of late, and another call is trying them"}
			}
			return last
		}
		tried |= 1 << i
		until := deadline
		if probe { // it hangs, most likely: leave time for another
			until = until.Add(-time.Until(until) / 2)
		}
		err := r.try(ctx, n, x, until, s)
		r.judge(n, err, short)
		if probe {
			n.probing.Store(false)
		}
		if err == nil {
			return nil
		}
		more := again(err, s.safe)
		x.sent = x.sent || err.Sent
		err.Sent = x.sent
		if last = err; !more {
			return err
		}
	}
}

// late says whether the time is over, keeping what went wrong before.
func late(ctx context.Context, deadline time.Time, last *Error) *Error {
	err := ctx.Err()
	if err == nil && time.Now().Before(deadline) {
		return nil
	}
	if last != nil {
		return last
	}
	if err == nil {
		err = context.DeadlineExceeded
	}
	return &Error{Kind: Timeout, Detail: "the time was over before a node was asked", Err: err}
}

// again says whether another node may be asked after err.
func again(err *Error, safe bool) bool {
	switch err.Kind {
	case Unreachable, Timeout, BadAnswer, Untrusted:
		return safe || !err.Sent
	case NotReady, Rate:
		return true // refused whole
	}
	return false
}

// try asks one node: a second time, on a new connection, when one that was idle was cut
// as the request left.
func (r *route) try(ctx context.Context, n *node, x *call, deadline time.Time, s sending) *Error {
	x.wire, x.node = n.appendWire(x.wire[:0], x.body), n
	for fresh := false; ; fresh = true {
		c, err := n.take(ctx, deadline, fresh)
		if err != nil {
			return failure(n, outcome{}, err)
		}
		reused := c.used
		came, err := c.exchange(x.wire, &x.response, r.answer)
		if err != nil {
			n.drop(c)
			if reused && !came.answered && (s.safe || !came.sent) && !isTimeout(err) {
				x.sent = x.sent || came.sent
				continue
			}
			return failure(n, came, err)
		}
		if x.response.ConnectionClose() {
			n.drop(c)
		} else {
			n.put(c)
		}
		if x.response.StatusCode() != s.want {
			return refusal(n, &x.response)
		}
		if err := s.read(x.response.Body()); err != nil {
			return &Error{Kind: BadAnswer, Addr: n.addr, Status: s.want, Detail: "the answer cannot be used", Sent: true, Err: err}
		}
		return nil
	}
}

// judge notes what an attempt says of a node.
func (r *route) judge(n *node, err *Error, short bool) {
	switch {
	case err == nil:
		n.answers()
	case err.Kind == Unreachable || err.Kind == NotReady || err.Kind == BadAnswer || err.Kind == Untrusted:
		r.aside(n, false)
	case err.Kind == Timeout && !short && !errors.Is(err.Err, errBusy):
		if n.timeouts.Add(1) >= fewTimeouts {
			r.aside(n, true)
		}
	case err.Status != 0:
		n.answers()
	}
}

// failure is an attempt that ended without a whole answer.
func failure(n *node, came outcome, err error) *Error {
	e := &Error{Kind: Unreachable, Addr: n.addr, Sent: came.sent, Err: err}
	switch {
	case isTimeout(err) || errors.Is(err, errBusy) || errors.Is(err, context.Canceled):
		e.Kind = Timeout
	case n.secure != nil && untrusted(err) != "":
		e.Kind, e.Detail, e.Sent = Untrusted, untrusted(err), came.answered // it reads nothing before it believes
	case came.answered && !isCut(err):
		e.Kind = BadAnswer
	}
	return e
}

// isTimeout says whether a deadline passed.
func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// refusal is an answer with another status than was hoped for. What a problem (RFC 9457)
// says is repeated; anything else is not: it may be long, and not for people.
func refusal(n *node, response *fasthttp.Response) *Error {
	e := &Error{Kind: BadAnswer, Addr: n.addr, Status: response.StatusCode()}
	switch {
	case e.Status == fasthttp.StatusBadRequest, e.Status == fasthttp.StatusRequestEntityTooLarge, e.Status == fasthttp.StatusUnsupportedMediaType:
		e.Kind = BadRequest
	case e.Status == fasthttp.StatusUnauthorized, e.Status == fasthttp.StatusForbidden:
		e.Kind = Forbidden
	case e.Status == fasthttp.StatusTooManyRequests:
		e.Kind = Rate
	case e.Status == fasthttp.StatusServiceUnavailable:
		e.Kind = NotReady
	case e.Status == fasthttp.StatusBadGateway, e.Status == fasthttp.StatusGatewayTimeout:
		e.Kind, e.Sent = Unreachable, true // of a proxy in front of the node
	case e.Status >= 500:
		e.Kind, e.Sent = NodeFault, true
	default:
		e.Sent = true
	}
	if bytes.HasPrefix(response.Header.ContentType(), []byte("application/problem+json")) {
		var p struct {
			Detail string       `json:"detail"`
			Errors []FieldError `json:"errors"`
		}
		if json.Unmarshal(response.Body(), &p) == nil {
			e.Detail, e.Fields = p.Detail, p.Errors
		}
	}
	if e.Detail == "" {
		e.Detail = fmt.Sprintf("an answer %d that is not a node's", e.Status)
	}
	if seconds, err := strconv.ParseUint(string(response.Header.Peek("Retry-After")), 10, 16); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
