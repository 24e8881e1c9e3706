package loadtest

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestZipfFollowsItsLaw(t *testing.T) {
	const n, draws = 100, 400_000
	for _, s := range []float64{0, 0.5, 0.99, 1, 1.1, 2} {
		z, r := newZipf(n, s), rand.New(rand.NewPCG(1, uint64(s*100)))
		var got [n + 1]float64
		for range draws {
			got[z.draw(r)]++
		}
		all := 0.0
		for k := 1; k <= n; k++ {
			all += math.Pow(float64(k), -s)
		}
		chi := 0.0
		for k := 1; k <= n; k++ {
			want := draws * math.Pow(float64(k), -s) / all
			chi += (got[k] - want) * (got[k] - want) / want
		}
		// 99 degrees of freedom: 149 is met by one in a thousand.
		if chi > 149 {
			t.Errorf("s=%g: chi squared %.1f", s, chi)
		}
	}
}

func TestZipfStaysInRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 1_000_000_000} {
		for _, s := range []float64{0, 0.8, 1, 3} {
			z := newZipf(n, s)
			for range 1000 {
				if k := z.draw(r); k < 1 || k > n {
					t.Fatalf("n=%d s=%g gives %d", n, s, k)
				}
			}
		}
	}
}
