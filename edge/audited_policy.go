package edge

import (
	"errors"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/policy"
)

// putPolicyFor is putPolicy for a request, on the record.
func (n *Node) putPolicyFor(ctx *fasthttp.RequestCtx, text []byte, from string, dry bool, expect int) (policyChange, error) {
	put := func() (policyChange, error) { return n.putPolicy(text, from, dry, expect) }
	if dry {
		return put()
	}
	e := audit.Entry{Action: audit.PolicyPut, Who: n.whoAsks(ctx), Why: why(ctx)}
	if !ctx.IsPut() {
		e.Action = audit.PolicyRollback
	}
	return n.putPolicyAs(e, text, from, put)
}

// putPolicyAs has put change the policy, on the record, also where it then turns out that
// nothing changes.
func (n *Node) putPolicyAs(e audit.Entry, text []byte, from string, put func() (policyChange, error)) (policyChange, error) {
	newest := n.policies.newest()
	e.Before, e.After = policyFacts(&newest), audit.Facts{"from": from, "sha256": sum(string(text))}
	r, err := n.beginAs(e)
	if err != nil {
		return policyChange{}, err
	}
	c, err := put()
	var refused PolicyError
	switch {
	case err == nil:
		r.entry.Policy = c.Version
		after := policyChanges(&c)
		if c.Version == newest.Version {
			after = audit.Facts{"version": c.Version, "unchanged": true}
		}
		r.end(audit.Done, policyBefore(&c), after)
	case errors.As(err, &refused), errors.Is(err, errVersion), errors.Is(err, ErrConflict), errors.Is(err, errDocumentSize):
		r.end(audit.Refused, nil, audit.Facts{"error": err.Error()})
	default: // the cluster may have taken it
		r.end(audit.Failed, nil, audit.Facts{"error": err.Error()})
	}
	return c, err
}

// firstPolicy is putPolicyAs for the first policy of a node, or of a cluster.
func (n *Node) firstPolicy(put func() (policyChange, error)) error {
	_, err := n.putPolicyAs(audit.Entry{Action: audit.PolicyPut, Who: audit.Who{By: audit.ByStart}}, n.options.FirstPolicy, n.options.FirstPolicyName, put)
	return err
}

func policyFacts(v *policyVersion) audit.Facts {
	if v.Version == 0 {
		return nil
	}
	return audit.Facts{"version": v.Version, "sha256": v.SHA256, "from": v.From}
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
