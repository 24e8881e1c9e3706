// Package loadtest drives a node from outside, through its HTTP interface.
//
// Replay feeds a real event log in time order through a node and reports what
// the node's policy spared people. SyntheticLog writes a log with a seed, for
// where no real one is at hand. Oracle recounts the node's verdicts.
//
// The package imports nothing else of this module: a recount that shared code
// with the node would share its faults.
//
// # How a replay works
//
// The whole log is read, checked and sorted by time (stable: rows of the same
// time keep the order of the file) before the first request is sent, so a file
// that ends early never looks like a shorter one. Then, for each row:
//
//	impression   POST /v1/decide with one candidate, want 1, hold and token
//	             false, and the row's second as "at"; if the answer is show,
//	             an impression event with the same second; if it is skip, the
//	             reason is counted and the showing is spared
//	purchase     a purchase event
//	return       a return event, which undoes the purchase
//	click        counted, not sent
//	other        counted, not sent
//
// # What a replay relies on
//
// The node runs with --clock=request and takes "now" for each request from
// that request's "at" by itself. Rows of one user are sent one after another,
// in time order, and an event of a user is answered before the next decision
// for that user is asked. Rows of different users run beside one another
// inside a window of rows of one second (at most ReplayOptions.Window), and all
// workers finish a window before any begins the next; so a replay gives the
// same verdicts each time, whatever the number of workers.
//
// A replay leaves its exposures in the node. The identities of its events are
// made from the log's name, ReplayOptions.Run and the row's number; a second
// replay over the same history meets the exposures of the first, which lie in
// its future and count. Use a fresh node, or another Run.
package loadtest
