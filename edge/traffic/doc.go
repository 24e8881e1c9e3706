// Package traffic counts what happened in numbers: decisions that showed or skipped, and why, and what was reported of campaigns, by hour,
// campaign, arm and market. There are no people in it.
//
// A Book holds counters of one node. Each is absolute: it belongs to one start of one process, which alone raises it, so a book is joined
// by the larger of each counter, and a book that comes twice, late, or from a node that lost its end changes nothing. What a start did not
// write before it died is lost; the next start has counters of its own, and the sum over all starts is what happened.
//
// Hours are folded into days and days into months as they age, by the node itself: the larger bucket is written once no smaller one in it
// can change any more, and stands for them from then on. In a join it wins over the smaller ones of the same start within it. So a copy
// that still has the hours never counts beside a copy that has the day.
//
// From says where a book begins: what ended before is dropped, and the later From wins. So the past is dropped on every node, whoever does
// it, and what moves from one book of a node to another is never counted twice: the books of one node are joined before they are summed.
//
// The package does no I/O, has no clock and starts no goroutine.
package traffic
