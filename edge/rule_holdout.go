package edge

import (
	"fmt"

	"restraint/edge/policy"
)

// heldOut: who is in the holdout is shown only what is not chosen for this person. It is
// the same line as an opt-out's: retargeting and acquisition use what is known of people
// (interest, purchases, lists), contextual campaigns do not. A holdout that was shown
// acquisition would tell what retargeting adds to it, not what is chosen for people does.
func (j *judge) heldOut(v *verdict, s *subject) bool {
	return j.because == nil && !j.holdout || j.spared(v, s)
}

func (j *judge) spared(v *verdict, s *subject) bool {
	if j.rules.HoldoutPercent == 0 || s.Purpose == policy.Contextual {
		return true
	}
	if j.because != nil {
		j.because.add(Check{Rule: "holdout", Percent: int(j.rules.HoldoutPercent), Pass: !j.holdout})
	}
	if j.holdout {
		v.fail(Holdout, never)
	}
	return j.goOn(v)
}

func holdoutSentence(c *Check) string {
	return fmt.Sprintf("you are among the %d %% of people, drawn by lot, who are shown nothing that is chosen for them, so that we can tell what such advertisements do.", c.Percent)
}
