package edge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/policy"
)

func (n *Node) servePolicy(ctx *fasthttp.RequestCtx) {
	if ctx.IsGet() || ctx.IsHead() {
		n.getPolicy(ctx)
		return
	}
	n.putPolicyText(ctx)
}

// getPolicy answers with the policy's own text; its version is the ETag.
func (n *Node) getPolicy(ctx *fasthttp.RequestCtx) {
	query, p := readPolicyQuery(ctx, "version")
	if p != nil {
		p.send(ctx)
		return
	}
	v, ok, err := n.policies.version(query.version)
	if err != nil {
		newProblem(fasthttp.StatusInternalServerError, "the version cannot be read; see the log").send(ctx)
		n.log.Error("policy not read", "version", query.version, "error", err.Error())
		return
	}
	if !ok && n.rules.Load().Version == 0 {
		noPolicy().send(ctx)
		return
	}
	if !ok {
		newProblem(fasthttp.StatusNotFound, fmt.Sprintf("there is no version %d; /v1/policy/history lists them", query.version)).send(ctx)
		return
	}
	ctx.Response.Header.Set("ETag", `"`+strconv.Itoa(v.Version)+`"`)
	ctx.Response.Header.Set("Last-Modified", v.At.Format(http.TimeFormat))
	ctx.SetContentType("application/yaml")
	ctx.SetBodyString(v.Text)
}

// policyAnswer is what a change of policy came to.
type policyAnswer struct {
	Version int             `json:"version"`
	DryRun  bool            `json:"dry_run,omitempty"`
	SHA256  string          `json:"sha256"`
	Changes []policy.Change `json:"changes"`
	Notes   []policy.Note   `json:"notes,omitempty"` // what is no fault
}

// putPolicyText replaces the policy; with dry_run it only says what would change.
func (n *Node) putPolicyText(ctx *fasthttp.RequestCtx) {
	query, p := readPolicyQuery(ctx, "dry_run")
	if p != nil {
		linger(ctx)
		p.send(ctx)
		return
	}
	text, p := readBody(ctx, nil, smallBody)
	if p != nil {
		p.send(ctx)
		return
	}
	n.changePolicy(ctx, text, "api", query)
}

// policyQuery is what the query of a policy path asks for.
type policyQuery struct {
	version int
	dry     bool
}

// readPolicyQuery reads the parameters that a path has and refuses others: a
// misspelt dry_run must not put a policy in force.
func readPolicyQuery(ctx *fasthttp.RequestCtx, known ...string) (q policyQuery, p *problem) {
	for key, value := range ctx.QueryArgs().All() {
		name := string(key)
		var err error
		switch {
		case name == "pilot":
			err = errors.New("pilot: this version of the node puts a policy in force for everybody; leave the parameter out")
		case !slices.Contains(known, name):
			err = fmt.Errorf("%s: there is no such parameter here; there is %s", name, strings.Join(known, ", "))
		case name == "dry_run":
			q.dry, err = readBool(name, string(value))
		default:
			if q.version, err = strconv.Atoi(string(value)); err != nil || q.version < 1 {
				err = fmt.Errorf("version=%q: write the number of a version; /v1/policy/history lists them", value)
			}
		}
		if err != nil {
			return q, newProblem(fasthttp.StatusBadRequest, err.Error())
		}
	}
	return q, nil
}

// ifMatch is the version that the request's If-Match asks for; 0 for none.
func ifMatch(ctx *fasthttp.RequestCtx) (int, *problem) {
	header := string(ctx.Request.Header.Peek("If-Match"))
	if header == "" || header == "*" {
		return 0, nil
	}
	version, err := strconv.Atoi(strings.Trim(header, `"`))
	if err != nil || version < 1 {
		return 0, newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("If-Match: %q is not the ETag of a policy, as \"12\"", header))
	}
	return version, nil
}

// changePolicy checks text and, unless dry, puts it in force; it answers with
// what changes.
func (n *Node) changePolicy(ctx *fasthttp.RequestCtx, text []byte, from string, query policyQuery) {
	expect, p := ifMatch(ctx)
	if p != nil {
		p.send(ctx)
		return
	}
	c, err := n.putPolicyFor(ctx, text, from, query.dry, expect)
	var refused PolicyError
	switch {
	case errors.As(err, &refused):
		policyProblem(refused.Faults).send(ctx)
		return
	case errors.Is(err, errVersion), errors.Is(err, ErrConflict) && expect != 0:
		newProblem(fasthttp.StatusPreconditionFailed, err.Error()).send(ctx)
		return
	case errors.Is(err, ErrConflict):
		newProblem(fasthttp.StatusConflict, "another change of the policy was faster, and comes into force here within seconds; look at it and put again").send(ctx)
		return
	case errors.Is(err, errDocumentSize):
		newProblem(fasthttp.StatusRequestEntityTooLarge, err.Error()).send(ctx)
		return
	case errors.Is(err, errNotShared):
		notShared(err).send(ctx)
		return
	case errors.Is(err, audit.ErrNotWritten):
		notRecorded(err).send(ctx)
		return
	case err != nil:
		n.log.Error("policy not changed", "error", err.Error())
		diskProblem(err, "the policy in force stays").send(ctx)
		return
	}
	changes := policy.Diff(c.before, c.after)
	if changes == nil {
		changes = []policy.Change{}
	}
	sendJSON(ctx, fasthttp.StatusOK, policyAnswer{Version: c.Version, DryRun: query.dry, SHA256: c.SHA256, Changes: changes, Notes: c.after.Notes()})
}

// notShared is the answer to a change that the cluster did not take.
func notShared(err error) *problem {
	stays := "; the policy in force stays, and can be changed only while the cluster can be reached: look at it and put again"
	if errors.Is(err, ErrAway) {
		stays = "; the policy in force stays, unless the cluster took this one and could not say so, and can be changed only while the cluster can be reached: look at it and put again"
	}
	p := newProblem(fasthttp.StatusServiceUnavailable, err.Error()+stays)
	p.retryAfter = 5
	return p
}

// noPolicy is the answer of a node that does not know yet which policy is in force.
func noPolicy() *problem {
	p := newProblem(fasthttp.StatusServiceUnavailable, "no policy is in force yet: the node has none on disk and the cluster has not said which it is; /readyz says why")
	p.retryAfter = 1
	return p
}

// policyProblem names every fault of a refused policy.
func policyProblem(faults policy.Faults) *problem {
	p := newProblem(fasthttp.StatusBadRequest, strconv.Itoa(len(faults))+" faults; the policy in force stays")
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

// postPolicyRollback puts an older text in force again, as a new version; without
// a number the one before.
func (n *Node) postPolicyRollback(ctx *fasthttp.RequestCtx) {
	query, p := readPolicyQuery(ctx, "version", "dry_run")
	if p != nil {
		p.send(ctx)
		return
	}
	if query.version == 0 {
		query.version = n.rules.Load().Version - 1
	}
	v, ok, err := n.policies.version(query.version)
	if query.version < 1 || !ok || err != nil {
		newProblem(fasthttp.StatusNotFound, fmt.Sprintf("there is no version %d to go back to on this node; /v1/policy/history lists them", query.version)).send(ctx)
		return
	}
	n.changePolicy(ctx, []byte(v.Text), fmt.Sprintf("rollback to version %d", v.Version), query)
}
