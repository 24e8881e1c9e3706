package suppress_test

import (
	"math"
	"math/rand/v2"
	"time"

	"restraint/suppress"
)

// never is the second at which a member leaves that stays.
const never = math.MaxUint32

// modelChange is the model's whole history of a list: it drops nothing.
type modelChange struct {
	seq    uint64
	op     suppress.Op
	ids    []int
	leaves uint32
}

// modelBase is an upload and the sequence at which it started.
type modelBase struct {
	ids    map[int]bool
	start  uint64
	leaves uint32
}

type modelList struct {
	cur, prev *modelBase
	changes   []modelChange
}

// members says who is a member at a second: by the latest of the upload and the
// additions since it and since the last removal.
func (m *modelList) members(now uint32) map[int]bool {
	start := uint64(0)
	leaves := make(map[int]uint32)
	if m.cur != nil {
		start = m.cur.start
		for id := range m.cur.ids {
			leaves[id] = m.cur.leaves
		}
	}
	removed := make(map[int]uint64)
	for _, c := range m.changes {
		for _, id := range c.ids {
			if c.seq > start && c.op == suppress.Remove {
				removed[id] = max(removed[id], c.seq)
				leaves[id] = 0
			}
		}
	}
	for _, c := range m.changes {
		for _, id := range c.ids {
			if c.seq > start && c.op == suppress.Add && c.seq >= removed[id] {
				leaves[id] = max(leaves[id], c.leaves)
			}
		}
	}
	out := make(map[int]bool)
	for id, at := range leaves {
		if at > now {
			out[id] = true
		}
	}
	return out
}

// testClock is a clock that stands until it is set forward, and what is asked of it.
type testClock struct{ at int64 }

func newTestClock() *testClock { return &testClock{1_790_000_000} }

func (c *testClock) now() time.Time { return time.Unix(c.at, 0) }

// until is a second to leave at, at times: soon, or in days.
func (c *testClock) until(rng *rand.Rand) uint32 {
	switch rng.IntN(6) {
	case 0, 1:
		return uint32(c.at) + 1 + rng.Uint32N(20)
	case 2:
		return uint32(c.at) + 1 + rng.Uint32N(5*24*3600)
	}
	return 0
}

// pass lets some seconds pass, or days.
func (c *testClock) pass(rng *rand.Rand) {
	c.at += rng.Int64N(8)
	if rng.IntN(8) == 0 {
		c.at += rng.Int64N(3 * 24 * 3600)
	}
}

// leavesAt is the second that an until stands for.
func leavesAt(until uint32) uint32 {
	if until == 0 {
		return never
	}
	return until
}
