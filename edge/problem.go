package edge

import (
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"

	"restraint/suppress"
)

// problem is an RFC 9457 answer. Type is a stable word for programs, Title says
// the same for people, Detail names the value and the mend.
type problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []problemError `json:"errors,omitempty"`
	// Mend is what would make the request work, ready to be pasted (the policy
	// lines that declare a list, for one).
	Mend string `json:"mend,omitempty"`

	// Report is how far a refused upload came, with its rejected rows.
	Report *suppress.Report `json:"report,omitempty"`
	// Work is what is under way in a list and in the way of the request.
	Work *suppress.Work `json:"work,omitempty"`

	retryAfter int // seconds, sent as Retry-After when above 0
}

// problemError is one fault: the field it stands in and what is wrong with it.
type problemError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
	Line   int    `json:"line,omitempty"`
}

// newProblem makes a problem whose type is about:blank, as RFC 9457 asks where
// the status says it all.
func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// send writes the problem as the whole answer.
func (p *problem) send(ctx *fasthttp.RequestCtx) {
	body := appendJSON(nil, p)
	ctx.Response.ResetBody()
	ctx.SetStatusCode(p.Status)
	ctx.SetContentType("application/problem+json")
	if p.retryAfter > 0 {
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	ctx.SetBody(body)
}
