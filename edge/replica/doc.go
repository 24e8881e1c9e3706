// Package replica makes what a node acknowledges outlive the process, and known to the other nodes: an outbox of accepted changes,
// snapshots of the counters, NATS JetStream, and a Keeper that ties them to a caps.Store. It is the only package that knows NATS.
//
//	DIR/epoch                 the epoch of the identifier secret in which this node writes (see membership_epoch.go); missing: 0
//	DIR/imported              what was imported is in no copy for other nodes yet (see copies_give.go)
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
// With a broker (NATS JetStream, embedded by default), all nodes come to the same state:
//
//   - What is recorded is in memory and in the outbox before it is acknowledged. A publisher sends the outbox to two streams, in order,
//     again and again until the broker has it: choices and erasures to RESTRAINT_REFUSALS, which has no age limit, everything else to
//     RESTRAINT_EVENTS. A segment of the outbox stays until the broker's disk has it too.
//   - Each node follows both streams, from the position that its snapshot had when it was begun. A position proves itself: it has the
//     making of the stream and the time of the last message applied. Where the stream is another, or has lost its end, it is read from its
//     first message and the outbox is sent again. Where messages went before they were applied, the node says so and is not ready, also after
//     a restart, until it has merged the snapshot of another node that has come over them, or is told to go on without (see gap.go).
//   - Nodes also listen to the subjects of the streams, so that a change is known at once, and holds travel that way only.
//   - Changes of suppression lists go through RESTRAINT_REFUSALS under a subject of their own and have a reader of their own (see Lists), which
//     this package knows nothing else of; their uploads are files in the object store, beside copies of snapshots.
//   - What stands further ahead of the broker's time than a clock may be is cut to it where it is read (see stamp), so that a clock that is wrong
//     destroys nothing elsewhere. Nodes ask one another on core NATS whether an erasure is applied (see Keeper.Erased).
//   - Export writes what a store holds for a backup, as a snapshot; Import makes a directory of it. The streams of the cluster may never have had
//     that, so the node makes a copy of it for the others before it is ready.
//   - When the broker is away, nodes go on; changes wait in the outbox, up to its size, and are then refused. An embedded one that a full
//     disk has stopped is restarted (see mender).
//
// What names people is sealed before it is written or sent, in the epoch of the identifier secret that the cluster has in use (see Seals): each
// batch and each section of a snapshot. User keys do not change with an epoch, so the store is none the wiser, and every reader opens what is of
// another epoch where it decodes it. What it cannot open it does not pass over: a start ends, a stream waits, and both say so.
//
// The package logs changes of state only, and never a key.
package replica
