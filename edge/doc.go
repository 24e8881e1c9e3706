// Package edge is the node: it reads a request, judges each candidate and
// answers show or skip.
//
// The decision itself (decide.go) is a pure function of the request, the
// person's records, the lists, the policy and one second called now. It does no
// I/O (one exception: a list declared `exact: true` settles a filter hit in its
// key file), reads no clock, allocates nothing and logs nothing. Everything that
// may wait stands around it: the HTTP servers (server.go), the bid paths (bid.go,
// events.go), the same without HTTP for ad servers in Go (inprocess.go), the page behind a token with its buttons (why.go, hide.go), the admin
// paths (admin_*.go), what people ask (people.go, lookup.go, erasure.go,
// preferences.go, retention.go) and the files of a node.
//
// What people report about campaigns (listen.go) is a set that is kept and shared beside
// the counters; by it campaigns are dialled back (dial.go, dial_judge.go, rule_dial.go),
// until a human releases them (dial_admin.go).
//
// What happened is counted (tally.go, counting*.go) in package traffic's books, shared as
// package shared's joined documents, and reported (report*.go).
//
// Who may use which path once keys are configured is one table (matrix.go), and
// access.go asks it before a path is routed; the keys are package access's.
//
// The package imports caps and suppress for the state, edge/policy for the
// rules, edge/identity for keys and tokens and edge/openrtb for the wire. It
// knows nothing of replication.
package edge
