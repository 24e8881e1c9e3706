package edge

import (
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/policy"
	"restraint/edge/shared"
)

// putPolicyFor is putPolicy for a request, on the record.
func (n *Node) putPolicyFor(ctx *fasthttp.RequestCtx, put policyPut) (policyChange, error) {
	if put.dry {
		return n.putPolicy(put)
	}
	e := audit.Entry{Action: audit.PolicyPut, Who: n.whoAsks(ctx), Why: why(ctx)}
	switch {
	case put.pilot != 0 || put.read != 0:
		e.Action = audit.PolicyPilot
	case !ctx.IsPut():
		e.Action = audit.PolicyRollback
	}
	return n.putPolicyAs(e, put, n.putPolicy)
}

// putPolicyAs has do change the policy, on the record, also where it then turns out that
// nothing changes.
func (n *Node) putPolicyAs(e audit.Entry, put policyPut, do func(policyPut) (policyChange, error)) (policyChange, error) {
	r, err := n.beginPolicy(e, &put)
	if err != nil {
		return policyChange{}, err
	}
	c, err := do(put)
	r.endPolicy(&c, err)
	return c, err
}

// policyAsked is a change of policy that was announced on the record.
type policyAsked struct {
	*recorded
	newest int // the version that was in force then
}

func (n *Node) beginPolicy(e audit.Entry, put *policyPut) (*policyAsked, error) {
	newest := n.policies.newest()
	e.Before, e.After = policyFacts(&newest), audit.Facts{"from": put.from, "sha256": sum(string(put.text))}
	if put.pilot != 0 {
		e.After["pilot"] = int(put.pilot)
	}
	r, err := n.beginAs(e)
	if err != nil {
		return nil, err
	}
	return &policyAsked{r, newest.Version}, nil
}

// endPolicy puts on record what became of the change.
func (r *policyAsked) endPolicy(c *policyChange, err error) {
	var refused PolicyError
	switch {
	case err == nil:
		r.entry.Policy = c.Version
		after := policyChanges(c)
		if c.Version == r.newest {
			after = audit.Facts{"version": c.Version, "unchanged": true}
		}
		r.end(audit.Done, policyBefore(c), after)
	case errors.As(err, &refused), errors.Is(err, errVersion), errors.Is(err, shared.ErrConflict), errors.Is(err, errDocumentSize),
		errors.Is(err, errPilotRuns), errors.Is(err, errNoTrial):
		r.end(audit.Refused, nil, audit.Facts{"error": err.Error()})
	default: // the cluster may have taken it
		r.end(audit.Failed, nil, audit.Facts{"error": err.Error()})
	}
}

// firstPolicy has do put the first policy of a node, or of a cluster, in force. One that
// is away is asked every second, which is on the record once. policies.changing is held, or
// nothing else runs yet.
func (n *Node) firstPolicy(do func(policyPut) (policyChange, error)) (err error) {
	p := &n.policies
	put := policyPut{text: n.options.FirstPolicy, from: n.options.FirstPolicyName}
	if p.proposed == nil {
		if p.proposed, err = n.beginPolicy(audit.Entry{Action: audit.PolicyPut, Who: audit.Who{By: audit.ByStart}}, &put); err != nil {
			return err
		}
	}
	c, err := do(put)
	if !errors.Is(err, shared.ErrAway) {
		p.proposed.endPolicy(&c, err)
		p.proposed = nil
	}
	return err
}

func policyFacts(v *policyVersion) audit.Facts {
	if v.Version == 0 {
		return nil
	}
	facts := audit.Facts{"version": v.Version, "sha256": v.SHA256, "from": v.From}
	if v.Pilot != nil {
		facts["pilot"], facts["others_under"] = int(v.Pilot.Percent), v.Pilot.Before.Version
	}
	return facts
}

// policyBefore is the version that was replaced, which another change can have put in
// force since this one was asked for.
func policyBefore(c *policyChange) audit.Facts {
	if c.before == nil || c.before.Version == 0 {
		return nil
	}
	return audit.Facts{"version": c.before.Version}
}

// policyChanges are what somebody should know of a new policy.
func policyChanges(c *policyChange) audit.Facts {
	facts := policyFacts(&c.policyVersion)
	if c.before == nil || c.before.Version == 0 || c.before == c.after {
		return facts
	}
	var changes []string
	for _, change := range policy.Diff(c.before, c.after) {
		changes = append(changes, change.Key+": "+change.Text)
	}
	facts["changes"] = changes
	return facts
}

// notePolicyTaken puts on record that the cluster's policy is in force here.
func (n *Node) notePolicyTaken(before, v *policyVersion) {
	if p := &n.policies; p.proposed != nil {
		p.proposed.endPolicy(nil, fmt.Errorf("%w: it has a policy", shared.ErrConflict))
		p.proposed = nil
	}
	n.note(audit.Entry{
		Action: audit.PolicyTaken, Outcome: audit.Done, Who: audit.Who{By: audit.ByCluster}, Policy: v.Version,
		Before: policyFacts(before), After: policyFacts(v),
	})
}
