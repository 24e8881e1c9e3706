// Package policy turns campaigns, markets and caps as people write them into
// the form that the bid-time decision reads.
//
//	text --Parse--> *Source --Compile--> *Policy
//
// The written form is YAML or JSON (JSON is read as YAML). Parse reports every
// fault of a text at once, each with line, key, value and mend; it fills in the
// defaults of defaults.go and guesses nothing. Compile cannot fail. A Policy is
// immutable and may be read by any number of goroutines; the edge swaps whole
// policies atomically.
//
// # What is counted
//
// A scope is something that showings are counted under: a campaign, an
// advertiser, one of its creatives, items or categories, a group, everything;
// each in all channels or in one. A showing of a campaign is counted under every
// scope that a cap of any campaign reads, not only under those of its own caps
// (Campaign.Scopes), and each scope keeps as many exposures as the largest limit
// that reads it in this policy or in one that was in force within the retention
// (Scope.Keep, Keeps).
//
// # Which of two windows is the longer
//
// Two caps of one scope (same per, same channel) where the longer window allows
// no more than the shorter are refused, for one of them is a mistake. A rolling
// window counts as long as it is written; a calendar day counts as 24 hours, a
// week as 7 days, a month as 30 days; lifetime is longer than any. Where a
// rolling window is as long as a calendar one, the rolling one is the longer: it
// never opens before the calendar one does, while the calendar one opens at
// midnight. Two caps of one scope over the same window are always refused.
package policy
