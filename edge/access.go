package edge

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/access"
)

// Answers to wrong keys are held back where an address shows too many: for so long, and
// on so great a part of limits.connections at once. What is over that is answered at
// once, and its connection closed like that of the others. Chosen: a connection that is
// held is one that could as well stay silent for longer, so it takes nothing that its
// caller could not take anyway.
const (
	holdTime  = time.Second
	heldShare = 4
)

// guarding is what keeps callers with wrong keys from being a burden.
type guarding struct {
	failures *access.Failures
	held     atomic.Int32
	hold     func(time.Duration)
}

// callerKey is under what a request's caller is kept for its handler.
type callerKey struct{}

// letIn says whether the caller may use what the request names; where not it has
// answered. Without keys everybody may: the node then serves this machine only.
//
// A right key costs one hash, and nothing else is looked at first, so that wrong keys
// from the same address do not get in its way.
func (n *Node) letIn(ctx *fasthttp.RequestCtx, bidOnly bool, now time.Time) bool {
	gate := n.options.Keys
	if gate == nil {
		return true
	}
	rows := doorsOf(ctx.Path())
	if len(rows) == 0 || bidOnly && !rows[0].bid {
		notFound(ctx)
		return false
	}
	roles := mayUse(rows, lent(ctx.Method()))
	if roles == open {
		return true
	}
	what := ""
	if rows[0].path == "/v1/decide" && ctx.QueryArgs().GetBool("explain") {
		roles, what = mayUse(doors[explained], lent(ctx.Method())), " with explain"
	}
	caller, verdict := gate.Check(keyOf(&ctx.Request.Header))
	if verdict != access.LetIn {
		n.refuseKey(ctx, caller, verdict, now)
		return false
	}
	if wait := caller.Take(now); wait > 0 {
		p := newProblem(fasthttp.StatusTooManyRequests, fmt.Sprintf("key %s is over its rate of %d requests a second; send fewer, or more in one request", caller.ID, caller.Rate))
		p.retryAfter = int(math.Ceil(wait.Seconds()))
		refuse(ctx, p)
		return false
	}
	if caller.Roles&roles == 0 {
		n.metrics.forbidden.Inc()
		refuse(ctx, newProblem(fasthttp.StatusForbidden, fmt.Sprintf("%s %s%s is for the %s; key %s has %s",
			ctx.Method(), ctx.Path(), what, rolesText(roles), caller.ID, caller.Roles)))
		return false
	}
	ctx.SetUserValue(callerKey{}, caller)
	return true
}

// rolesText is "role crm", "roles privacy or ops".
func rolesText(r access.Roles) string {
	names := r.Names()
	if len(names) == 1 {
		return "role " + names[0]
	}
	last := len(names) - 1
	return "roles " + strings.Join(names[:last], ", ") + " or " + names[last]
}

// keyOf is the key that a request shows, or what stands in its place. It aliases h. A
// key in the address is none: addresses are kept by logs.
func keyOf(h *fasthttp.RequestHeader) []byte {
	const scheme = "bearer "
	authorization := h.Peek(fasthttp.HeaderAuthorization)
	if len(authorization) >= len(scheme) && strings.EqualFold(lent(authorization[:len(scheme)]), scheme) {
		return bytes.TrimLeft(authorization[len(scheme):], " ")
	}
	if key := h.Peek("X-Api-Key"); len(key) > 0 {
		return key // also beside an Authorization that is for a proxy
	}
	if len(authorization) > 0 {
		return noKey
	}
	return nil
}

// noKey stands for an Authorization of another scheme than Bearer.
var noKey = []byte("-")

// withholds says whether the caller may not see reasons.
func (n *Node) withholds(ctx *fasthttp.RequestCtx) bool {
	if n.options.Keys == nil {
		return false
	}
	caller, ok := ctx.UserValue(callerKey{}).(*access.Caller)
	return !ok || !caller.Reasons
}

// refuseKey answers a request without a key in force, and slows those who keep coming
// with wrong ones.
func (n *Node) refuseKey(ctx *fasthttp.RequestCtx, caller *access.Caller, verdict access.Verdict, now time.Time) {
	n.metrics.keysRefused[verdict].Inc()
	challenge := `Bearer realm="restraint"`
	detail := "this path needs an access key: send Authorization: Bearer KEY, or X-Api-Key: KEY; restraint keys new makes one"
	switch verdict {
	case access.Missing:
		if access.HoldsKey(ctx.URI().QueryString()) {
			detail = "a key in the address is not taken, since logs keep addresses: revoke that one, and send a new one as Authorization: Bearer KEY"
		}
	case access.Malformed:
		detail = fmt.Sprintf("what was sent is no access key: a key is %d characters, rk_ID_SECRET, without blanks, after Authorization: Bearer or X-Api-Key:", access.KeyBytes)
	case access.Unknown:
		detail = "no key is like this one: was it cut, or is it another cluster's?"
	case access.Revoked:
		detail = fmt.Sprintf("key %s was revoked at %s: ask for a new one", caller.ID, caller.Revoked.Format(time.RFC3339))
	}
	if verdict != access.Missing {
		challenge += `, error="invalid_token"`
		n.slow(ctx, now)
	}
	ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, challenge)
	newProblem(fasthttp.StatusUnauthorized, detail).send(ctx)
}

// slow holds the answer to a wrong key back where its address showed too many.
func (n *Node) slow(ctx *fasthttp.RequestCtx, now time.Time) {
	g := &n.guarding
	if !g.failures.Note(addressOf(ctx.RemoteAddr()), now) {
		return
	}
	n.metrics.keysSlowed.Inc()
	ctx.SetConnectionClose()
	if int(g.held.Add(1)) <= n.options.Connections/heldShare {
		g.hold(holdTime)
	}
	g.held.Add(-1)
}

// addressOf is the address of a caller; the zero one for a unix socket.
func addressOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}

// refuse answers a caller with a key without doing what was asked. A body as short as
// that of a decision is read, so that its connection stays: a caller over its rate
// should not come back with a new connection each time.
func refuse(ctx *fasthttp.RequestCtx, p *problem) {
	if length := ctx.Request.Header.ContentLength(); length > 0 && length <= decideBytes {
		if body := ctx.RequestBodyStream(); body != nil {
			_, _ = io.Copy(io.Discard, body) // what is left is seen by guard
		}
	}
	p.send(ctx)
}

// mayUpload says whether a header shows a key that may upload; without keys all may.
func (n *Node) mayUpload(h *fasthttp.RequestHeader) bool {
	if n.options.Keys == nil {
		return true
	}
	caller, verdict := n.options.Keys.Check(keyOf(h))
	return verdict == access.LetIn && caller.Roles&access.CRM != 0
}
