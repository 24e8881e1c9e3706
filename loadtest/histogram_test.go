package loadtest

import (
	"math"
	"testing"
	"time"
)

func TestPercentilesAreExactToThreeDigits(t *testing.T) {
	h := newLatencies()
	for i := 1; i <= 100_000; i++ {
		note(h, time.Duration(i)*10*time.Microsecond) // 10 us to 1 s
	}
	p := percentilesOf(h)
	for name, c := range map[string][2]float64{
		"p50": {p.P50US, 500_000}, "p75": {p.P75US, 750_000}, "p90": {p.P90US, 900_000}, "p95": {p.P95US, 950_000}, "p99": {p.P99US, 990_000},
		"p99.9": {p.P999US, 999_000}, "p99.99": {p.P9999US, 999_900}, "max": {p.MaxUS, 1_000_000}, "mean": {p.MeanUS, 500_005}, "deviation": {p.StdDevUS, 288_675},
	} {
		if math.Abs(c[0]/c[1]-1) > 1e-3 {
			t.Errorf("%s is %g, not %g", name, c[0], c[1])
		}
	}
	if p.Count != 100_000 || p.MinUS > 10 || p.MinUS < 9.9 {
		t.Errorf("%+v", p)
	}
	if (percentilesOf(newLatencies()) != Percentiles{}) {
		t.Error("nothing has percentiles")
	}
	points := spectrumOf(h)
	last := points[len(points)-1]
	if last.Quantile != 1 || last.Count != 100_000 || len(points) < 50 {
		t.Errorf("%d points, the last %+v", len(points), last)
	}
	for i := 1; i < len(points); i++ {
		if points[i].Quantile < points[i-1].Quantile || points[i].ValueUS < points[i-1].ValueUS || points[i].Count < points[i-1].Count {
			t.Fatalf("%+v after %+v", points[i], points[i-1])
		}
	}
	note(h, 100*time.Hour)
	note(h, -time.Second)
	if p := percentilesOf(h); math.Abs(p.MaxUS/3600e6-1) > 1e-3 || p.MinUS != 0 {
		t.Errorf("what is out of range: %+v", p)
	}
}

func TestTimeline(t *testing.T) {
	line := &timeline{step: stepOf(time.Minute)}
	a, b := newLane(line), newLane(line)
	for i := range 100 {
		due := time.Duration(i) * 30 * time.Millisecond // 3 seconds
		for _, l := range []*lane{&a, &b} {
			latency := time.Millisecond
			if i >= 34 && i < 67 { // due in the second of them
				latency = 50 * time.Millisecond
			}
			l.at(due).offered++
			l.at(due+time.Second).good++
			l.note(due, latency)
		}
	}
	a.at(0).errors += 2
	a.flush()
	b.flush()
	got := line.report([]*lane{&a, &b})
	if len(got.Steps) != 4 || got.StepSeconds != 1 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []struct{ offered, good, p99 float64 }{{68, 0, 1000}, {66, 68, 50_000}, {66, 66, 1000}, {0, 66, 0}} {
		s := got.Steps[i]
		if s.AtSeconds != float64(i) || s.OfferedPerSecond != want.offered || s.GoodPerSecond != want.good || math.Abs(s.P99US-want.p99) > want.p99/50 {
			t.Errorf("step %d: %+v, want %+v", i, s, want)
		}
	}
	if got.Steps[0].Errors != 2 {
		t.Errorf("%+v", got.Steps[0])
	}
	for length, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: time.Second, 2 * time.Hour: 2 * time.Second, 90 * time.Minute: 2 * time.Second} {
		if got := stepOf(length); got != want {
			t.Errorf("%v has steps of %v, not %v", length, got, want)
		}
	}
}
