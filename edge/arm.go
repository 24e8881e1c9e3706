package edge

import (
	"bytes"

	"restraint/caps"
	"restraint/edge/policy"
)

// Arm is the part of the users that a request belongs to while a policy is tried
// out, by a hash of the person's primary identifier.
type Arm uint8

const (
	ArmAll     Arm = iota // no policy is being tried out
	ArmBefore             // under the policy before the one that is tried out
	ArmPilot              // under the policy that is tried out
	ArmHoldout            // never shown what is chosen for them
	arms
)

var armNames = [arms]string{ArmAll: "all", ArmBefore: "before", ArmPilot: "pilot", ArmHoldout: "holdout"}

// String is the arm's name in reports and metrics.
func (a Arm) String() string { return armNames[a] }

// trial is a policy that is tried out on some people while the one before it holds for
// the others. Immutable.
type trial struct {
	before, tried *rules
	percent       uint8
	draw          int // the lots are drawn anew for each

	counts   *armCounters // of this process
	document string       // the name under which it keeps them
}

// other is the one of the two that r is not.
func (t *trial) other(r *rules) *rules {
	if r == t.before {
		return t.tried
	}
	return t.before
}

// choose is the rules that hold for the person of these keys, of whom r are the rules of
// those on whom nothing is tried out, and the arm that they are in. The first key is the
// primary one; see first. Whoever has none goes on as before.
func (r *rules) choose(keys []caps.Key) (*rules, Arm) {
	arm := ArmAll
	if t := r.trial; t != nil {
		arm = ArmBefore
		if len(keys) > 0 && r.lots.Pilot(t.draw, keys[0]) < t.percent {
			r, arm = t.tried, ArmPilot
		}
	}
	if r.HoldoutPercent > 0 && len(keys) > 0 && r.lots.Holdout(keys[0]) < r.HoldoutPercent {
		arm = ArmHoldout
	}
	return r, arm
}

// sort finds which arm the person of these keys is in, and which part of all people while
// something is tried out, and returns the rules that hold for the person.
func (x *exchange) sort(r *rules, keys []caps.Key) (of *rules) {
	x.trial, x.part = r.trial, nobodysPart
	if x.trial != nil && len(keys) > 0 {
		x.part = uint8(r.lots.Part(effectParts, keys[0]))
	}
	of, x.arm = r.choose(keys)
	return of
}

// sorts says whether anything depends on which arm a person is in.
func (r *rules) sorts() bool { return r.trial != nil || r.HoldoutPercent > 0 }

// both are the versions in force: r, and the one that is tried out beside it.
func (r *rules) both() []*rules {
	if r.trial == nil {
		return []*rules{r}
	}
	return []*rules{r, r.trial.other(r)}
}

// policies are the policies in force; of nil none.
func (r *rules) policies() (all []*policy.Policy) {
	if r == nil {
		return nil
	}
	for _, of := range r.both() {
		all = append(all, of.Policy)
	}
	return all
}

// primary finds a person's primary identifier while their keys are made: the one whose
// source comes first in the policy's order, and of several of that source the one with
// the smallest key, so that the order in which a request names them says nothing.
type primary struct{ rank int }

// first moves the last of a person's keys, of a source of that rank, to the front if it
// is the primary one so far.
func (p *primary) first(keys []caps.Key, rank int) {
	last := len(keys) - 1
	if last == 0 {
		p.rank = rank
		return
	}
	if rank < p.rank || rank == p.rank && bytes.Compare(keys[last][:], keys[0][:]) < 0 {
		p.rank = rank
		keys[0], keys[last] = keys[last], keys[0]
	}
}
