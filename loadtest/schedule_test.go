package loadtest

import (
	"math"
	"slices"
	"testing"
	"time"
)

func all(segments []Segment, kind string, seed uint64) (at []time.Duration) {
	a := newArrivals(segments, kind, seed)
	for t, ok := a.next(); ok; t, ok = a.next() {
		at = append(at, t)
	}
	return at
}

func mustSegments(t *testing.T, shape string, rate, from, spike float64, length time.Duration) []Segment {
	t.Helper()
	s, err := segmentsOf(shape, rate, from, spike, length)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScheduleConstant(t *testing.T) {
	at := all(mustSegments(t, ShapeConstant, 1000, 0, 0, 3*time.Second), ArrivalsEven, 1)
	if len(at) != 3000 {
		t.Fatalf("%d arrivals", len(at))
	}
	for i, due := range at {
		if want := time.Duration(i) * time.Millisecond; (due - want).Abs() > time.Microsecond {
			t.Fatalf("arrival %d is due at %v", i, due)
		}
	}
}

// within counts the arrivals in a part of the time.
func within(at []time.Duration, from, to time.Duration) (n int) {
	for _, t := range at {
		if t >= from && t < to {
			n++
		}
	}
	return n
}

func TestScheduleShapes(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		shape    string
		from, to time.Duration
		want     int // arrivals in that part of 100 seconds at 100 a second, from 10, spike 300
	}{
		{ShapeRamp, 0, 100 * s, 5500},
		{ShapeRamp, 0, 50 * s, 50*10 + 50*45/2},
		{ShapeStep, 0, 20 * s, 200},
		{ShapeStep, 20 * s, 40 * s, 650},
		{ShapeStep, 80 * s, 100 * s, 2000},
		{ShapeSpike, 0, 45 * s, 4500},
		{ShapeSpike, 45 * s, 55 * s, 3000},
		{ShapeSpike, 55 * s, 100 * s, 4500},
		{ShapeSoak, 0, 10 * s, 500},
		{ShapeSoak, 10 * s, 100 * s, 9000},
	} {
		segments := mustSegments(t, c.shape, 100, 10, 300, 100*s)
		if got := lengthOf(segments); (got - 100*s).Abs() > time.Microsecond {
			t.Errorf("%s takes %v", c.shape, got)
		}
		at := all(segments, ArrivalsEven, 1)
		if got := within(at, c.from, c.to); got < c.want-1 || got > c.want+1 {
			t.Errorf("%s from %v to %v: %d arrivals, want %d", c.shape, c.from, c.to, got, c.want)
		}
		if !slices.IsSorted(at) || at[len(at)-1] >= 100*s+time.Microsecond {
			t.Errorf("%s: not in order, or the last at %v", c.shape, at[len(at)-1])
		}
		// Five standard deviations of a Poisson count.
		random := within(all(segments, ArrivalsPoisson, 7), c.from, c.to)
		if off := math.Abs(float64(random - c.want)); off > 5*math.Sqrt(float64(c.want)) {
			t.Errorf("%s from %v to %v: %d random arrivals, want about %d", c.shape, c.from, c.to, random, c.want)
		}
	}
	if _, err := segmentsOf("sine", 1, 1, 1, s); err == nil {
		t.Error("a shape that is not there is taken")
	}
}

// Times between Poisson arrivals are exponential: their mean is their deviation. Even
// ones have none.
func TestSchedulePoisson(t *testing.T) {
	segments := mustSegments(t, ShapeConstant, 1000, 0, 0, 60*time.Second)
	at := all(segments, ArrivalsPoisson, 3)
	var sum, squares float64
	for i := 1; i < len(at); i++ {
		gap := (at[i] - at[i-1]).Seconds()
		sum, squares = sum+gap, squares+gap*gap
	}
	n := float64(len(at) - 1)
	mean := sum / n
	deviation := math.Sqrt(squares/n - mean*mean)
	if math.Abs(mean*1000-1) > 0.03 || math.Abs(deviation/mean-1) > 0.03 {
		t.Errorf("mean %g s, deviation %g s", mean, deviation)
	}
	if !slices.Equal(at, all(segments, ArrivalsPoisson, 3)) {
		t.Error("the same seed gives another schedule")
	}
	if slices.Equal(at, all(segments, ArrivalsPoisson, 4)) {
		t.Error("the seed does not matter")
	}
}

func TestScheduleOfNothing(t *testing.T) {
	if at := all([]Segment{{Seconds: 5}}, ArrivalsEven, 1); len(at) != 0 {
		t.Errorf("a rate of 0 gives %d arrivals", len(at))
	}
	if at := all([]Segment{{Seconds: 2, From: 4, To: 0}}, ArrivalsEven, 1); len(at) != 4 || at[0] != 0 {
		t.Errorf("down to nothing: %v", at)
	}
}

// lengthOf is how long a schedule takes.
func lengthOf(segments []Segment) time.Duration {
	seconds := 0.0
	for _, s := range segments {
		seconds += s.Seconds
	}
	return time.Duration(seconds * 1e9)
}
