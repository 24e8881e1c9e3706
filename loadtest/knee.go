package loadtest

import (
	"context"
	"fmt"
	"math"
)

// How the knee is looked for. Chosen.
const (
	kneeFactor    = 1.5  // from one rate to the next, up or down, until one passes and one fails
	kneePrecision = 0.05 // of the rate, between the best that passed and what failed
	kneeSteps     = 40   // at most
	kneeTries     = 3    // of a rate, until one passes
)

// findKnee raises the rate until an objective breaks, then halves the distance. A rate
// counts as broken when it did not pass in three tries: on a machine with other work,
// one bad second breaks any.
func (l *loader) findKnee(ctx context.Context) (*Report, error) {
	k := &Knee{LimitedBy: "steps", Steps: []KneeStep{}}
	var best, first *Report
	rate := l.options.Config.Rate
	for len(k.Steps) < kneeSteps {
		r, err := l.tryRate(ctx, k, rate)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = r
		}
		if r.CutShort != "" {
			k.LimitedBy = "interrupted"
			break
		}
		if r.Outcome == OutcomePass {
			best, k.Rate = r, rate
		} else {
			k.BrokeAt = rate
			k.LimitedBy = "slo"
			if r.Outcome == OutcomeInvalid {
				k.LimitedBy = "generator"
			}
		}
		if k.Rate > 0 && k.BrokeAt > 0 && k.BrokeAt-k.Rate <= kneePrecision*k.Rate || k.BrokeAt > 0 && k.BrokeAt < 1 || k.Rate >= mostRate {
			break
		}
		rate = math.Round(k.next()*10) / 10
	}
	out := best
	if out == nil {
		out = first
	}
	out.Knee = k
	if k.LimitedBy == "interrupted" && out.CutShort == "" {
		out.CutShort = "interrupted while the knee was looked for"
	}
	return out, nil
}

// next is the rate to try after the last.
func (k *Knee) next() float64 {
	switch {
	case k.BrokeAt == 0:
		return min(k.Rate*kneeFactor, mostRate)
	case k.Rate == 0:
		return k.BrokeAt / kneeFactor
	}
	return (k.Rate + k.BrokeAt) / 2
}

// tryRate runs a rate until it passes, so many times at most, and notes each.
func (l *loader) tryRate(ctx context.Context, k *Knee, rate float64) (r *Report, err error) {
	for range kneeTries {
		c := l.options.Config
		l.options.Config.Rate = rate
		segments, err := l.segments(rate)
		if err != nil {
			return nil, err
		}
		if r, err = l.step(ctx, segments); err != nil {
			return nil, err
		}
		l.options.Config = c
		s := KneeStep{
			Rate: rate, GoodPerSecond: r.Requests.GoodPerSecond, P50US: r.Latency.Corrected.P50US, P99US: r.Latency.Corrected.P99US,
			P999US: r.Latency.Corrected.P999US, ErrorPercent: r.errorPercent(), LagP99US: r.Generator.Lag.P99US, Outcome: r.Outcome, Why: r.why(),
		}
		k.Steps = append(k.Steps, s)
		l.options.say("%s", s.String())
		if r.Outcome == OutcomePass || r.CutShort != "" {
			break
		}
	}
	return r, nil
}

// String is the step in one line, as a table of them has it.
func (s *KneeStep) String() string {
	return fmt.Sprintf("%10s/s  p50 %10s  p99 %10s  p99.9 %10s  good %10s/s  errors %6.2f %%  %s%s", group(int(s.Rate)), spanText(s.P50US), spanText(s.P99US), spanText(s.P999US),
		group(int(s.GoodPerSecond)), s.ErrorPercent, s.Outcome, map[bool]string{true: ": " + s.Why}[s.Why != ""])
}
