package loadtest

import (
	"math"
	"math/rand/v2"
)

// zipf draws ranks from 1 to n with a probability in proportion to rank^-s, for any
// s >= 0; 0 draws all alike. math/rand/v2's needs s > 1, and people are less uneven.
//
// It is rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-Inversion to
// Generate Variates from Monotone Discrete Distributions", ACM TOMACS 6 (1996). No
// table; at most a few draws each. For concurrent use, each caller with its own random.
type zipf struct {
	n, s            float64
	first, last, ok float64
}

func newZipf(n int, s float64) *zipf {
	z := &zipf{n: float64(n), s: s}
	z.first = z.integral(1.5) - 1
	z.last = z.integral(z.n + 0.5)
	z.ok = 2 - z.inverse(z.integral(2.5)-math.Pow(2, -s))
	return z
}

// integral is that of x^-s, up to a constant: (x^(1-s)-1)/(1-s), and log x at s = 1.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	if t := (1 - z.s) * log; math.Abs(t) > 1e-8 {
		return math.Expm1(t) / (1 - z.s)
	}
	return log
}

func (z *zipf) inverse(y float64) float64 {
	if t := y * (1 - z.s); math.Abs(t) > 1e-8 {
		return math.Exp(math.Log1p(max(t, -1)) / (1 - z.s))
	}
	return math.Exp(y)
}

// draw returns a rank; 1 is the most frequent.
func (z *zipf) draw(r *rand.Rand) int {
	for {
		u := z.last + r.Float64()*(z.first-z.last)
		x := z.inverse(u)
		k := min(max(math.Round(x), 1), z.n)
		if k-x <= z.ok || u >= z.integral(k+0.5)-math.Pow(k, -z.s) {
			return int(k)
		}
	}
}
