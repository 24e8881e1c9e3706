package effect

import "math"

// Confidence is that of every interval here.
const Confidence = 0.95

// z is the standard normal deviate that 2.5 % lie above.
const z = 1.959963984540054

// Share is so many of so many: showings of decisions, clicks of impressions.
type Share struct{ Part, Whole uint64 }

// Rate is the share as a number; 0 of nothing.
func (s Share) Rate() float64 {
	if s.Whole == 0 {
		return 0
	}
	return float64(s.Part) / float64(s.Whole)
}

// Interval is what a number lies in, with the package's Confidence.
type Interval struct{ Low, High float64 }

// Wilson is the score interval of a proportion (E. B. Wilson: Probable inference, the law
// of succession, and statistical inference, JASA 22, 1927, 209-212). Of nothing it is all
// there can be. Part must not be above Whole.
func Wilson(s Share) Interval {
	if s.Whole == 0 {
		return Interval{0, 1}
	}
	n, p := float64(s.Whole), s.Rate()
	middle := 2*n*p + z*z
	reach := z * math.Sqrt(z*z+4*n*p*(1-p))
	return Interval{max(0, (middle-reach)/(2*(n+z*z))), min(1, (middle+reach)/(2*(n+z*z)))}
}

// Newcombe is the hybrid score interval of a's proportion less b's, each of independent
// trials (R. G. Newcombe: Interval estimation for the difference between independent
// proportions, Statistics in Medicine 17, 1998, 873-890, method 10). Part must not be
// above Whole.
func Newcombe(a, b Share) Interval {
	p, q, u, v := a.Rate(), b.Rate(), Wilson(a), Wilson(b)
	return Interval{
		Low:  p - q - math.Hypot(p-u.Low, v.High-q),
		High: p - q + math.Hypot(u.High-p, q-v.Low),
	}
}
