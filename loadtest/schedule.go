package loadtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Shapes of a schedule.
const (
	ShapeConstant = "constant" // the rate
	ShapeStep     = "step"     // five steps of equal length, up to the rate
	ShapeRamp     = "ramp"     // evenly up to the rate
	ShapeSpike    = "spike"    // the rate, and in the middle tenth a spike
	ShapeSoak     = "soak"     // a slow start, then the rate for the rest
)

// Arrivals within a schedule.
const (
	ArrivalsEven    = "even"    // the same time between two
	ArrivalsPoisson = "poisson" // independent of one another, as of many people
)

// Chosen: what a schedule does where the flags do not say.
const (
	scheduleSteps = 5
	slowStart     = time.Minute // of a soak, at most a tenth of it
)

// segmentsOf is the schedule of a shape. from is where a step or ramp begins, spike
// the rate of a spike; both are requests per second, as rate is.
func segmentsOf(shape string, rate, from, spike float64, length time.Duration) ([]Segment, error) {
	s := length.Seconds()
	switch shape {
	case ShapeConstant:
		return []Segment{{s, rate, rate}}, nil
	case ShapeRamp:
		return []Segment{{s, from, rate}}, nil
	case ShapeStep:
		steps := make([]Segment, scheduleSteps)
		for i := range steps {
			r := from + (rate-from)*float64(i)/(scheduleSteps-1)
			steps[i] = Segment{s / scheduleSteps, r, r}
		}
		return steps, nil
	case ShapeSpike:
		return []Segment{{0.45 * s, rate, rate}, {0.1 * s, spike, spike}, {0.45 * s, rate, rate}}, nil
	case ShapeSoak:
		slow := min(slowStart.Seconds(), s/10)
		return []Segment{{slow, 0, rate}, {s - slow, rate, rate}}, nil
	}
	return nil, fmt.Errorf("schedule %q: want constant, step, ramp, spike or soak", shape)
}

// arrivals are the intended send times of a schedule, one after another. They are a
// function of the segments, the kind and the seed alone. Not for concurrent use.
//
// The n-th arrival is when the integral of the rate reaches n; with random, when it
// reaches the sum of n exponential draws of mean 1, which is a Poisson process of
// that rate (the time change of D. Cox and P. Lewis, "The Statistical Analysis of Series
// of Events", 1966).
type arrivals struct {
	segments []Segment
	random   *rand.Rand // nil: even

	at      int     // segment
	begun   float64 // seconds before it
	before  float64 // expected arrivals before it
	reached float64 // of the next arrival
}

func newArrivals(segments []Segment, kind string, seed uint64) *arrivals {
	a := &arrivals{segments: segments}
	if kind == ArrivalsPoisson {
		a.random = rand.New(rand.NewPCG(seed, 0xA441))
		a.reached = a.random.ExpFloat64()
	}
	return a
}

// next returns the next intended send time, from the schedule's beginning; false after
// the last.
func (a *arrivals) next() (time.Duration, bool) {
	for a.at < len(a.segments) {
		s := &a.segments[a.at]
		expected := s.Seconds * (s.From + s.To) / 2
		if more := a.reached - a.before; more < expected {
			// From from·x + (to-from)/(2·seconds)·x² = more, in the form that neither
			// divides by a slope of zero nor cancels.
			slope := (s.To - s.From) / s.Seconds
			x := 0.0
			if more > 0 {
				x = 2 * more / (s.From + math.Sqrt(s.From*s.From+2*slope*more))
			}
			if a.random != nil {
				a.reached += a.random.ExpFloat64()
			} else {
				a.reached++
			}
			return time.Duration((a.begun + min(x, s.Seconds)) * 1e9), true
		}
		a.before += expected
		a.begun += s.Seconds
		a.at++
	}
	return 0, false
}
