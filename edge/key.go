package edge

import (
	"github.com/valyala/fasthttp"

	"restraint/edge/access"
)

// keyAnswer is what GET /v1/key says of the key that asks.
type keyAnswer struct {
	// Needed: the node has keys. Where not, everybody has all roles, and there is no ID.
	Needed bool     `json:"needed"`
	ID     string   `json:"id,omitempty"`
	Client string   `json:"client,omitempty"`
	Roles  []string `json:"roles"`
	// Rate is in requests a second; absent without a limit.
	Rate int `json:"rate,omitempty"`
}

// getKey answers GET /v1/key: what the caller may do here.
func (n *Node) getKey(ctx *fasthttp.RequestCtx) {
	private(ctx)
	answer := keyAnswer{Roles: anyRole.Names()}
	if caller, ok := ctx.UserValue(callerKey{}).(*access.Caller); ok {
		answer = keyAnswer{Needed: true, ID: caller.ID, Client: caller.Client, Roles: caller.Roles.Names(), Rate: caller.Rate}
	}
	sendJSON(ctx, fasthttp.StatusOK, answer)
}
