package faults

import (
	"math/rand/v2"
	"time"
)

// planned is one fault of a schedule.
type planned struct {
	fault int           // which of those that there are
	after time.Duration // from the end of the one before, or from the beginning
	lasts time.Duration
}

// schedule draws faults until they fill the time: a pure function of its random source. Each of the faults comes once before any comes
// again, in a new order each time, so that a short schedule has them all as soon as it can.
func schedule(random *rand.Rand, faults int, length time.Duration) (s []planned) {
	var left []int
	for at := time.Duration(0); at < length; {
		if len(left) == 0 {
			left = random.Perm(faults)
		}
		p := planned{
			fault: left[0],
			after: time.Duration(random.Int64N(int64(300 * time.Millisecond))),
			lasts: 100*time.Millisecond + time.Duration(random.Int64N(int64(1500*time.Millisecond))),
		}
		left = left[1:]
		at += p.after + p.lasts
		s = append(s, p)
	}
	return s
}
