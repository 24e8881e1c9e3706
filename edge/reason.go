package edge

// Reason says why a candidate was skipped. The set is closed and its order is
// that of the contract: the first reason that applies is the one given.
type Reason uint8

// Shown is the absence of a reason: the candidate may be shown.
const (
	Shown Reason = iota
	UnknownCampaign
	Inactive
	Child
	NoConsent
	OptedOut
	NoID
	UserChoice
	Hidden
	Sensitive
	NotBeside
	TooSpecific
	Suppressed
	StaleList
	Purchased
	TooSoon
	StaleInterest
	DialledBack
	Spacing
	Cap
	Diversity
	QuietHours
	Holdout

	reasonCount
)

var reasonNames = [reasonCount]string{
	Shown:           "show",
	UnknownCampaign: "unknown_campaign",
	Inactive:        "inactive",
	Child:           "child",
	NoConsent:       "no_consent",
	OptedOut:        "opted_out",
	NoID:            "no_id",
	UserChoice:      "user_choice",
	Hidden:          "hidden",
	Sensitive:       "sensitive",
	NotBeside:       "not_beside",
	TooSpecific:     "too_specific",
	Suppressed:      "suppressed",
	StaleList:       "stale_list",
	Purchased:       "purchased",
	TooSoon:         "too_soon",
	StaleInterest:   "stale_interest",
	DialledBack:     "dialled_back",
	Spacing:         "spacing",
	Cap:             "cap",
	Diversity:       "diversity",
	QuietHours:      "quiet_hours",
	Holdout:         "holdout",
}

// String returns the reason as the contract spells it.
func (r Reason) String() string { return reasonNames[r] }
