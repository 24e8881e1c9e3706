package edge

import (
	"fmt"
	"slices"

	"restraint/caps"
	"restraint/edge/policy"
)

// keptKind is one kind of thing that is kept about a person for a campaign, and how
// long, in words and as seconds; 0 seconds: until the person asks to be forgotten.
type keptKind struct {
	Kind    string `json:"kind"`
	Seconds uint32 `json:"seconds,omitempty"`
	Detail  string `json:"detail"`
}

// kept are the kinds of things kept for a campaign, or for one that the policy does not
// have, of what is shown under a retention of its own. Kinds only: what there is of each is for the look-up by a privacy officer, since
// whoever shares the person's device can open this page.
func (r *rules) kept(c *policy.Campaign, mayStore bool, own caps.Retention) []keptKind {
	whose := "its advertiser"
	if c != nil {
		whose = c.Advertiser
	}
	lasts := func(seconds uint32) string { return words(policy.Span(seconds)) }
	shown := keptKind{Kind: "exposures", Seconds: r.Retention.Exposures}
	if own != 0 {
		shown.Seconds = min(shown.Seconds, own.Seconds())
	}
	if mayStore {
		shown.Detail = fmt.Sprintf("When this campaign was shown to you, to keep count: for %s.", lasts(shown.Seconds))
	} else {
		shown.Detail = fmt.Sprintf("That this advertisement was shown to you is not kept, since you have not permitted it. Showings that you permitted are kept for %s.", lasts(shown.Seconds))
	}
	kinds := []keptKind{shown, {
		Kind: "purchases", Seconds: r.Retention.Purchases,
		Detail: fmt.Sprintf("That you bought something from %s, where that was reported, to leave you alone with it: for %s.", whose, lasts(r.Retention.Purchases)),
	}}
	if c != nil && len(c.Suppress)+len(c.Purchased.Lists) > 0 {
		kinds = append(kinds, keptKind{
			Kind:   "lists",
			Detail: fmt.Sprintf("Whether you are on a list that %s gave us, such as one of its customers%s. It is used only to show you less, for as long as you are on it.", whose, r.otherLists(c)),
		})
	}
	if c != nil && c.Purpose != policy.Contextual && len(r.optOuts) > 0 {
		kinds = append(kinds, keptKind{
			Kind:   "opt_out_lists",
			Detail: "Whether you are on a list of people who opted out of advertisements that are chosen for them. Who is on it is shown none, for as long as they are on it.",
		})
	}
	return append(kinds, keptKind{
		Kind: "choices", Detail: "What you refuse here: a hidden campaign for 90 days, an opt-out until you ask to be forgotten.",
	})
}

// otherLists says that a campaign has lists that are not its advertiser's.
func (r *rules) otherLists(c *policy.Campaign) string {
	for _, list := range slices.Concat(c.Suppress, c.Purchased.Lists) {
		if r.Lists[list].Source != "first_party" {
			return ", or that was got from somebody else"
		}
	}
	return ""
}
