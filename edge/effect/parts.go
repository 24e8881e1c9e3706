package effect

import "math"

// LeastParts is how many parts of each group something must have happened in for the
// interval of the parts. Chosen: with fewer, the deviate of so few degrees of freedom is
// most of its width.
const LeastParts = 8

// RandomGroups is the interval of a's rate less b's, where each is given by parts that
// were drawn by lot: the method of random groups (K. M. Wolter: Introduction to Variance
// Estimation, 2nd ed. 2007, chapter 2) for a ratio of sums (W. G. Cochran: Sampling
// Techniques, 3rd ed. 1977, section 6.3), with Welch's degrees of freedom (Biometrika
// 34, 1947, 28-35). Rates may be above 1. false: there are too few parts.
func RandomGroups(a, b []Share) (Interval, bool) {
	x, y := spreadOf(a), spreadOf(b)
	if x.parts < LeastParts || y.parts < LeastParts {
		return Interval{}, false
	}
	variance := x.variance + y.variance
	if variance == 0 {
		return Interval{x.rate - y.rate, x.rate - y.rate}, true
	}
	freedom := variance * variance / (x.variance*x.variance/float64(x.parts-1) + y.variance*y.variance/float64(y.parts-1))
	reach := student(freedom) * math.Sqrt(variance)
	return Interval{x.rate - y.rate - reach, x.rate - y.rate + reach}, true
}

// spread is a rate with how sure it is.
type spread struct {
	rate, variance float64
	parts          int // in which there is anything
}

func spreadOf(parts []Share) (s spread) {
	sum := Sum(parts)
	s.rate = sum.Rate()
	for _, part := range parts {
		if part.Whole > 0 {
			s.parts++
		}
		off := float64(part.Part) - s.rate*float64(part.Whole)
		s.variance += off * off
	}
	if s.parts > 1 {
		whole := float64(sum.Whole)
		s.variance *= float64(s.parts) / float64(s.parts-1) / whole / whole
	}
	return s
}

// Sum is all parts together.
func Sum(parts []Share) (all Share) {
	for _, part := range parts {
		all.Part += part.Part
		all.Whole += part.Whole
	}
	return all
}

// student is the deviate of Student's t that 2.5 % lie above, for at least LeastParts-1
// degrees of freedom: within 0.001 (Abramowitz and Stegun: Handbook of Mathematical
// Functions, 26.7.5).
func student(freedom float64) float64 {
	const z2 = z * z
	n := freedom
	return z + z*(z2+1)/(4*n) + z*((5*z2+16)*z2+3)/(96*n*n) + z*(((3*z2+19)*z2+17)*z2-15)/(384*n*n*n) +
		z*((((79*z2+776)*z2+1482)*z2-1920)*z2-945)/(92160*n*n*n*n)
}
