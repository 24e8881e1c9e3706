package consent

import "restraint/edge/policy"

// Reason says why something is not permitted, in the order of the contract: of
// several that apply, the first is given.
type Reason uint8

// Reasons. Permitted is the absence of one.
const (
	Permitted Reason = iota
	Child
	NoConsent
	OptedOut
)

var reasonNames = [...]string{"permitted", "child", "no_consent", "opted_out"}

// String returns the reason as the contract spells it.
func (r Reason) String() string { return reasonNames[r] }

// Answer says whether one thing is permitted and, where it is not, why. It holds
// no pointer and no text, and may be kept.
type Answer struct {
	Reason Reason
	Why    Why // Nothing where permitted
	// Section is the GPP section that says so; 0 for signals outside the GPP string
	// and for the string as a whole. 63 stands for all ids from there on.
	Section uint8
	// Purpose is the TCF purpose that is missing, where Why is about one; else 0.
	Purpose uint8
}

// Permitted reports whether it is.
func (a Answer) Permitted() bool { return a.Reason == Permitted }

// Verdict is what the signals of one request permit under one policy and market.
type Verdict struct {
	// Purposes says whether campaigns of a purpose may be shown, by policy.Purpose.
	Purposes [policy.Contextual + 1]Answer
	// Storage says whether impressions and clicks may be kept.
	Storage Answer
}

// Check is one thing that was looked at, for the list of an explanation.
type Check struct {
	// Answer is what it says; Reason is Permitted where it refuses nothing, and Why
	// then names what would have been refused.
	Answer
	// Applies says to what: a bit for each policy.Purpose, and AppliesStorage.
	Applies uint8
}

// AppliesStorage is the bit of Check.Applies that stands for storage.
const AppliesStorage = 1 << (policy.Contextual + 1)
