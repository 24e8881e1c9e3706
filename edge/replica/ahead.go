package replica

import (
	"time"

	"restraint/caps"
)

// ahead is how many seconds a change may stand ahead of when the broker stored it. Chosen: as far as an event may stand ahead of the clock of
// the node that takes it; a node whose clock is off by a minute knows it, and goes by the servers' time.
const ahead = 5 * 60

// stamp is when the broker stored what a message brings. It is the same for everybody who reads the message, whenever that is, so all come to the same:
// the receiver's own clock would make of one change another on each node.
//
// A node whose clock is ahead, and which could not find out because it started without NATS, stamps what is to come for everybody else. What
// it sends is cut to what the broker's time allows:
//
//	exposure, purchase,
//	report               further ahead than ahead: of the second in which it was stored
//	return               the second before that, so that it undoes no purchase which is cut with it
//	erasure              further than ahead and its skew: reaches to there, and not over all that comes in years
//	choice               further than that: where it refuses something, stamped with that; where it permits, left out. An opt-out is then lost to no
//	                     permission of a clock that is wrong, and a later choice (by one more than the stamp that was seen) wins everywhere.
//
// The node that stamped it keeps it as it was: there it refuses for longer, and an erasure that another node was asked for does not reach it (see
// hasErased). Whoever stamps has to refuse to permit or erase anything while its clock was
// never compared with the servers' (edge does).
type stamp struct {
	stored caps.Second
	// heard: the message came on the subject and not by the stream, and stored is what this node believes the servers' time to be.
	heard bool
}

// unbounded lets everything pass.
var unbounded = stamp{stored: caps.Never}

// streamStamp is that of a message of a stream.
func streamStamp(stored time.Time) stamp { return stamp{stored: caps.Second(stored.Unix())} }

// heardStamp is that of a message that is heard now. Where the servers' time is not known, everything but holds waits for the stream.
func (c *cluster) heardStamp() stamp {
	if c.clock.Load() == nil {
		return stamp{heard: true}
	}
	return stamp{stored: caps.Second(c.serversNow().Unix()), heard: true}
}

// cut makes the change what the stamp allows. ok is false where it is to be left out, whole where nothing had to be changed.
func (s stamp) cut(c *caps.Change, ahead caps.Second) (ok, whole bool) {
	latest := later(s.stored, ahead)
	reach := later(latest, caps.ErasureSkew)
	switch c.Kind {
	case caps.ChangeExpose:
		if c.Exposure.At > latest {
			c.Exposure.At = s.stored
			return true, false
		}
	case caps.ChangePurchase, caps.ChangeReturn, caps.ChangeReport:
		if c.Stamp > latest {
			c.Stamp = s.stored
			if c.Kind == caps.ChangeReturn {
				c.Stamp--
			}
			return true, false
		}
	case caps.ChangeChoice:
		if reach = later(reach, 1); c.Stamp > reach { // an opt-out that an erasure leaves is stamped a second after it
			c.Stamp = reach
			return c.Value != 0, false
		}
	case caps.ChangeErase:
		if c.Until > reach {
			c.Until = reach
			return true, false
		}
	}
	return true, true
}

// later adds without wrapping round.
func later(t, seconds caps.Second) caps.Second {
	if seconds > caps.Never-t {
		return caps.Never
	}
	return t + seconds
}

// allow applies the stamp to a change of a message. ok is false where it is not to be applied; wait, where the rest of the message is to come by
// the stream: half the bound, so that what is heard passes only where it passes in the stream, though this node's idea of the time is a little off.
func (c *cluster) allow(change *caps.Change, s stamp) (ok, wait bool) {
	if s.heard {
		if change.Kind == caps.ChangeHold {
			return true, false
		}
		if s.stored == 0 {
			return false, true
		}
		_, whole := s.cut(change, c.ahead/2)
		return whole, !whole
	}
	ok, whole := s.cut(change, c.ahead)
	if !whole && c.cutShort.Add(1) == 1 {
		c.notices.add("changes of another node stand ahead of the servers' time and are cut to it; the clock of a node was wrong")
	}
	return ok, false
}
