// Package loadtest drives a node from outside, through its HTTP interface.
//
// Replay feeds a real event log in time order through a node and reports what
// the node's policy spared people. SyntheticLog writes a log with a seed, for
// where no real one is at hand. Oracle recounts the node's verdicts. Load measures
// how fast, and how right, a node answers under load; Report is what it found.
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
//
// # How a load test works
//
// When each request is to be sent is a function of the schedule and the seed, and
// nothing that the node does moves it (an open loop). Of the workers, each with one
// connection, one waits for the next request to be due, wakes the one that became idle
// last to wait in its place, and sends. Where all are busy, a request waits, and its
// corrected latency counts that:
//
//	due          free             written             answered
//	 |-- wait ----|-- own lag -----|-- service time ---|
//	 |---------------- corrected latency --------------|
//
// wait is the target's (or too few connections), own lag the generator's: timers,
// making the request, and the processor time that it did not get. What is due and not
// sent when the run ends counts as an error, and what it had waited as latency.
// A closed loop has no due times, so its latencies leave out who would have waited.
//
// Requests are put together from parts made up before the first is sent; nothing is
// allocated for one. Connections speak HTTP/1.1 by a reader of this package's own, which
// is cheaper than a client library and shares the machine with the node. A request
// that crosses the closing of an idle connection is sent again, as every HTTP client
// does; no other is.
//
// # What it leaves behind
//
// Users are of the source restraint.load, which stands outside trust counts; those with a
// device identifier (LoadConfig.IFAPercent) are held under that, too. Their exposures stay
// in the node as long as its policy keeps any.
package loadtest
