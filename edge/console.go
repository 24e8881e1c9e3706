package edge

import (
	"github.com/valyala/fasthttp"

	"restraint/edge/console"
)

// getConsole answers GET /console with the operator's page. It holds nothing of the node
// but whether it has keys, so it needs none.
func (n *Node) getConsole(ctx *fasthttp.RequestCtx) {
	private(ctx)
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", console.Policy)
	h.Set("Content-Language", "en")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	ctx.SetContentType("text/html; charset=utf-8")
	ctx.SetBodyString(console.Page(n.options.Keys != nil))
}
