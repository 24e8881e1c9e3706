package replica

import "time"

// ClusterStats says how a node stands to its cluster.
type ClusterStats struct {
	// Embedded: the broker is this process's own, and there are no other nodes.
	Embedded bool
	// Connected: the broker can be reached.
	Connected bool
	// Stuck, unless empty, says why the embedded server takes nothing; Restarts is how often it was restarted for that.
	Stuck    string
	Restarts uint64
	// Problem, unless empty, is why it cannot, and what to do about it.
	Problem string
	// Fault, unless empty, says why the cluster does not take this node.
	Fault string
	// ClockServers is the servers' time when the local clocks were as ClockAsked says; zero while it is not known.
	ClockAsked, ClockServers time.Time
	// EpochAwaits are the nodes that cannot read the newest epoch of the secret that this one has.
	EpochAwaits []string
	// Events and Refusals are the streams.
	Events, Refusals StreamStats
	// Lag is how long messages of other nodes took.
	Lag Lag
	// Records is how many changes of one key of other nodes, or of this one before its last start, were applied; Sent how many messages
	// were acknowledged, Resent how often all that was unanswered was sent again, Refused how often a server refused one.
	Records, Sent, Resent, Refused uint64
	// Foreign and Unusable are batches under another secret, and batches and changes that could not be applied.
	Foreign, Unusable uint64
	// Ahead is how many changes stood ahead of the servers' time and were cut to it, or left out.
	Ahead uint64
	// HoldsSent are messages, HoldsDropped holds that no other node was told of.
	HoldsSent, HoldsDropped uint64
}

// StreamStats says how far a node has come in a stream.
type StreamStats struct {
	// Next is the lowest sequence that was not applied, Behind how many messages there are from it on, as far as is known.
	Next, Behind uint64
	// Reached: the node has been at the end of the stream since its start.
	Reached bool
	// Known is until when this node knows what the others did; zero: never.
	Known time.Time
	// Gap, unless empty, says what had gone from the stream before this node applied it; it outlives a restart. GapName is what
	// BrokerOptions.AcceptGaps calls it; empty where there is nothing to accept. GapsAccepted is how many were gone on without since the start.
	Gap, GapName string
	GapsAccepted uint64
}

func (c *cluster) stats() *ClusterStats {
	fault := ""
	if err := c.refused(); err != nil {
		fault = err.Error()
	} else if c.broker.embedded == nil && c.joined.Load() && c.copier.owes.Load() {
		fault = "what was imported into this node is being copied for the other nodes"
	}
	problem := ""
	if err := c.broker.problem(); err != nil {
		problem = err.Error()
	}
	var read clockRead
	if r := c.clock.Load(); r != nil {
		read = *r
	}
	var stuck string
	var restarts uint64
	if c.mender != nil {
		stuck, restarts = c.mender.state()
	}
	return &ClusterStats{
		Stuck: stuck, Restarts: restarts, EpochAwaits: c.member.awaited(),
		ClockAsked: read.asked, ClockServers: read.servers,
		Fault: fault, Embedded: c.broker.embedded != nil, Connected: problem == "", Problem: problem,
		Events: c.events.stats(), Refusals: c.refusals.stats(),
		Lag: c.lag.read(), Records: c.records.Load(), Sent: c.senders[0].sent.Load() + c.senders[1].sent.Load(),
		Resent: c.senders[0].resent.Load() + c.senders[1].resent.Load(), Refused: c.senders[0].refused.Load() + c.senders[1].refused.Load(),
		Foreign: c.foreign.Load(), Unusable: c.unusable.Load(), Ahead: c.cutShort.Load(), HoldsSent: c.holds.sent.Load(), HoldsDropped: c.holds.dropped.Load(),
	}
}

func (f *follower) stats() StreamStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := StreamStats{Next: f.at.Next, Reached: f.reached, GapsAccepted: f.accepted}
	s.Gap, s.GapName = f.gap()
	if s.Gap == "" {
		s.Gap = f.stuck
	}
	if f.at.Known != 0 {
		s.Known = time.Unix(0, f.at.Known)
	}
	if f.looked && f.last+1 > f.at.Next {
		s.Behind = f.last + 1 - f.at.Next
	}
	return s
}
