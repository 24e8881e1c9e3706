package suppress

import (
	"fmt"
	"math"
	"time"
)

// A member may leave by itself, at a second that its upload or its addition gave.
// The second is compared with the now of the look-up, so all nodes agree. In
// memory a second of leaving is never 0: who stays leaves at never.
const never = math.MaxUint32

// keepLeft is for how many seconds members that have left stay in the files, for
// clocks that are set back: a day (chosen). They go with the next fold or Forget after that.
const keepLeft = 24 * 60 * 60

// MaxUntil is how far ahead Import.Until may be (chosen: ten years). What is
// further away is a mistake, such as milliseconds for seconds.
const MaxUntil = 3653 * 24 * time.Hour

// leavesAt is an until as it is compared: 0 stands for never there.
func leavesAt(until uint32) uint32 {
	if until == 0 {
		return never
	}
	return until
}

// untilOf is the other way round.
func untilOf(leaves uint32) uint32 {
	if leaves == never {
		return 0
	}
	return leaves
}

// checkUntil refuses an Import.Until that cannot be meant.
func checkUntil(until uint32, now time.Time, removes bool) error {
	at := time.Unix(int64(until), 0).UTC()
	switch {
	case until == 0:
		return nil
	case removes:
		return fmt.Errorf("%w: until %s is for members that are added; who is removed has left: leave it out", ErrImport, at.Format(time.RFC3339))
	case !at.After(now):
		return fmt.Errorf("%w: until %d is %s, which is past: nobody would be a member; give a later time, or leave it out for members that stay",
			ErrImport, until, at.Format(time.RFC3339))
	case until == never || at.Sub(now) > MaxUntil:
		return fmt.Errorf("%w: until %d is %s, more than ten years ahead; leave it out for members that stay", ErrImport, until, at.Format(time.RFC3339))
	}
	return nil
}

// past is the second by which a member has to have left to go from the files.
func (s *Store) past() uint32 {
	return uint32(min(never-1, max(0, s.o.Now().Unix()-keepLeft)))
}

// member is a key of a generation and the second at which it leaves.
type member struct {
	pair
	leaves uint32
}

// memberStream gives members by ascending key, each key once, then false.
type memberStream interface {
	nextMember() (member, bool, error)
}

// staying are keys that leave together.
type staying struct {
	keys   keyStream
	leaves uint32
}

func (s *staying) nextMember() (member, bool, error) {
	p, ok, err := s.keys.next()
	return member{p, s.leaves}, ok, err
}
