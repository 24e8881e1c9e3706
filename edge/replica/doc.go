// Package replica makes what a node acknowledges outlive the process: an outbox of accepted changes, snapshots of the counters, and a
// Keeper that ties the two to a caps.Store.
//
//	DIR/lock                  locked (flock) by the process that uses the directory
//	DIR/outbox/N.seg          accepted changes, in the order in which they were accepted: batches (see batch.go), nothing between them
//	DIR/outbox/N-OFFSET.damaged  what could not be read of a segment, set aside
//	DIR/snapshots/N.snap      what the store held (see snapshot.go); the newest two are kept
//	DIR/snapshots/N.snap.damaged  one that does not verify, set aside
//
// A change is acknowledged once write(2) has returned: it is then the kernel's and outlives kill -9 of this process, not a loss of power.
// Segments and snapshots are synced when a snapshot is taken.
//
// Everything rests on one property of package caps: every change is a merge. A snapshot may be taken while changes go on, changes that a
// snapshot has already may be replayed over it, and a batch may be read twice.
//
//   - A snapshot records the end of the outbox before its first record is copied. Every change in the outbox before that place was
//     in the store by then: Record keeps its place (Keeper.gate) from before it writes until after it has applied. So a snapshot and the
//     outbox from its place on are everything that was acknowledged.
//   - A segment goes once it lies wholly before the place of the snapshot before the last. So the last snapshot may turn out damaged
//     and nothing is lost.
//   - A process never appends to a segment of another: each start begins a new one, after the last and after the place of every
//     snapshot. So a place in a snapshot never comes to mean other changes, also where a loss of power took the end of the outbox.
//
// The package logs changes of state only, and never a key.
package replica
