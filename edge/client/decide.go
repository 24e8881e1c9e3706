package client

import (
	"bytes"
	"context"
)

// Decide asks which of the request's candidates may be shown. The answer is never nil and
// always has verdicts. The error is nil when a node decided, else an *Error: the answer is
// then FailSafe. r is only read.
func (c *Client) Decide(ctx context.Context, r *Request) (*Answer, error) {
	return c.decide(ctx, asked{r.ID, r.Candidates, r.Want, r.Hold || r.Token}, func(dst []byte) ([]byte, *Error) {
		return appendRequest(dst, r), nil
	})
}

// Terms are what a bid request does not say; the fields of the same names of Request.
type Terms struct {
	Channel     string
	Candidates  []Candidate
	Want        int
	Hold, Token bool
}

// DecideBid is Decide for an OpenRTB bid request that the ad server has as it came: it is
// forwarded as it is, with the terms put at its end, where they count instead of members
// of the same names. What the node does not know in it is ignored. bid is one JSON object,
// is only read and not kept.
func (c *Client) DecideBid(ctx context.Context, bid []byte, t *Terms) (*Answer, error) {
	return c.decide(ctx, asked{"", t.Candidates, t.Want, t.Hold || t.Token}, func(dst []byte) ([]byte, *Error) {
		bid := bytes.TrimSpace(bid)
		if len(bid) < 2 || bid[0] != '{' || bid[len(bid)-1] != '}' {
			return dst, badRequest("the bid request is no JSON object")
		}
		e := encoder{append(dst, bytes.TrimRight(bid[:len(bid)-1], " \t\r\n")...)}
		e.asked(t.Channel, t.Candidates)
		e.key("want")
		if t.Want == 0 {
			e.b = append(e.b, "null"...)
		} else {
			e.b = appendInt(e.b, int64(t.Want))
		}
		e.always("hold", t.Hold)
		e.always("token", t.Token)
		e.always("brief", false)
		return append(e.b, '}'), nil
	})
}

// always appends a boolean that is sent when false, too.
func (e *encoder) always(name string, value bool) {
	e.key(name)
	if value {
		e.b = append(e.b, "true"...)
	} else {
		e.b = append(e.b, "false"...)
	}
}

// decide sends what body makes and reads the answer to q.
func (c *Client) decide(ctx context.Context, q asked, body func(dst []byte) ([]byte, *Error)) (*Answer, error) {
	if !c.enter() {
		return c.without(q, &Error{Kind: Closed, Detail: "the client was closed"})
	}
	x := c.calls.Get().(*call)
	defer c.done(x)
	var failed *Error
	if x.body, failed = body(x.body[:0]); failed != nil {
		return c.without(q, failed)
	}
	if len(x.body) > maxDecideBody {
		return c.without(q, badRequest("the request has %d bytes, at most %d are taken: send fewer candidates", len(x.body), maxDecideBody))
	}
	var a *Answer
	failed = c.do(ctx, c.decides, x, sending{want: 200, safe: true, read: func(body []byte) (err error) {
		a, err = parseAnswer(body, q)
		return err
	}})
	if failed != nil {
		return c.without(q, failed)
	}
	a.Node = x.node.addr
	return a, nil
}

// without is the answer when nobody decided, and why.
func (c *Client) without(q asked, err *Error) (*Answer, error) {
	return failSafe(q.candidates, q.want, c.options.OnFailure == Show && err.away()), err
}
