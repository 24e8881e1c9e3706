package loadtest

import (
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of the histograms of latencies, in nanoseconds: three significant digits from
// 64 us up and steps of 64 ns below, to an hour. Longer times count as an hour.
const (
	leastLatency = 64
	mostLatency  = int64(time.Hour)
	digits       = 3
)

func newLatencies() *hdr.Histogram { return hdr.New(leastLatency, mostLatency, digits) }

// note records a latency.
func note(h *hdr.Histogram, d time.Duration) {
	if h.RecordValue(min(max(int64(d), 0), mostLatency)) != nil {
		panic("BUG: a latency out of the histogram's range")
	}
}

// percentilesOf and spectrumOf take nil for an empty histogram.
func percentilesOf(h *hdr.Histogram) Percentiles {
	if h == nil || h.TotalCount() == 0 {
		return Percentiles{}
	}
	at := func(p float64) float64 { return micros(h.ValueAtPercentile(p)) }
	return Percentiles{
		Count: h.TotalCount(), MinUS: micros(h.Min()), MeanUS: h.Mean() / 1e3, StdDevUS: h.StdDev() / 1e3,
		P50US: at(50), P75US: at(75), P90US: at(90), P95US: at(95), P99US: at(99), P999US: at(99.9), P9999US: at(99.99), MaxUS: micros(h.Max()),
	}
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }

// spectrumTicks are the points for each halving of the distance to 1, as HdrHistogram's
// own tools write by default.
const spectrumTicks = 5

func spectrumOf(h *hdr.Histogram) []SpectrumPoint {
	points := []SpectrumPoint{}
	if h == nil || h.TotalCount() == 0 {
		return points
	}
	for _, b := range h.CumulativeDistributionWithTicks(spectrumTicks) {
		points = append(points, SpectrumPoint{Quantile: b.Quantile / 100, ValueUS: micros(b.ValueAt), Count: b.Count})
	}
	return points
}

// Bounds of the time line: its steps are seconds, longer ones in runs over an hour, and
// its latencies have two significant digits.
const (
	mostSteps  = 3600
	lineLeast  = 1000
	lineDigits = 2
)

// stepOf is the length of a step in a run of that length.
func stepOf(length time.Duration) time.Duration {
	return max(time.Second, (length+mostSteps*time.Second-1).Truncate(mostSteps*time.Second)/mostSteps)
}

// timeline gathers the latencies of all workers by step. Its histograms are sparse,
// since there may be thousands. For concurrent use.
type timeline struct {
	step time.Duration

	mu    sync.Mutex
	steps []*hdr.PackedHistogram
}

func (l *timeline) add(step int, h *hdr.Histogram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.steps) <= step {
		l.steps = append(l.steps, nil)
	}
	if l.steps[step] == nil {
		l.steps[step] = hdr.NewPacked(lineLeast, mostLatency, lineDigits)
	}
	l.steps[step].MergeFrom(h)
}

// stepCounts are the counts of one step.
type stepCounts struct{ offered, started, completed, good, errors int64 }

// lane is one worker's part of a timeline.
type lane struct {
	line    *timeline
	counts  []stepCounts
	current int            // step that latencies belongs to
	latency *hdr.Histogram // of arrivals due in it
}

func newLane(line *timeline) lane {
	return lane{line: line, latency: hdr.New(lineLeast, mostLatency, lineDigits)}
}

// at is the counts of the step that a time, from the window's beginning, lies in.
func (l *lane) at(t time.Duration) *stepCounts {
	i := int(max(t, 0) / l.line.step)
	for len(l.counts) <= i {
		l.counts = append(l.counts, stepCounts{})
	}
	return &l.counts[i]
}

// note records the latency of what was due at a time.
func (l *lane) note(due, latency time.Duration) {
	if i := int(max(due, 0) / l.line.step); i != l.current {
		l.flush()
		l.current = i
	}
	note(l.latency, latency)
}

// flush hands what was noted to the timeline.
func (l *lane) flush() {
	if l.latency.TotalCount() > 0 {
		l.line.add(l.current, l.latency)
		l.latency.Reset()
	}
}

// report makes the time line of all lanes, which have been flushed.
func (l *timeline) report(lanes []*lane) Timeline {
	var sum []stepCounts
	for _, lane := range lanes {
		for i, c := range lane.counts {
			if i >= len(sum) {
				sum = append(sum, stepCounts{})
			}
			s := &sum[i]
			s.offered, s.started, s.completed, s.good, s.errors = s.offered+c.offered, s.started+c.started, s.completed+c.completed, s.good+c.good, s.errors+c.errors
		}
	}
	t := Timeline{StepSeconds: l.step.Seconds(), Steps: []TimelineStep{}}
	for i, c := range sum {
		rate := func(n int64) float64 { return float64(n) / t.StepSeconds }
		s := TimelineStep{
			AtSeconds: float64(i) * t.StepSeconds, OfferedPerSecond: rate(c.offered), StartedPerSecond: rate(c.started),
			CompletedPerSecond: rate(c.completed), GoodPerSecond: rate(c.good), Errors: c.errors,
		}
		if i < len(l.steps) && l.steps[i] != nil {
			h := l.steps[i]
			s.P50US, s.P99US, s.MaxUS = micros(h.ValueAtPercentile(50)), micros(h.ValueAtPercentile(99)), micros(h.Max())
		}
		t.Steps = append(t.Steps, s)
	}
	return t
}
