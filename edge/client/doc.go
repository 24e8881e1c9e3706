// Package client is how an ad server in Go asks a node, and tells it what happened.
//
// A client is made once and used by all goroutines. It keeps connections open to each
// node it is given, spreads calls over the nodes that answer, and leaves alone for a
// moment those that do not:
//
//   - refused, cut off, not ready (503), not to be believed or not a node at all: the next node is asked within the same
//     deadline, and this one is passed over for 0.2 s, doubled up to 2 s, as long as
//     another is left;
//   - three timeouts in a row: the same, and then one call at a time tries it, so that
//     a node that hangs costs one caller its deadline and not all of them;
//   - over the key's rate (429): the next node is asked, since each has a rate of its own.
//
// No call takes longer than its deadline. A context is looked at before each attempt, and
// its deadline binds; a cancellation while a node is being waited for is noticed at the
// deadline.
//
// # When nobody decides
//
// Decide always returns an answer with a verdict for each candidate. When no node has
// decided, its FailSafe is true, the error is an *Error that says why, and the verdict is
// that of Options.OnFailure: Skip, or Show for an ad server that rather shows uncapped
// than not at all. Show is for nodes that are away, late, busy or failing. A fault of the
// caller (a wrong request, a wrong key, a wrong address, a certificate that does not fit) and an answer that is not wholly
// the answer to this request are skips whatever OnFailure says: the first would show
// uncapped for as long as nobody mends it, and the second says nothing at all.
//
// # What is sent twice
//
// A decide whose answer was lost is asked again. It counts nothing; with Hold, places
// that the lost answer held stay taken until the campaign's hold time ends, which can
// skip, never show.
//
// An event with an ID or a token is the same event however often it comes, so a report
// of such events is sent again. One without either would be counted again: a report with
// such an event is sent again only when no node can have taken it, because it was never
// sent or was refused whole (429, 503). Else Error.Sent says that it may have been taken.
//
// # TLS
//
// A node with TLS is https://host:port among the addresses. A new connection costs a
// handshake within the call's deadline, a short one where a session is known; connections
// stay open, so that few calls pay it.
//
// The package links none of the node: no NATS, no counters, no policy. Of fasthttp it uses
// the reader of responses; connections, deadlines and what is sent again are its own,
// because fasthttp's HostClient does not tell whether a request has left, and leaves a
// goroutine behind when it is closed. The client starts no goroutine.
package client
