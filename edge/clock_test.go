package edge

import (
	"testing"
	"time"
)

// A wall clock that steps is not followed, either way, until it is right again or the
// servers say that it is.
func TestClockSteps(t *testing.T) {
	begun := time.Now()
	// The time package has no way to make a time whose two clocks disagree but this:
	// the anchor is moved instead of the wall.
	moved := func(by time.Duration) time.Time { return begun.Round(0).Add(by) }
	for _, by := range []time.Duration{48 * time.Hour, -48 * time.Hour} {
		var c clock
		c.check(begun, time.Time{}, time.Time{})
		if _, wrong := c.wrong(); wrong || c.at(begun, 0) != uint32(begun.Unix()) {
			t.Fatal("a clock that did not step is wrong")
		}
		servers := moved(-by) // by their time, the wall clock of begun is ahead by by
		c.check(begun, begun, servers)
		if ahead, wrong := c.wrong(); !wrong || ahead != by {
			t.Errorf("ahead %v, want %v", ahead, by)
		}
		if got := c.wall(begun.Add(time.Second)); got != uint32(servers.Add(time.Second).Unix()) {
			t.Errorf("%d, want the servers' %d", got, servers.Unix())
		}
		c.check(begun.Add(time.Second), time.Time{}, time.Time{}) // the servers have gone
		if ahead, wrong := c.wrong(); !wrong || ahead != by {
			t.Errorf("without servers: ahead %v, want %v", ahead, by)
		}
		c.check(begun.Add(2*time.Second), begun, begun.Round(0)) // the wall clock was right
		if _, wrong := c.wrong(); wrong || c.wall(begun.Add(3*time.Second)) != uint32(begun.Add(3*time.Second).Unix()) {
			t.Error("a clock that the servers confirm is not believed")
		}
	}
}

// Small corrections are followed, and the clock never goes back.
func TestClockNeverBack(t *testing.T) {
	var c clock
	begun := time.Now()
	c.check(begun, time.Time{}, time.Time{})
	now := c.at(begun.Add(10*time.Second), 0)
	if got := c.at(begun, 0); got != now {
		t.Errorf("%d after %d", got, now)
	}
	c.check(begun, begun, begun.Round(0).Add(-20*time.Second))
	if _, wrong := c.wrong(); wrong || c.wall(begun) != uint32(begun.Unix()) {
		t.Error("a clock that is 20 s off is not believed")
	}
}
