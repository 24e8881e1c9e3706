package edge

import (
	"errors"
	"fmt"
	"io"
	"time"

	"restraint/caps"
)

// Keeper keeps what a node has acknowledged, so that it outlives the process. Its
// methods may be called concurrently.
type Keeper interface {
	// Restore joins what was kept into an empty store, before the node answers.
	Restore(*caps.Store) error
	// Record keeps the changes and makes them in the store that was restored. On an
	// error none that counts a showing was made, and all may be recorded again.
	Record([]caps.Change) error
	// Hold tells other nodes of the places that a decision holds in the store; each
	// change is a caps.ChangeHold. It returns at once and keeps nothing of them.
	Hold([]caps.Change)
	// Export writes all that was recorded before, and some of what is meanwhile, for a backup. No lock of the store is held while w waits.
	Export(w io.Writer) error
	// Kept says what is kept where.
	Kept() Kept
}

// Kept is the state of a Keeper.
type Kept struct {
	OutboxBytes int64
	// OutboxOldest is the age of the oldest change that only this node's disk has.
	OutboxOldest time.Duration
	SnapshotAge  time.Duration
	Notices      uint64 // files found damaged and the like; each is logged
	// Incomplete: something acknowledged could not be read when the node started.
	Incomplete bool
	// Replication is how the node stands to the others. Nil: it has no broker.
	Replication *Replication
}

// Replication is how a node stands to its broker and to the other nodes.
type Replication struct {
	// Broker is "embedded" or "cluster".
	Broker    string `json:"broker"`
	Connected bool   `json:"connected"`
	// Problem says why it is not connected, and what to do about it.
	Problem string `json:"problem,omitempty"`
	// Degraded: the broker could not be reached since the start, so that the node
	// knows of the others what its snapshot does.
	Degraded bool `json:"degraded"`
	// BrokerStuck says why the embedded broker takes nothing; it is restarted by itself
	// when it can be, and BrokerRestarts counts that.
	BrokerStuck    string `json:"broker_stuck,omitempty"`
	BrokerRestarts uint64 `json:"broker_restarts"`
	// Fault says why the cluster does not take this node.
	Fault    string `json:"fault,omitempty"`
	Events   Stream `json:"events"`
	Refusals Stream `json:"refusals"`
	// ClockServers is the servers' time when the local clocks were as ClockAsked says
	// (the monotonic one too); zero while it is not known.
	ClockAsked time.Time `json:"-"`
	// EpochAwaits are the nodes that cannot read the newest epoch of the secret that
	// this one has, which keeps the cluster from going over to it.
	EpochAwaits  []string  `json:"-"`
	ClockServers time.Time `json:"-"`
	// Lag is how long messages of other nodes took, see its buckets; nil: it is not known.
	Lag *Lag `json:"-"`
	// AppliedRecords are changes of one key that came from other nodes. SentMessages
	// were acknowledged; Resent is how often what was not had to be sent again, and
	// Refused how often a server refused a message.
	AppliedRecords uint64 `json:"applied_records"`
	SentMessages   uint64 `json:"sent_messages"`
	Resent         uint64 `json:"resent"`
	Refused        uint64 `json:"refused"`
	// ForeignBatches are of nodes with another secret, Unusable what could not be read
	// or applied.
	ForeignBatches uint64 `json:"foreign_batches"`
	Unusable       uint64 `json:"unusable"`
	// Ahead is how many changes of other nodes stood ahead of the servers' time and were
	// cut to it, or left out: the clock of a node was wrong.
	Ahead uint64 `json:"ahead"`
	// HoldMessages were sent; HoldsDropped are holds no other node was told of.
	HoldMessages uint64 `json:"hold_messages"`
	HoldsDropped uint64 `json:"holds_dropped"`
}

// Lag is how long messages took from when the broker stored them until they were applied:
// a histogram.
type Lag struct {
	Bounds []float64 // seconds, ascending: the most of each bucket but the last, which has none
	Counts []uint64  // messages in each bucket; one more than bounds
	Sum    float64   // seconds, of all of them
}

// Stream is how far a node has come in a stream.
type Stream struct {
	// Next is the lowest sequence that was not applied, Behind how many messages the
	// stream has from it on, as far as is known.
	Next   uint64 `json:"next"`
	Behind uint64 `json:"behind"`
	// Reached: the node has been at its end since it started.
	Reached bool `json:"reached"`
	// Known is until when the node knows what the others did; zero: never.
	Known time.Time `json:"known_until,omitzero"`
	// Gap says what had gone from the stream before it was applied here, and GapName
	// how to name it in ready.accept_gap; GapsAccepted counts those since the start.
	Gap          string `json:"gap,omitempty"`
	GapName      string `json:"gap_name,omitempty"`
	GapsAccepted uint64 `json:"gaps_accepted"`
}

// ready says whether the node knows of the others what it must to decide for them,
// and what is wrong. Once it has, it stays so when the broker goes away; a node that
// starts without the broker goes by its snapshot, as long as that is not too old.
func (r *Replication) ready(s *Stream, now time.Time, maxStale time.Duration) (ok bool, detail string) {
	switch {
	case s.Gap != "":
		return false, s.gap("ready again by itself once the copy of a node that has them is merged")
	case s.Reached:
		return true, ""
	case r.Connected:
		return false, fmt.Sprintf("%d messages behind", s.Behind)
	case s.Known.IsZero():
		return false, r.away() + ", and there is no snapshot to go by"
	}
	if stale := now.Sub(s.Known); stale > maxStale {
		return false, fmt.Sprintf("%s, and the snapshot is %s old; ready.max_stale allows %s", r.away(), stale.Round(time.Second), maxStale)
	}
	return true, "degraded: " + r.away() + "; what other nodes did since the snapshot is not known"
}

func (r *Replication) away() string {
	if r.Problem == "" {
		return "NATS cannot be reached"
	}
	return "NATS cannot be reached (" + r.Problem + ")"
}

// gap says what is missing, and how it ends: by itself, or by accepting it.
func (s *Stream) gap(byItself string) string {
	if s.GapName == "" {
		return s.Gap
	}
	return fmt.Sprintf("gap: %s: %s; where no node has them, restart with ready.accept_gap: %q to go on without them for good", s.Gap, byItself, s.GapName)
}

// broker is the condition of the broker. The node stays ready without it, as it does
// when NATS is away: decisions go on, and events wait in the outbox.
func (r *Replication) broker() condition {
	c := condition{Name: "broker", Ready: true}
	if r.BrokerStuck != "" {
		c.Detail = "degraded: the embedded NATS server is stuck, and restarted when its disk has room: " + r.BrokerStuck
	}
	return c
}

// unkept is the Keeper of a node that keeps nothing: for replays, whose state is made
// anew each time.
type unkept struct{ store *caps.Store }

func (u *unkept) Restore(s *caps.Store) error {
	u.store = s
	return nil
}

func (u *unkept) Record(changes []caps.Change) error {
	for _, refusals := range [...]bool{true, false} {
		for i := range changes {
			if changes[i].Kind.Refuses() != refusals {
				continue
			}
			if err := u.store.Apply(&changes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *unkept) Hold([]caps.Change) {}

func (u *unkept) Export(io.Writer) error { return errUnkept }

var errUnkept = errors.New("a node under the requests' clock keeps nothing past the process, so there is nothing to export")

func (u *unkept) Kept() Kept { return Kept{} }
