package edge

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"restraint/edge/access"
	"restraint/edge/audit"
)

// whyHeader is where a caller says why; it goes on the record as it is.
const whyHeader = "Restraint-Why"

// checkWhy refuses a reason that the record would not take.
func checkWhy(ctx *fasthttp.RequestCtx) *problem {
	given := ctx.Request.Header.PeekAll(whyHeader)
	if len(given) == 0 {
		return nil
	}
	text := string(given[0])
	if len(given) == 1 && len(text) <= audit.MaxWhy && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl) {
		return nil
	}
	return newProblem(fasthttp.StatusBadRequest,
		fmt.Sprintf("%s is given %d times, with %d bytes: give it once, at most %d bytes of UTF-8 on one line, and name no person in it", whyHeader, len(given), len(text), audit.MaxWhy))
}

// why is what a request gives as its reason.
func why(ctx *fasthttp.RequestCtx) string { return string(ctx.Request.Header.Peek(whyHeader)) }

// whoAsks is who sent a request.
func (n *Node) whoAsks(ctx *fasthttp.RequestCtx) audit.Who {
	if caller, ok := ctx.UserValue(callerKey{}).(*access.Caller); ok {
		return audit.Who{By: audit.ByKey, Key: caller.ID, Client: caller.Client, Roles: caller.Roles.String()}
	}
	return audit.Who{By: audit.ByLoopback}
}

// notRecorded is the answer to a change that was not made, since it could not be written
// down.
func notRecorded(err error) *problem {
	why, wait := "the disk of the node failed; see its log", 5
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		why, wait = "the disk of the node is full", 60
	}
	p := newProblem(fasthttp.StatusServiceUnavailable, "nothing was changed: the audit record cannot be written, and no change is made without it: "+why)
	p.retryAfter = wait
	return p
}
