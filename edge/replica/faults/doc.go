// Package faults is the fault suite: it starts real nodes, puts its own TCP proxy between them and NATS, loads them, breaks things by a
// seeded schedule, and compares what the nodes say afterwards with what they had acknowledged.
//
//	go test ./edge/replica/faults                          the parts of the suite itself; the scenarios are skipped, and say so
//	go test ./edge/replica/faults -faults                  all scenarios, the short form: make faults
//	go test ./edge/replica/faults -faults -seed 7          the same choices again; a failure prints its seed
//	go test ./edge/replica/faults -faults -duration 30m    the long form: make faults-long DURATION=30m
//
// It knows the nodes by their HTTP interface, their command line and the files in their folder, and imports none of their code: a suite that
// shares the code shares the bug. A seed fixes what is sent and which faults come in which order; how they fall together in time is the
// machine's, so a seed that fails may have to be run more than once.
//
// The parts:
//
//	proxy.go      a TCP proxy that holds, swallows, delays, resets and refuses, and counts what it did
//	process_test.go, node_test.go, broker_test.go   processes: start, kill -9, stop, go on
//	cluster_test.go, streams_test.go   nodes with one server or three; how the servers see their streams: leaders, copies, what has gone
//	certificates_test.go   an authority and its certificates, for TLS
//	workload.go   what is sent: seeded, with doubled, late and reordered events
//	history.go    what was sent and what came of it: acknowledged, refused, or unknown
//	check.go      what must hold of the answers, each check with its source
//	schedule.go   which fault comes when
//
// Every scenario asserts that its fault took place: a run without its fault proves nothing. FAULTS.md beside this package lists the
// scenarios, and the bugs that were found.
package faults
