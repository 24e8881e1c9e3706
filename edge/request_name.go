package edge

import (
	"crypto/rand"
	"log/slog"
	"strings"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
)

// What a caller of the admin listener calls its request, so that its own records, the
// answer, the lines of the log about what the request changed and the entries of the record
// can be found by one name. Paths that bids use have none of it: nothing is logged there.
const (
	requestIDHeader   = "X-Request-Id"
	traceparentHeader = "traceparent" // W3C Trace Context, https://www.w3.org/TR/trace-context-1/
	maxRequestID      = 128           // bytes. Chosen: four times what a UUID has
)

// requestName is what a request is called.
type requestName struct {
	id    string // X-Request-Id, or made here
	trace string // the trace-id of traceparent, 32 hexadecimal digits; "": none
}

// nameKey is under what a request's name is kept for its handler.
type nameKey struct{}

// nameRequest gives a request of the admin listener its name, and puts it on the answer.
// What is malformed, or there twice, is dropped: another name is made then.
func nameRequest(ctx *fasthttp.RequestCtx) {
	if rows := doorsOf(ctx.Path()); len(rows) > 0 && rows[0].bid {
		return
	}
	var name requestName
	h := &ctx.Request.Header
	if given := h.PeekAll(requestIDHeader); len(given) == 1 && isRequestID(given[0]) {
		name.id = string(given[0])
	} else {
		name.id = rand.Text()
	}
	if given := h.PeekAll(traceparentHeader); len(given) == 1 {
		name.trace = traceID(given[0])
	}
	ctx.Response.Header.Set(requestIDHeader, name.id)
	ctx.SetUserValue(nameKey{}, name)
}

// isRequestID reports whether b has 1 to maxRequestID letters, digits and -._~:/+=: UUIDs,
// ULIDs, base64 and what load balancers make. An address of a person has an @ and is none.
func isRequestID(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && !strings.ContainsRune("-._~:/+=", rune(c)) {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxRequestID
}

// traceID is the trace-id of a traceparent,
//
//	2 version, "-", 32 trace-id, "-", 16 parent-id, "-", 2 flags
//
// in lower-case hexadecimal, or "" where it is none: version ff, ids of zeros alone, or a
// length that its version does not have. Of a later version more may follow after a "-".
func traceID(b []byte) string {
	const length = 55
	if len(b) < length || len(b) > maxRequestID || b[2] != '-' || b[35] != '-' || b[52] != '-' {
		return ""
	}
	version, id, parent, flags := string(b[:2]), string(b[3:35]), string(b[36:52]), string(b[53:55])
	switch {
	case version == "ff", version == "00" && len(b) != length, len(b) > length && b[length] != '-':
		return ""
	case !isHex(version) || !isHex(id) || !isHex(parent) || !isHex(flags):
		return ""
	case strings.Trim(id, "0") == "" || strings.Trim(parent, "0") == "":
		return ""
	}
	return id
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// nameOf is what a request is called; the zero name where it is called nothing.
func nameOf(ctx *fasthttp.RequestCtx) requestName {
	name, _ := ctx.UserValue(nameKey{}).(requestName)
	return name
}

// logTo is a log whose lines say what the request is called that they come of.
func (r requestName) logTo(log *slog.Logger) *slog.Logger {
	if r.id != "" {
		log = log.With("request_id", r.id)
	}
	if r.trace != "" {
		log = log.With("trace_id", r.trace)
	}
	return log
}

// logOf is the log for what a request changes.
func (n *Node) logOf(ctx *fasthttp.RequestCtx) *slog.Logger { return nameOf(ctx).logTo(n.log) }

// askedBy adds to an entry of the record who asks, why, and what the request is called.
func (n *Node) askedBy(ctx *fasthttp.RequestCtx, e audit.Entry) audit.Entry {
	name := nameOf(ctx)
	e.Who, e.Why, e.Request, e.Trace = n.whoAsks(ctx), why(ctx), name.id, name.trace
	return e
}
