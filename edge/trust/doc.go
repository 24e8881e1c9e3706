// Package trust counts what people report about campaigns: hides, complaints, whether something was helpful or intrusive, and opt-outs by an
// advertisement. It says when a campaign is to be shown less, or not at all, and keeps that until a human has looked into it.
//
// Each report is an element of an exact set, of one campaign and one UTC day (Page), known by 64 bits of a keyed hash. A set is joined by
// union, so a report that comes twice, late, to several nodes or again after a restart counts once. The same identity on two days is the
// report of the earlier second.
//
// A Page keeps the MaxReports reports with the smallest identities. Identities are hashes, so beyond that bound what is kept is a fair
// sample of all, of which the share is known from the largest identity kept (Bar-Yossef and others: Counting Distinct Elements in a Data
// Stream, 2002; the relative error is about 1/sqrt(MaxReports), 1.6 %). Such a page is saturated: its counts are estimates and say so.
//
// A person stands in a report as 64 bits of a keyed hash that is another for each campaign and each day, so that nobody can link what
// somebody reported here with what they reported there. After the days of the window and one more, a page is folded: its numbers stay,
// identities and people go. Numbers are joined by the larger of each.
//
// # Who is believed
//
// Every report counts as a report. Only some weigh in a dial-back: hides and complaints of people who were shown the campaign, as far as
// the node that took the report can tell (it holds a showing of it for them, or the report came by a token that names it), and who have
// not reported the same campaign on an earlier day since it was last released. So who makes up identifiers, has none, or repeats
// themself is counted and does not weigh. A person weighs at most once for hides and once for complaints a day, under however many ids.
//
// # Who wins
//
// A Standing is what holds for one campaign: the last release by a human, and since it whether and when it was lowered and paused. A later
// release wins over everything that was decided without knowing of it; of two nodes that both lowered, the earlier second stays. Its
// join is commutative, associative and idempotent too, so all nodes that have heard of the same changes say the same.
//
// The package does no I/O, has no clock and starts no goroutine. It never sees an identifier, nor a key of one.
package trust
