package edge

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/suppress"
)

// openapi is the description of the API that the node serves.
//
//go:embed openapi.yaml
var openapi []byte

// smallBody bounds the bodies of admin paths that are no uploads.
const smallBody = 16 << 20

// adminLimits are the limits of an admin path, known before its body is read:
// uploads have the size and time that the configuration gives them.
func (n *Node) adminLimits(path []byte) fasthttp.RequestConfig {
	if strings.HasPrefix(string(path), "/v1/lists/") {
		return fasthttp.RequestConfig{ReadTimeout: n.options.UploadTime, WriteTimeout: n.options.UploadTime, MaxRequestBodySize: int(n.options.MaxUpload)}
	}
	if strings.HasPrefix(string(path), "/v1/policy") {
		return fasthttp.RequestConfig{MaxRequestBodySize: smallBody}
	}
	return bidLimits(path)
}

// route is one admin path. A path that ends in "/" takes one or two names below
// it.
type route struct {
	path    string
	methods string // as the Allow header has them
	serve   func(*Node, *fasthttp.RequestCtx)
}

// adminRoutes are the admin paths without a name in them.
var adminRoutes = []route{
	{"/healthz", "GET", (*Node).getHealth},
	{"/readyz", "GET", (*Node).getReady},
	{"/metrics", "GET", (*Node).getMetrics},
	{"/openapi.yaml", "GET", (*Node).getOpenAPI},
	{"/v1/snapshot", "GET", (*Node).getSnapshot},
	{"/v1/status", "GET", (*Node).getStatus},
	{"/v1/history", "GET", (*Node).getHistory},
	{"/v1/key", "GET", (*Node).getKey},
	{"/console", "GET", (*Node).getConsole},
	{"/v1/policy", "GET, PUT", (*Node).servePolicy},
	{"/v1/policy/history", "GET", (*Node).getPolicyHistory},
	{"/v1/policy/rollback", "POST", (*Node).postPolicyRollback},
	{"/v1/policy/pilot", "GET, POST", (*Node).servePilot},
	{"/v1/lists", "GET", (*Node).getLists},
	{"/v1/users/lookup", "POST", (*Node).postLookup},
	{"/v1/users/erase", "POST", (*Node).postErase},
	{"/v1/users/preferences", "POST", (*Node).postPreferences},
	{"/v1/retention", "GET", (*Node).getRetention},
	{"/v1/dial-back", "GET", (*Node).getDialBack},
	{"/v1/report", "GET", (*Node).getReport},
	{"/v1/audit", "GET", (*Node).getAudit},
	{"/v1/audit/head", "GET", (*Node).getAuditHead},
}

// serveAdmin routes the admin listener; it serves the bid paths too.
func (n *Node) serveAdmin(ctx *fasthttp.RequestCtx) {
	nameRequest(ctx)
	if !n.letIn(ctx, false, ctx.Time()) || n.elsewhere(ctx) {
		return
	}
	if p := checkWhy(ctx); p != nil {
		linger(ctx)
		p.send(ctx)
		return
	}
	path := string(ctx.Path())
	for i := range adminRoutes {
		r := &adminRoutes[i]
		if r.path != path {
			continue
		}
		if !allowed(r.methods, string(ctx.Method())) {
			notAllowed(ctx, r.methods)
			return
		}
		r.serve(n, ctx)
		return
	}
	if name, ok := strings.CutPrefix(path, "/v1/lists/"); ok {
		n.serveList(ctx, name)
		return
	}
	if name, ok := strings.CutPrefix(path, profilePath); ok {
		if !allowed("GET", string(ctx.Method())) {
			notAllowed(ctx, "GET")
			return
		}
		n.getProfile(ctx, name)
		return
	}
	if rest, ok := strings.CutPrefix(path, campaignPaths); ok {
		n.serveCampaign(ctx, rest)
		return
	}
	if receipt, ok := strings.CutPrefix(path, "/v1/users/erasures/"); ok {
		if !allowed("GET", string(ctx.Method())) {
			notAllowed(ctx, "GET")
			return
		}
		n.getErasure(ctx, receipt)
		return
	}
	if !n.routeBid(ctx) {
		notFound(ctx)
	}
}

func allowed(methods, method string) bool {
	if method == "HEAD" { // of what can be got; the server leaves the body out
		method = "GET"
	}
	for m := range strings.SplitSeq(methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

func (n *Node) getHealth(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString("ok\n")
}

// condition is one thing that has to hold before the node answers for a cluster.
type condition struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Detail string `json:"detail,omitempty"`
}

// ready names each condition of readiness.
func (n *Node) ready() (all bool, conditions []condition) {
	kept := n.keeper.Kept()
	conditions = []condition{
		n.policyCondition(),
		n.listsCondition(),
		{Name: "events", Ready: !kept.Incomplete, Detail: kept.detail()},
		{Name: "not_draining", Ready: !n.draining.Load()},
		n.clockCondition(),
	}
	if r := kept.Replication; r != nil {
		conditions = append(conditions, condition{Name: "cluster", Ready: r.Fault == "", Detail: r.Fault}, r.broker())
		for i, stream := range []*Stream{&r.Events, &r.Refusals} {
			ok, detail := r.ready(stream, time.Now(), n.options.MaxStale)
			conditions = append(conditions, condition{Name: []string{"stream_events", "stream_refusals"}[i], Ready: ok, Detail: detail})
		}
	}
	all = true
	for _, c := range conditions {
		all = all && c.Ready
	}
	return all, conditions
}

func (k *Kept) detail() string {
	if k.Incomplete {
		return "events that were acknowledged could not be read at the start: see the log; restore the data directory from a backup, or restart to go on without them"
	}
	return ""
}

// damagedLists says which lists of the policy cannot be read.
func (n *Node) damagedLists() (said []string) {
	for _, s := range n.lists.StatusAll() {
		if s.Declared && s.State == suppress.StateDamaged {
			said = append(said, fmt.Sprintf("list %q is damaged: upload it again", s.List))
		}
	}
	return said
}

func (n *Node) getReady(ctx *fasthttp.RequestCtx) {
	all, conditions := n.ready()
	status := fasthttp.StatusOK
	if !all {
		status = fasthttp.StatusServiceUnavailable
		ctx.Response.Header.Set("Retry-After", "1")
	}
	sendJSON(ctx, status, map[string]any{"ready": all, "conditions": conditions})
}

func (n *Node) getMetrics(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	n.metrics.write(ctx)
}

func (n *Node) getOpenAPI(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/yaml")
	ctx.SetBody(openapi)
}
