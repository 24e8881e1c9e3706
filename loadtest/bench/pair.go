package main

import (
	"context"
	"slices"
)

// pair is the slices of two contestants, taken in turn: slice i of one stands beside
// slice i of the other, and which of them goes first alternates, so that a neighbour on
// the machine slows both alike.
type pair struct {
	A []sample `json:"a"`
	B []sample `json:"b"`
}

// runPair warms both up and takes the slices.
func runPair(ctx context.Context, a, b *target, z sizes) (p pair, err error) {
	var loops [2]*loop
	for i, t := range []*target{a, b} {
		if loops[i], err = openLoop(ctx, t, z.Connections); err != nil {
			return p, err
		}
		defer loops[i].close()
		if _, err := loops[i].run(ctx, z.WarmUp); err != nil {
			return p, err
		}
	}
	for turn := range z.Turns {
		var taken [2]sample
		for k := range 2 {
			at := (turn + k) % 2
			if taken[at], err = loops[at].run(ctx, z.Slice); err != nil {
				return p, err
			}
		}
		p.A, p.B = append(p.A, taken[0]), append(p.B, taken[1])
	}
	return p, nil
}

// ratios are a figure of A over that of B, turn by turn.
func (p *pair) ratios(figure func(*sample) float64) []float64 {
	r := make([]float64, len(p.A))
	for i := range r {
		r[i] = figure(&p.A[i]) / figure(&p.B[i])
	}
	return r
}

// figures are one figure of some slices.
func figures(of []sample, figure func(*sample) float64) []float64 {
	r := make([]float64, len(of))
	for i := range of {
		r[i] = figure(&of[i])
	}
	return r
}

func perSecond(s *sample) float64   { return s.PerSecond }
func p99(s *sample) float64         { return s.P99US }
func serverCPU(s *sample) float64   { return s.CPUUS }
func answerBytes(s *sample) float64 { return s.BodyBytes }

// median is the middle value, of an even number the upper of the two.
func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}
