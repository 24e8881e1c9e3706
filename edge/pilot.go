package edge

import (
	"errors"
	"fmt"
	"time"

	"restraint/edge/policy"
)

// A pilot is a version of the policy that holds for a share of the people while the
// version before holds for the others. It is a version like any other: it has a number,
// is kept, and is shared over the cluster with the text of the version before in it, so
// that a node which never saw that one has both. Its share is changed, and it is ended,
// by the next version.

// pilotOf says that a version is tried out.
type pilotOf struct {
	Percent uint8 `json:"percent"` // of all people, 1 to 100
	// Draw is the version under which it began: lots are drawn for that number, so who is
	// in the pilot stays in it while it grows, and the next pilot is of other people.
	Draw   int           `json:"draw"`
	Since  time.Time     `json:"since"`
	Before policyVersion `json:"before"` // holds for the others
}

// same says whether two versions of one text are the same for everybody.
func (p *pilotOf) same(o *pilotOf) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Percent == o.Percent && p.Draw == o.Draw && p.Before.Version == o.Before.Version && p.Before.SHA256 == o.Before.SHA256
}

// fault is what is wrong with what somebody else wrote; v is the version that is tried out.
func (p *pilotOf) fault(v *policyVersion) error {
	switch b := &p.Before; {
	case p.Percent < 1 || p.Percent > 100:
		return fmt.Errorf("it is tried out on %d %% of people, which is not from 1 to 100", p.Percent)
	case p.Draw < 1 || p.Draw > v.Version:
		return fmt.Errorf("its pilot began under version %d, which is not from 1 to %d", p.Draw, v.Version)
	case !isPolicyTime(p.Since):
		return fmt.Errorf("its pilot began at %s, which is not from 1970 to 2106", p.Since)
	case b.Version < 1 || b.Version >= p.Draw:
		return fmt.Errorf("version %d is before its pilot, which began under version %d", b.Version, p.Draw)
	case b.Pilot != nil:
		return errors.New("the version before its pilot is a pilot")
	default:
		return b.fault()
	}
}

// What a change of policy is refused by while a policy is tried out, or because none is.
var (
	errPilotRuns = errors.New("a policy is being tried out")
	errNoPilot   = errors.New("no policy is being tried out")
	errNoTrial   = errors.New("it cannot be tried out")
)

// policyPut is what a change of policy asks for.
type policyPut struct {
	text []byte
	from string // where the text came from
	dry  bool
	// expect is the version that must be the newest; 0: any.
	expect int
	// read is the version of which the node itself took the text; 0: none.
	read  int
	pilot uint8 // for so many percent of people; 0: for everybody
	ends  bool  // the text is for everybody, whatever is tried out
	// keeps: a text that holds for anybody already changes nothing, so that reading the
	// policy's file again does not end a pilot.
	keeps  bool
	called requestName // the request that asks for it
}

// follow sets of v, the version that put is to be, what follows from what is in force:
// last and its pilot. same: it changes nothing.
func (p *policies) follow(v *policyVersion, last *policyVersion, put *policyPut) (same bool, err error) {
	runs := last.Pilot
	switch {
	case runs == nil && put.pilot == 0:
		return last.SHA256 == v.SHA256, nil
	case runs == nil && last.Version == 0:
		return false, fmt.Errorf("%w: no policy is in force yet", errNoTrial)
	case runs == nil && last.SHA256 == v.SHA256:
		return false, fmt.Errorf("%w: it is the text of version %d, which is in force for everybody", errNoTrial, last.Version)
	case runs == nil:
		before, ok, err := p.version(0)
		if err != nil || !ok {
			return false, fmt.Errorf("read the policy in force: %w", err)
		}
		v.Pilot = &pilotOf{Percent: put.pilot, Since: v.At, Before: before}
		return false, nil // Draw is its own number, once it has one
	case put.ends:
		return false, nil
	case last.SHA256 == v.SHA256 && put.pilot != 0:
		newest, ok, err := p.version(0)
		if err != nil || !ok || newest.Pilot == nil {
			return false, fmt.Errorf("read the policy that is tried out: %w", err)
		}
		v.Pilot = newest.Pilot
		v.Pilot.Percent = put.pilot
		return put.pilot == runs.Percent, nil
	case put.keeps && (last.SHA256 == v.SHA256 || runs.Before.SHA256 == v.SHA256):
		return true, nil
	case last.SHA256 == v.SHA256:
		v.From = fmt.Sprintf("promotion of version %d", last.Version)
		return false, nil
	case runs.Before.SHA256 == v.SHA256 && put.pilot == 0:
		v.From = fmt.Sprintf("end of the pilot of version %d", last.Version)
		return false, nil
	}
	return false, runs.runs(last.Version)
}

// runs is errPilotRuns of a version that is tried out, and what to do.
func (p *pilotOf) runs(version int) error {
	return fmt.Errorf("%w: version %d, on %d %% of people; promote it or stop it first (restraint policy pilot --promote or --stop, POST /v1/policy/pilot), or go back to a version, which ends it",
		errPilotRuns, version, p.Percent)
}

// compiled is a version made ready.
type compiled struct {
	policy *policy.Policy // of everybody, or of those on whom nothing is tried out
	tried  *policy.Policy // nil: nothing is
	pilot  *pilotOf
	sha256 string // of the version's own text
}

// newest is the policy of the version's own text.
func (c *compiled) newest() *policy.Policy {
	if c.tried != nil {
		return c.tried
	}
	return c.policy
}

func (c *compiled) policies() []*policy.Policy {
	if c.tried == nil {
		return []*policy.Policy{c.policy}
	}
	return []*policy.Policy{c.policy, c.tried}
}
