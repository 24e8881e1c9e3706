package plot

import "math"

// Fit sets the ends of both axes, so that everything that is drawn lies between them: on
// round figures, from 0 on where an axis is not logarithmic. X of quantiles and of
// seconds ends where the figures end.
func (c *Chart) Fit() {
	c.Lines, c.Marks = append([]Line{}, c.Lines...), append([]Mark{}, c.Marks...) // in JSON a list, if an empty one
	xs, ys := append([]float64(nil), c.At...), []float64(nil)
	for _, line := range c.Lines {
		for _, v := range line.Values {
			if !v.IsNone() {
				ys = append(ys, float64(v))
			}
		}
	}
	for _, m := range c.Marks {
		if m.OnX {
			xs = append(xs, m.At)
		} else {
			ys = append(ys, m.At)
		}
	}
	c.X.fit(xs, c.X.Unit == Plain, false)
	c.Y.fit(ys, true, true)
}

// headroom keeps the highest figure off the edge.
const headroom = 1.02

// fit sets the ends for figures; round says whether they must be round, zero whether 0
// must lie between them where they are not logarithmic.
func (a *Axis) fit(figures []float64, round, zero bool) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range figures {
		if !a.Log || v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high { // nothing to draw
		low, high = 1, 10
	}
	if !a.Log {
		a.From, a.To = low, high
		if zero {
			a.From, a.To = min(low, 0), max(high, 0)
		}
		if a.From == a.To {
			a.To = a.From + 1
		}
		if round {
			step := roundStep(a.To-a.From, 8)
			a.From, a.To = math.Floor(a.From/step)*step, math.Ceil(a.To*headroom/step)*step
		}
		return
	}
	a.From, a.To = low, high
	if round {
		a.From, a.To = below125(low), above125(high)
	}
	if a.From == a.To {
		a.To = a.From * 10
	}
}

// roundStep is 1, 2 or 5 times a power of ten, such that about n steps make up span.
func roundStep(span float64, n int) float64 {
	step := span / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(step)))
	switch part := step / power; {
	case part <= 1:
		return power
	case part <= 2:
		return 2 * power
	case part <= 5:
		return 5 * power
	}
	return 10 * power
}

// almost makes up for what powers of ten lose.
const almost = 1 + 1e-9

// below125 is the greatest of 1, 2 and 5 times a power of ten that is not above v.
func below125(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, by := range []float64{10, 5, 2} {
		if by*power <= v*almost {
			return by * power
		}
	}
	return power
}

// above125 is the least of 1, 2 and 5 times a power of ten that is not below v.
func above125(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, by := range []float64{1, 2, 5} {
		if by*power*almost >= v {
			return by * power
		}
	}
	return 10 * power
}

// place is where a figure lies between the ends, from 0 to 1.
func (a *Axis) place(v float64) float64 {
	if a.Log {
		return math.Log(v/a.From) / math.Log(a.To/a.From)
	}
	return (v - a.From) / (a.To - a.From)
}

// ticks are the figures written at the axis, rising: of a logarithmic one the powers of
// ten, with 2 and 5 times them where those are few.
func (a *Axis) ticks() (at []float64) {
	if !a.Log {
		step := roundStep(a.To-a.From, 6)
		for i := math.Ceil(a.From/step/almost - 1e-9); i*step <= a.To*almost; i++ {
			at = append(at, i*step)
		}
		return at
	}
	parts := []float64{1}
	if decades := math.Log10(a.To / a.From); decades < 2.5 {
		parts = []float64{1, 2, 5}
	}
	for power := math.Pow(10, math.Floor(math.Log10(a.From*almost))); power <= a.To*almost; power *= 10 {
		for _, by := range parts {
			if v := by * power; v*almost >= a.From && v <= a.To*almost {
				at = append(at, v)
			}
		}
	}
	return at
}
