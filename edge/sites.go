package edge

import (
	"bytes"
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// fromElsewhere says whether a browser sent a request for a page of another origin, as all
// browsers say of what they send to this machine or over TLS (Fetch Metadata, W3C,
// Sec-Fetch-Site). A page whose name was made to lead here is of the same origin to its
// browser, which says nothing at all where that name is not asked over TLS: so the name is
// looked at too.
func fromElsewhere(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Request.Header.Peek("Sec-Fetch-Site")) {
	case "":
		return ofBrowser(&ctx.Request.Header) && !ownName(string(ctx.Host()))
	case "same-origin", "none": // none: somebody typed the address
		return !ownName(string(ctx.Host()))
	}
	return true
}

// ofBrowser says whether a request has what browsers send and commands do not. A page can
// change some of it, and take none of it away.
func ofBrowser(h *fasthttp.RequestHeader) bool {
	for _, name := range []string{fasthttp.HeaderAcceptLanguage, fasthttp.HeaderOrigin, fasthttp.HeaderReferer} {
		if len(h.PeekAll(name)) > 0 {
			return true
		}
	}
	return bytes.HasPrefix(h.UserAgent(), []byte("Mozilla/"))
}

// ownName says whether the host of a request is this machine by whatever name: an address,
// or localhost, which leads nowhere else.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost")
}

// elsewhere refuses what a page of another origin has a browser send to the admin listener
// of a node without keys, where whoever reaches it may do everything: any page that somebody
// on this machine looks at could otherwise have people erased. It answers true where it has
// refused. With keys there is no need: such a page has none. Open paths are for every page.
func (n *Node) elsewhere(ctx *fasthttp.RequestCtx) bool {
	if n.options.Keys != nil || !fromElsewhere(ctx) {
		return false
	}
	rows := doorsOf(ctx.Path())
	if len(rows) == 0 || mayUse(rows, lent(ctx.Method())) == open {
		return false
	}
	refuse(ctx, newProblem(fasthttp.StatusForbidden,
		"a browser sent this for a page of another site, and a node without keys takes it from none: use /console, or give the node keys (keys_file)"))
	return true
}
