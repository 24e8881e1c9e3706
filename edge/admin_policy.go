package edge

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/policy"
)

func (n *Node) servePolicy(ctx *fasthttp.RequestCtx) {
	if ctx.IsGet() {
		n.getPolicy(ctx)
		return
	}
	n.putPolicyText(ctx)
}

// getPolicy answers with the policy's own text; its version is the ETag.
func (n *Node) getPolicy(ctx *fasthttp.RequestCtx) {
	number := 0
	if s := ctx.QueryArgs().Peek("version"); len(s) > 0 {
		var err error
		if number, err = strconv.Atoi(string(s)); err != nil || number < 1 {
			newProblem(fasthttp.StatusBadRequest, "version "+quote(s)+" is not a number of a version").send(ctx)
			return
		}
	}
	v, ok := n.policies.version(number)
	if !ok {
		newProblem(fasthttp.StatusNotFound, fmt.Sprintf("there is no version %d; /v1/policy/history lists them", number)).send(ctx)
		return
	}
	ctx.Response.Header.Set("ETag", `"`+itoa(v.Version)+`"`)
	ctx.Response.Header.Set("Last-Modified", v.At.Format(time.RFC1123))
	ctx.SetContentType("application/yaml")
	ctx.SetBodyString(v.Text)
}

// policyAnswer is what a change of policy came to.
type policyAnswer struct {
	Version int             `json:"version"`
	DryRun  bool            `json:"dry_run,omitempty"`
	SHA256  string          `json:"sha256"`
	Changes []policy.Change `json:"changes"`
}

// putPolicyText replaces the policy; with dry_run it only says what would change.
func (n *Node) putPolicyText(ctx *fasthttp.RequestCtx) {
	args := ctx.QueryArgs()
	if args.Has("pilot") {
		newProblem(fasthttp.StatusBadRequest, "pilot: this version of the node puts a policy in force for everybody; leave the parameter out").send(ctx)
		return
	}
	text, p := readBody(ctx, nil, smallBody)
	if p != nil {
		p.send(ctx)
		return
	}
	if match := ctx.Request.Header.Peek("If-Match"); len(match) > 0 && string(match) != `"`+itoa(n.rules.Load().Version)+`"` {
		newProblem(fasthttp.StatusPreconditionFailed, fmt.Sprintf("the policy in force is version %d, not %s; look at it and put again", n.rules.Load().Version, match)).send(ctx)
		return
	}
	n.changePolicy(ctx, text, "api", args.GetBool("dry_run"))
}

// changePolicy checks text and, unless dry, puts it in force; it answers with
// what changes.
func (n *Node) changePolicy(ctx *fasthttp.RequestCtx, text []byte, from string, dry bool) {
	before := n.rules.Load().Policy
	v := policyVersion{Version: before.Version + 1, At: time.Now().UTC(), From: from, SHA256: sum(string(text)), Text: string(text)}
	after, err := n.compile(&v, before)
	if err == nil && !dry {
		v, err = n.putPolicy(text, from)
	}
	var refused errPolicy
	switch {
	case errors.As(err, &refused):
		policyProblem(refused.faults).send(ctx)
		return
	case err != nil:
		newProblem(fasthttp.StatusInternalServerError, err.Error()).send(ctx)
		return
	}
	changes := policy.Diff(before, after)
	if changes == nil {
		changes = []policy.Change{}
	}
	sendJSON(ctx, fasthttp.StatusOK, policyAnswer{Version: v.Version, DryRun: dry, SHA256: v.SHA256, Changes: changes})
}

// policyProblem names every fault of a refused policy.
func policyProblem(faults policy.Faults) *problem {
	p := newProblem(fasthttp.StatusBadRequest, itoa(len(faults))+" faults; the policy in force stays")
	if len(faults) == 1 {
		p.Detail = "1 fault; the policy in force stays"
	}
	for _, f := range faults {
		p.Errors = append(p.Errors, problemError{Field: f.Key, Detail: f.Detail, Line: f.Line})
	}
	return p
}

// getPolicyHistory lists the versions, newest first, without their texts.
func (n *Node) getPolicyHistory(ctx *fasthttp.RequestCtx) {
	n.policies.mu.Lock()
	history := make([]map[string]any, 0, len(n.policies.versions))
	for i := len(n.policies.versions) - 1; i >= 0; i-- {
		v := &n.policies.versions[i]
		history = append(history, map[string]any{"version": v.Version, "at": v.At, "from": v.From, "sha256": v.SHA256})
	}
	n.policies.mu.Unlock()
	sendJSON(ctx, fasthttp.StatusOK, map[string]any{"versions": history})
}

// postPolicyRollback puts an older text in force again, as a new version.
func (n *Node) postPolicyRollback(ctx *fasthttp.RequestCtx) {
	number := ctx.QueryArgs().GetUintOrZero("version")
	if number == 0 {
		number = n.rules.Load().Version - 1
	}
	v, ok := n.policies.version(number)
	if number < 1 || !ok {
		newProblem(fasthttp.StatusNotFound, fmt.Sprintf("there is no version %d to go back to; /v1/policy/history lists them", number)).send(ctx)
		return
	}
	n.changePolicy(ctx, []byte(v.Text), fmt.Sprintf("rollback to version %d", v.Version), ctx.QueryArgs().GetBool("dry_run"))
}
