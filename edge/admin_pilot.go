package edge

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/policy"
)

// pilotAnswer is what GET /v1/policy/pilot says. Where nothing is tried out, only
// running is there.
type pilotAnswer struct {
	Running bool `json:"running"`
	*runningPilot
}

// runningPilot is a policy that is tried out.
type runningPilot struct {
	Percent uint8     `json:"percent"`
	Version int       `json:"version"` // that is tried out
	Before  int       `json:"before"`  // the version of the others
	Since   time.Time `json:"since"`
	Changed time.Time `json:"changed"` // when the share was set to what it is
	// Changes are what the version that is tried out changes, as when it was put.
	Changes []policy.Change `json:"changes"`
	Effect  *pilotEffect    `json:"effect"`
}

// pilotNow are the version that is tried out and the percent of people on whom it is; 0
// where none is.
func (n *Node) pilotNow() (now struct{ version, percent int }) {
	if t := n.rules.Load().trial; t != nil {
		now.version, now.percent = t.tried.Version, int(t.percent)
	}
	return now
}

func (n *Node) servePilot(ctx *fasthttp.RequestCtx) {
	if ctx.IsPost() {
		n.postPilot(ctx)
		return
	}
	n.getPilot(ctx)
}

func (n *Node) getPilot(ctx *fasthttp.RequestCtx) {
	if _, p := readPolicyQuery(ctx); p != nil {
		p.send(ctx)
		return
	}
	running, err := n.runningPilot()
	if err != nil {
		newProblem(fasthttp.StatusInternalServerError, "the policy that is tried out cannot be read; see the log").send(ctx)
		n.logOf(ctx).Error("pilot not read", "error", err.Error())
		return
	}
	if running != nil {
		ctx.Response.Header.Set("ETag", `"`+strconv.Itoa(running.Version)+`"`)
	}
	sendJSON(ctx, fasthttp.StatusOK, pilotAnswer{running != nil, running})
}

// runningPilot describes the policy that is tried out; nil where none is.
func (n *Node) runningPilot() (*runningPilot, error) {
	t := n.rules.Load().trial
	v, ok, err := n.policies.version(0)
	if err != nil || !ok || v.Pilot == nil || t == nil {
		return nil, err
	}
	// As they were before each counted what the other does.
	pilot := v.Pilot
	v.Pilot = nil
	before, err := n.compile(&pilot.Before, nil)
	if err != nil {
		return nil, err
	}
	tried, err := n.compile(&v, nil)
	if err != nil {
		return nil, err
	}
	happened := n.happened(t)
	return &runningPilot{
		Effect:  effectOf(&happened),
		Percent: pilot.Percent, Version: v.Version, Before: pilot.Before.Version, Since: pilot.Since, Changed: v.At,
		Changes: changes(before.policy, tried.policy),
	}, nil
}

// changes is never nil, so that the answer has a list.
func changes(before, after *policy.Policy) []policy.Change {
	if all := policy.Diff(before, after); all != nil {
		return all
	}
	return []policy.Change{}
}

// postPilot ends the pilot or changes its share.
func (n *Node) postPilot(ctx *fasthttp.RequestCtx) {
	query, p := readPolicyQuery(ctx, "end", "percent", "dry_run")
	if p == nil && (query.end == "") == (query.percent == 0) {
		p = newProblem(fasthttp.StatusBadRequest, "say what is to become of the pilot: end=promote (its version is for everybody), end=stop (the version before is), or percent=20 (another share)")
	}
	if p != nil {
		p.send(ctx)
		return
	}
	v, ok, err := n.policies.version(0)
	switch {
	case err != nil:
		newProblem(fasthttp.StatusInternalServerError, "the policy that is tried out cannot be read; see the log").send(ctx)
		n.logOf(ctx).Error("pilot not read", "error", err.Error())
		return
	case !ok || v.Pilot == nil:
		newProblem(fasthttp.StatusConflict, errNoPilot.Error()+"; PUT /v1/policy?pilot=10 tries one out on 10 % of people").send(ctx)
		return
	case query.end == "stop":
		v.Text = v.Pilot.Before.Text
	}
	// What another change made of the pilot meanwhile is not what was asked about.
	n.changePolicy(ctx, policyPut{text: []byte(v.Text), from: "api", dry: query.dry, pilot: query.percent, read: v.Version})
}

// refusedPilot is the answer to a change that does not fit to what is tried out; nil for
// other errors.
func refusedPilot(err error) *problem {
	switch {
	case errors.Is(err, errPilotRuns):
		return newProblem(fasthttp.StatusConflict, err.Error())
	case errors.Is(err, errNoTrial):
		return newProblem(fasthttp.StatusBadRequest, err.Error())
	}
	return nil
}

// readPercent reads a share of people.
func readPercent(name, text string) (uint8, error) {
	percent, err := strconv.ParseUint(text, 10, 8)
	if err != nil || percent < 1 || percent > 100 {
		return 0, fmt.Errorf("%s=%q: write whole percent of people, 1 to 100", name, text)
	}
	return uint8(percent), nil
}
