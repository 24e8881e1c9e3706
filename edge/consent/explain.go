package consent

import (
	"math/bits"

	"restraint/edge/policy"
)

// explainTCF notes what a TCF string says of each purpose that is asked for, and
// of the vendor.
func (j *judge) explainTCF(t *tcf, asked policy.PurposeSet, section uint8, about who) {
	note := func(why Why, purpose int, refused bool) {
		a := Answer{Why: why, Section: section, Purpose: uint8(purpose)}
		if refused {
			a.Reason = why.Reason()
		}
		*j.checks = append(*j.checks, Check{Answer: a, Applies: uint8(about)})
	}
	if t.problem != Nothing {
		note(t.problem, 0, true)
		return
	}
	for rest := uint32(asked); rest != 0; rest &= rest - 1 {
		n := firstPurpose(rest)
		switch granted := has(t.granted, n-1); {
		case !granted && has(t.restricted, n-1):
			note(PurposeRestricted, n, true)
		default:
			note(PurposeRefused, n, !granted)
		}
	}
	if j.policy.Vendor != 0 {
		note(max(t.vendor, VendorRefused), 0, t.vendor != Nothing)
	}
}

// firstPurpose is the lowest purpose of a set that is not empty.
func firstPurpose(set uint32) int { return bits.TrailingZeros32(set) + 1 }
