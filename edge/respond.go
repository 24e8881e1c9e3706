package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"

	"restraint/edge/openrtb"
)

// jsonTypes and eventTypes are the media types a path takes. What curl -d says of
// itself is let through: what matters is that the body reads as JSON.
var (
	jsonTypes  = []string{"application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"}
	eventTypes = append([]string{"application/x-ndjson", "application/jsonl", "application/ndjson"}, jsonTypes...)
)

// wantType refuses a body whose media type or encoding the path does not take.
func wantType(ctx *fasthttp.RequestCtx, types []string) *problem {
	if encoding := ctx.Request.Header.ContentEncoding(); len(encoding) > 0 && string(encoding) != "identity" {
		linger(ctx)
		return newProblem(fasthttp.StatusUnsupportedMediaType, "this path takes no Content-Encoding; send the body as it is")
	}
	header := ctx.Request.Header.ContentType()
	if i := bytes.IndexByte(header, ';'); i >= 0 {
		header = header[:i]
	}
	header = bytes.TrimSpace(header)
	if len(header) == 0 {
		return nil
	}
	for _, t := range types {
		if len(t) == len(header) && strings.EqualFold(t, string(header)) {
			return nil
		}
	}
	linger(ctx)
	return newProblem(fasthttp.StatusUnsupportedMediaType, "the content type "+strconv.Quote(string(header))+" is not taken here; send "+types[0])
}

// faulty is the answer to a request that could not be read.
func faulty(err error) *problem {
	p := newProblem(fasthttp.StatusBadRequest, "")
	var faults openrtb.Faults
	if !errors.As(err, &faults) {
		p.Detail = err.Error()
		return p
	}
	for _, f := range faults {
		p.Errors = append(p.Errors, problemError{Field: f.Field, Detail: f.Detail})
	}
	p.Detail = faults[0].Field + ": " + faults[0].Detail
	if len(faults) > 1 {
		p.Detail = strconv.Itoa(len(faults)) + " faults; the first: " + p.Detail
	}
	return p
}

// unavailable is the answer when the state has no room: no showing of the request
// was counted, and refusals and purchases can come twice, so it can be sent again
// as it is.
func unavailable(err error) *problem {
	p := newProblem(fasthttp.StatusServiceUnavailable, err.Error()+"; no showing of this request was counted, and what else it holds can come twice: send all of it again later")
	p.retryAfter = 5
	return p
}

// diskProblem is the answer to a failure of the node's own disk; the log has the
// rest. A full disk may be cleared, so the request can be sent again.
func diskProblem(err error, stays string) *problem {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		p := newProblem(fasthttp.StatusServiceUnavailable, "the disk of the node is full; "+stays)
		p.retryAfter = 60
		return p
	}
	return newProblem(fasthttp.StatusInternalServerError, "the node's disk failed; "+stays+"; see its log")
}

// appendEventsAnswer appends how many events were accepted, and which lines were not.
func appendEventsAnswer(dst []byte, accepted int, rejected []rejection) []byte {
	if rejected == nil {
		rejected = []rejection{}
	}
	return appendJSON(dst, struct {
		Accepted int         `json:"accepted"`
		Rejected []rejection `json:"rejected"`
	}{accepted, rejected})
}

// sendJSON answers with v.
func sendJSON(ctx *fasthttp.RequestCtx, status int, v any) {
	ctx.SetStatusCode(status)
	ctx.SetContentTypeBytes(applicationJSON)
	ctx.SetBody(appendJSON(nil, v))
}

// appendJSON appends v and the end of the line.
func appendJSON(dst []byte, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("BUG: an answer that JSON cannot hold: " + err.Error())
	}
	return append(append(dst, body...), '\n')
}
