package edge

import (
	"errors"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/policy"
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
	newest := n.policies.newest()
	e.Before, e.After = policyFacts(&newest), audit.Facts{"from": put.from, "sha256": sum(string(put.text))}
	if put.pilot != 0 {
		e.After["pilot"] = int(put.pilot)
	}
	r, err := n.beginAs(e)
	if err != nil {
		return policyChange{}, err
	}
	c, err := do(put)
	var refused PolicyError
	switch {
	case err == nil:
		r.entry.Policy = c.Version
		after := policyChanges(&c)
		if c.Version == newest.Version {
			after = audit.Facts{"version": c.Version, "unchanged": true}
		}
		r.end(audit.Done, policyBefore(&c), after)
	case errors.As(err, &refused), errors.Is(err, errVersion), errors.Is(err, ErrConflict), errors.Is(err, errDocumentSize),
		errors.Is(err, errPilotRuns), errors.Is(err, errNoTrial):
		r.end(audit.Refused, nil, audit.Facts{"error": err.Error()})
	default: // the cluster may have taken it
		r.end(audit.Failed, nil, audit.Facts{"error": err.Error()})
	}
	return c, err
}

// firstPolicy has do put the first policy of a node, or of a cluster, in force.
func (n *Node) firstPolicy(do func(policyPut) (policyChange, error)) error {
	put := policyPut{text: n.options.FirstPolicy, from: n.options.FirstPolicyName}
	_, err := n.putPolicyAs(audit.Entry{Action: audit.PolicyPut, Who: audit.Who{By: audit.ByStart}}, put, do)
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
	n.note(audit.Entry{
		Action: audit.PolicyTaken, Outcome: audit.Done, Who: audit.Who{By: audit.ByCluster}, Policy: v.Version,
		Before: policyFacts(before), After: policyFacts(v),
	})
}
