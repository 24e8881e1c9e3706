package edge

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"restraint/edge/identity"
	"restraint/edge/openrtb"
)

// Size limits of the bid paths, from the contract.
const (
	decideBytes = 256 << 10
	eventsBytes = 8 << 20
	formBytes   = 4 << 10
)

// bidLimits are the limits of a bid path, known before its body is read.
func bidLimits(path []byte) fasthttp.RequestConfig {
	limit := decideBytes
	switch string(path) {
	case "/v1/events":
		limit = eventsBytes
	case "/v1/hide", "/v1/opt-out":
		limit = formBytes
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: limit}
}

// serveBid routes the bid listener.
func (n *Node) serveBid(ctx *fasthttp.RequestCtx) {
	if n.shedding.refuses() && !isReport(ctx.Path()) {
		n.shed(ctx)
		return
	}
	if n.letIn(ctx, true, ctx.Time()) && !n.routeBid(ctx) {
		notFound(ctx)
	}
}

// routeBid serves the paths that ad servers and browsers call; false when the
// path is none of them. The admin listener serves them too.
func (n *Node) routeBid(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Path()) {
	case "/v1/decide":
		switch {
		case ctx.IsPost():
			n.with(ctx, (*Node).postDecide)
		case ctx.IsGet():
			n.with(ctx, (*Node).getDecide)
		default:
			notAllowed(ctx, "GET, POST")
		}
	case "/v1/events":
		if !ctx.IsPost() {
			notAllowed(ctx, "POST")
			return true
		}
		n.with(ctx, (*Node).postEvents)
	case "/v1/impression", "/v1/impression.gif":
		if !ctx.IsGet() {
			notAllowed(ctx, "GET")
			return true
		}
		n.with(ctx, (*Node).getImpression)
	case "/v1/release":
		if !ctx.IsGet() {
			notAllowed(ctx, "GET")
			return true
		}
		n.with(ctx, (*Node).getRelease)
	case "/v1/why":
		if !ctx.IsGet() {
			notAllowed(ctx, "GET")
			return true
		}
		n.with(ctx, (*Node).getWhy)
	case "/v1/hide", "/v1/opt-out":
		if !ctx.IsPost() {
			notAllowed(ctx, "POST")
			return true
		}
		if string(ctx.Path()) == "/v1/hide" {
			n.with(ctx, (*Node).postHide)
		} else {
			n.with(ctx, (*Node).postOptOut)
		}
	default:
		return false
	}
	return true
}

func notFound(ctx *fasthttp.RequestCtx) {
	newProblem(fasthttp.StatusNotFound, fmt.Sprintf("there is no path %q here; /openapi.yaml on the admin listener lists them", ctx.Path())).send(ctx)
}

func notAllowed(ctx *fasthttp.RequestCtx, allow string) {
	ctx.Response.Header.Set("Allow", allow)
	newProblem(fasthttp.StatusMethodNotAllowed, fmt.Sprintf("%s does not take %s; use %s", ctx.Path(), ctx.Method(), allow)).send(ctx)
	linger(ctx)
}

// with serves a request with an exchange, which is kept for the next one unless
// this one panics: then nobody knows what state it is in.
func (n *Node) with(ctx *fasthttp.RequestCtx, serve func(*Node, *fasthttp.RequestCtx, *exchange)) {
	if n.rules.Load().Version == 0 {
		linger(ctx)
		noPolicy().send(ctx)
		return
	}
	x := n.exchanges.Get().(*exchange)
	x.withheld, x.hand.of = n.withholds(ctx), &n.inHand
	whole := false
	defer func() {
		if x.hand.end(); whole {
			n.keep(x)
		}
	}()
	serve(n, ctx, x)
	x.withheld, whole = false, true
}

// keep keeps an exchange for the next request, unless it holds much memory, which few
// requests need.
func (n *Node) keep(x *exchange) {
	if cap(x.body) <= decideBytes && cap(x.out) <= decideBytes && cap(x.reports) <= keptReports {
		n.exchanges.Put(x)
	}
}

// postDecide answers POST /v1/decide.
func (n *Node) postDecide(ctx *fasthttp.RequestCtx, x *exchange) {
	if p := wantType(ctx, jsonTypes); p != nil {
		p.send(ctx)
		return
	}
	var p *problem
	if x.body, p = readBody(ctx, x.body, decideBytes, &x.hand); p != nil {
		p.send(ctx)
		return
	}
	if err := x.req.Parse(x.body); err != nil {
		faulty(err).send(ctx)
		return
	}
	n.answerDecide(ctx, x)
}

// getDecide answers the short form, GET /v1/decide.
func (n *Node) getDecide(ctx *fasthttp.RequestCtx, x *exchange) {
	if err := readQuery(ctx, &x.req); err != nil {
		faulty(err).send(ctx)
		return
	}
	n.answerDecide(ctx, x)
}

// readQuery reads the short form's parameters into req, which aliases ctx.
func readQuery(ctx *fasthttp.RequestCtx, req *openrtb.Request) error {
	req.Reset()
	for key, value := range ctx.QueryArgs().All() {
		req.Set(key, value)
	}
	return req.Finish()
}

func (n *Node) answerDecide(ctx *fasthttp.RequestCtx, x *exchange) {
	x.explain = ctx.QueryArgs().GetBool("explain")
	var p *problem
	if x.out, p = n.appendDecide(x.out[:0], x, ctx.Time()); p != nil {
		p.send(ctx)
		return
	}
	ctx.SetContentTypeBytes(applicationJSON)
	x.out = ctx.Response.SwapBody(x.out) // no copy; the response's old buffer is for the next answer
}

// appendDecide decides what x.req asks, which came in at came, and appends the answer.
// On a problem nothing was decided, and dst is as it was.
func (n *Node) appendDecide(dst []byte, x *exchange, came time.Time) ([]byte, *problem) {
	now := n.clock.at(came, x.req.At)
	if now == 0 {
		return dst, newProblem(fasthttp.StatusBadRequest, "at: required; this node takes the time from the requests (--clock=request), and none has said one yet")
	}
	n.decide(x, now)
	if x.req.Brief {
		dst = x.appendBrief(dst, x.token)
	} else {
		dst = x.appendAnswer(dst, x.token)
	}
	n.metrics.decideSeconds.since(came)
	return dst, nil
}

var applicationJSON = []byte("application/json")

// postEvents answers POST /v1/events: one object or NDJSON.
func (n *Node) postEvents(ctx *fasthttp.RequestCtx, x *exchange) {
	if p := wantType(ctx, eventTypes); p != nil {
		p.send(ctx)
		return
	}
	var p *problem
	if x.body, p = readBody(ctx, x.body, eventsBytes, &x.hand); p != nil {
		p.send(ctx)
		return
	}
	if len(x.body) > batchBytes {
		n.batches <- struct{}{}
		defer func() { <-n.batches }()
	}
	if x.out, p = n.appendEvents(x.out[:0], x, ctx.Time()); p != nil {
		p.send(ctx)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	ctx.SetContentTypeBytes(applicationJSON)
	ctx.SetBody(x.out)
}

// rejection is one line of a batch that was not taken.
type rejection struct {
	Line   int    `json:"line"`
	Detail string `json:"detail"`
}

// appendEvents reads all lines of x.body, which came in at came, applies the good ones,
// and appends the answer. A body of a single event that is wrong is a wrong request; in a
// batch the good lines count. On a problem dst is as it was.
func (n *Node) appendEvents(dst []byte, x *exchange, came time.Time) ([]byte, *problem) {
	defer n.metrics.eventsSeconds.since(came)
	rules, now := n.rules.Load(), n.clock.at(came, 0)
	x.reports = x.reports[:0]
	x.spans.reset()
	var rejected []rejection
	lines, last := 0, error(nil)
	for number, line := range openrtb.Lines(x.body) {
		if lines++; lines > maxEvents {
			return dst, newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("more than %d events in one request; send several requests", maxEvents))
		}
		err := x.event.Parse(line)
		if err == nil {
			err = n.readEvent(x, &x.event, rules, now)
		}
		if err != nil {
			last = err
			rejected = append(rejected, rejection{number, brief(err)})
		}
	}
	n.metrics.eventsRejected.Add(len(rejected))
	switch {
	case lines == 0:
		return dst, newProblem(fasthttp.StatusBadRequest, "the body holds no event; send one JSON object, or one a line")
	case lines == 1 && len(rejected) == 1:
		return dst, faulty(last)
	}
	if err := n.apply(x); err != nil {
		return dst, unavailable(err)
	}
	return appendEventsAnswer(dst, len(x.reports), rejected), nil
}

// brief is what is said of a wrong line: of many faults the first, since a batch may
// have ten thousand such lines.
func brief(err error) string {
	var faults openrtb.Faults
	if !errors.As(err, &faults) || len(faults) < 2 {
		return err.Error()
	}
	return fmt.Sprintf("%s; and %d faults more", faults[:1].Error(), len(faults)-1)
}

// getImpression answers the billing notice and the pixel: the token is the
// credential, one campaign of it is the showing.
func (n *Node) getImpression(ctx *fasthttp.RequestCtx, x *exchange) {
	if !n.notice(ctx, x, openrtb.Impression) {
		return
	}
	ctx.Response.Header.Set("Cache-Control", "no-store")
	if strings.HasSuffix(string(ctx.Path()), ".gif") {
		ctx.SetContentType("image/gif")
		ctx.SetBodyString(pixel)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// getRelease answers the loss notice: the holds of the token are given back.
func (n *Node) getRelease(ctx *fasthttp.RequestCtx, x *exchange) {
	if n.notice(ctx, x, openrtb.Release) {
		ctx.Response.Header.Set("Cache-Control", "no-store")
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	}
}

// notice applies one event given as a query; false when it has answered with a
// problem.
func (n *Node) notice(ctx *fasthttp.RequestCtx, x *exchange, kind openrtb.EventType) bool {
	args := ctx.QueryArgs()
	e := &openrtb.Event{
		Type: kind, Token: args.Peek("t"),
		Campaign: args.Peek("campaign"), Creative: args.Peek("creative"), Item: args.Peek("item"),
	}
	x.reports = x.reports[:0]
	x.spans.reset()

	now := n.clock.at(ctx.Time(), 0)
	err := checkNotice(e)
	if err == nil {
		err = n.readEvent(x, e, n.rules.Load(), now)
	}
	if err != nil {
		newProblem(fasthttp.StatusBadRequest, err.Error()).send(ctx)
		return false
	}
	if err := n.apply(x); err != nil {
		unavailable(err).send(ctx)
		return false
	}
	return true
}

// checkNotice bounds what came as a query, as the reader of events does for JSON.
func checkNotice(e *openrtb.Event) error {
	switch {
	case len(e.Token) == 0:
		return errors.New("t: the token is missing; it is the credential of this path")
	case len(e.Token) > identity.MaxTokenBytes:
		return fmt.Errorf("t: %d bytes; a token has at most %d", len(e.Token), identity.MaxTokenBytes)
	case len(e.Campaign) == 0 && (e.Type == openrtb.Impression || e.Type == openrtb.Hide):
		return errors.New("campaign: missing; name the campaign that was shown")
	}
	for name, value := range map[string][]byte{"campaign": e.Campaign, "creative": e.Creative, "item": e.Item} {
		if len(value) > openrtb.MaxName || !utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0 {
			return fmt.Errorf("%s: %.140q is not a name: at most %d bytes of UTF-8 without NUL", name, value, openrtb.MaxName)
		}
	}
	return nil
}

// pixel is a transparent GIF of one pixel: header, a palette of two colours, a
// graphic control block that makes the first transparent, the image, the end.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00" +
	"!\xf9\x04\x01\x00\x00\x00\x00" + ",\x00\x00\x00\x00\x01\x00\x01\x00\x00" + "\x02\x02D\x01\x00;"
