package edge

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/policy"
	"restraint/edge/shared"
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
	v, ok, err := n.policies.text(query.version)
	if err != nil {
		newProblem(fasthttp.StatusInternalServerError, "the version cannot be read; see the log").send(ctx)
		n.logOf(ctx).Error("policy not read", "version", query.version, "error", err.Error())
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
	Pilot   *historyPilot   `json:"pilot,omitempty"` // where it is for some people only
	Changes []policy.Change `json:"changes"`
	Notes   []policy.Note   `json:"notes,omitempty"` // what is no fault
}

// historyPilot says for whom a version is, or was, that was tried out.
type historyPilot struct {
	Percent uint8     `json:"percent"`
	Before  int       `json:"before"` // the version of the others
	Since   time.Time `json:"since"`
}

func (p *pilotOf) history() *historyPilot {
	if p == nil {
		return nil
	}
	return &historyPilot{p.Percent, p.Before.Version, p.Since}
}

// putPolicyText replaces the policy, or tries one out; with dry_run it only says what
// would change.
func (n *Node) putPolicyText(ctx *fasthttp.RequestCtx) {
	query, p := readPolicyQuery(ctx, "dry_run", "pilot")
	if p != nil {
		linger(ctx)
		p.send(ctx)
		return
	}
	hand := inHand{of: &n.inHand}
	defer hand.end()
	text, p := readBody(ctx, nil, smallBody, &hand)
	if p != nil {
		p.send(ctx)
		return
	}
	n.changePolicy(ctx, policyPut{text: text, from: "api", dry: query.dry, pilot: query.percent})
}

// policyQuery is what the query of a policy path asks for.
type policyQuery struct {
	version int
	dry     bool
	percent uint8  // pilot or percent; 0: not given
	end     string // promote or stop
}

// readPolicyQuery reads the parameters that a path has and refuses others: a
// misspelt dry_run must not put a policy in force.
func readPolicyQuery(ctx *fasthttp.RequestCtx, known ...string) (q policyQuery, p *problem) {
	for key, value := range ctx.QueryArgs().All() {
		name := string(key)
		var err error
		switch {
		case !slices.Contains(known, name):
			err = fmt.Errorf("%s: there is no such parameter here; there is %s", name, cmp.Or(strings.Join(known, ", "), "none"))
		case name == "pilot", name == "percent":
			q.percent, err = readPercent(name, string(value))
		case name == "end":
			if q.end = string(value); q.end != "promote" && q.end != "stop" {
				err = fmt.Errorf("end=%q: write promote or stop", value)
			}
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

// changePolicy makes a change of policy and answers with what changes.
func (n *Node) changePolicy(ctx *fasthttp.RequestCtx, put policyPut) {
	expect, p := ifMatch(ctx)
	if p != nil {
		p.send(ctx)
		return
	}
	put.expect = expect
	c, err := n.putPolicyFor(ctx, put)
	var refused PolicyError
	switch {
	case errors.Is(err, errPilotRuns), errors.Is(err, errNoTrial):
		refusedPilot(err).send(ctx)
		return
	case errors.As(err, &refused):
		policyProblem(refused.Faults).send(ctx)
		return
	case errors.Is(err, errVersion), errors.Is(err, shared.ErrConflict) && expect != 0:
		newProblem(fasthttp.StatusPreconditionFailed, err.Error()).send(ctx)
		return
	case errors.Is(err, shared.ErrConflict):
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
		n.logOf(ctx).Error("policy not changed", "error", err.Error())
		diskProblem(err, "the policy in force stays").send(ctx)
		return
	}
	sendJSON(ctx, fasthttp.StatusOK, policyAnswer{
		Version: c.Version, DryRun: put.dry, SHA256: c.SHA256, Pilot: c.Pilot.history(), Changes: changes(c.before, c.after), Notes: c.after.Notes(),
	})
}

// notShared is the answer to a change that the cluster did not take.
func notShared(err error) *problem {
	stays := "; the policy in force stays, and can be changed only while the cluster can be reached: look at it and put again"
	if errors.Is(err, shared.ErrAway) {
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
		version := map[string]any{"version": v.Version, "at": v.At, "from": v.From, "sha256": v.SHA256}
		if v.Pilot != nil {
			version["pilot"] = v.Pilot.history()
		}
		history = append(history, version)
	}
	n.policies.mu.Unlock()
	sendJSON(ctx, fasthttp.StatusOK, map[string]any{"versions": history})
}

// postPolicyRollback puts an older text in force again for everybody, as a new version;
// without a number the one before. It ends a pilot.
func (n *Node) postPolicyRollback(ctx *fasthttp.RequestCtx) {
	query, p := readPolicyQuery(ctx, "version", "dry_run")
	if p != nil {
		p.send(ctx)
		return
	}
	v, ok, err := n.policies.goBack(query.version)
	if !ok || err != nil {
		said := "there is no version to go back to on this node"
		if query.version != 0 {
			said = fmt.Sprintf("there is no version %d to go back to on this node", query.version)
		}
		newProblem(fasthttp.StatusNotFound, said+"; /v1/policy/history lists them").send(ctx)
		return
	}
	n.changePolicy(ctx, policyPut{text: []byte(v.Text), from: fmt.Sprintf("rollback to version %d", v.Version), dry: query.dry, ends: true})
}
