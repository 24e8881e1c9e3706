package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"time"
)

// Load runs a load test and reports on it. The error is about what kept it from running:
// wrong options (ErrOptions), a target that is not on this machine (ErrRemote), not
// reachable (ErrUnreachable), not ready (ErrNotReady) or not a node (ErrNode). What
// came of a run is in the report, also where ctx ended it early.
func Load(ctx context.Context, o LoadOptions) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	l, err := openLoader(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if o.FindKnee {
		return l.findKnee(ctx)
	}
	segments, err := l.segments(o.Config.Rate)
	if err != nil {
		return nil, err
	}
	return l.step(ctx, segments)
}

// segments is the schedule at a rate; nil in a closed loop.
func (l *loader) segments(rate float64) ([]Segment, error) {
	o := l.options
	if o.Config.Closed {
		return nil, nil
	}
	from, spike := cmp.Or(o.FromRate, rate/10), cmp.Or(o.SpikeRate, 3*rate)
	return segmentsOf(o.Config.Schedule, rate, from, spike, seconds(o.Config.DurationSeconds))
}

// step warms up, measures one window and reports on it.
func (l *loader) step(ctx context.Context, segments []Segment) (*Report, error) {
	c := &l.options.Config
	if warm := seconds(c.WarmUpSeconds); warm > 0 {
		var slow []Segment
		if len(segments) > 0 {
			first := max(segments[0].From, 1)
			slow = []Segment{{warm.Seconds(), first, first}}
		}
		if !l.options.FindKnee {
			l.options.say("warming up for %v", warm)
		}
		l.run(ctx, slow, warm, c.Seed^0xAAAA)
	}
	for _, w := range l.workers {
		clear(w.decided.reasons)
	}
	length := seconds(c.DurationSeconds)
	before, scraped := l.scrape(ctx)
	if !l.options.FindKnee {
		l.options.say("measuring for %v", length)
	}
	at, cpu, wait := time.Now(), cpuUsed(), processorWait()
	out := l.run(ctx, segments, length, c.Seed)
	cpu, wait = cpuUsed()-cpu, max(processorWait()-wait, 0)

	r := &Report{Schema: ReportSchema, StartedAt: at.UTC(), Seconds: length.Seconds(), Notes: slices.Clone(l.notes), Config: *c}
	if ran := out.ended.Seconds(); ran > 0 {
		r.CutShort, r.Seconds = fmt.Sprintf("interrupted after %.1f s of %.1f s", ran, length.Seconds()), ran
	}
	r.Config.Segments = segments
	r.Machine = LoadMachine{runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version()}
	r.Target = LoadTarget{Network: l.target.network, Remote: l.target.remote, Policy: l.policy.version}
	m := out.sum
	r.fill(m)
	r.Verdicts.Reasons = l.reasons()
	r.Timeline = out.timeline.report(out.lanes)
	r.Generator = Generator{
		Lag: percentilesOf(m.lag), Wait: percentilesOf(m.wait), MostOutstanding: out.most, CPUSeconds: cpu.Seconds(), ProcessorWaitSeconds: wait.Seconds(),
		CPUShare: ratio(cpu.Seconds(), r.Seconds), CPUUSPerRequest: ratio(cpu.Seconds()*1e6, float64(m.started)), Reconnects: m.reconnects,
	}
	if scraped {
		// Not ctx: where it has ended the run, its figures are still wanted.
		l.serverSide(context.WithoutCancel(ctx), r, before)
	}
	if l.oracle != nil {
		r.Oracle = l.oracle.recount()
	}
	r.judge(l.options.SLOs)
	return r, nil
}

// fill fills in what was measured.
func (r *Report) fill(m *measured) {
	rate := func(n int64) float64 { return ratio(float64(n), r.Seconds) }
	r.Requests = LoadRequests{
		Offered: m.offered, Started: m.started, Completed: m.completed, Good: m.good, Late: m.late, Substituted: m.substituted,
		OfferedPerSecond: rate(m.offered), StartedPerSecond: rate(m.started), CompletedPerSecond: rate(m.completed), GoodPerSecond: rate(m.good),
		BytesSent: m.sent, BytesReceived: m.received,
	}
	r.Errors = counts(m.errors)
	r.Verdicts = LoadVerdicts{Decisions: m.shown + m.skipped, Shown: m.shown, Skipped: m.skipped}
	r.Config.RequestBytes = ratio(float64(m.bodies), float64(m.kinds[loadDecide].offered))
	of, corrected, service := loadKindNames[loadDecide], m.kinds[loadDecide].corrected, m.kinds[loadDecide].service
	if m.kinds[loadDecide].offered == 0 {
		of = "all"
		for _, k := range m.kinds[loadDecide+1:] {
			corrected, service = merged(corrected, k.corrected), merged(service, k.service)
		}
	}
	r.Latency = Latency{of, percentilesOf(corrected), percentilesOf(service)}
	r.Spectrum = Spectrum{spectrumOf(corrected), spectrumOf(service)}
	r.Kinds = []KindLatency{}
	for _, w := range r.Config.Mix {
		k := &m.kinds[slices.Index(loadKindNames[:], w.Name)]
		r.Kinds = append(r.Kinds, KindLatency{w.Name, k.offered, k.good, k.failed, percentilesOf(k.corrected), percentilesOf(k.service)})
	}
}

func ratio(a, b float64) float64 {
	if b == 0 || math.IsNaN(b) {
		return 0
	}
	return a / b
}

// reasons are those of all workers in this window.
func (l *loader) reasons() []Count {
	sum := map[string]int{}
	for _, w := range l.workers {
		for reason, n := range w.decided.reasons {
			if *n > 0 {
				sum[reason] += int(*n)
			}
		}
	}
	return counts(sum)
}

// scrape reads the node's metrics; false where it cannot, which is then noted once.
func (l *loader) scrape(ctx context.Context) (s scrape, ok bool) {
	if l.admin == nil {
		return s, false
	}
	a, err := l.ask(ctx, "/metrics")
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("status %d", a.status)
	}
	if err == nil {
		s, err = parseScrape(a.body)
	}
	if err != nil {
		note := "the node's own metrics could not be read: " + err.Error()
		if !slices.Contains(l.notes, note) {
			l.notes = append(l.notes, note)
		}
	}
	return s, err == nil
}

func (l *loader) serverSide(ctx context.Context, r *Report, before scrape) {
	after, ok := l.scrape(ctx)
	if !ok {
		r.Notes = slices.Clone(l.notes)
		return
	}
	r.Target.Version = after.version
	side, ok := after.since(&before, r.Requests.Completed)
	if !ok {
		r.Notes = append(r.Notes, "the node's metrics have no histogram of decisions, or went back during the run: was it started anew?")
		return
	}
	r.Server = side
	decides := int64(0)
	for _, k := range r.Kinds {
		if k.Kind == loadKindNames[loadDecide] {
			decides = int64(k.Service.Count)
		}
	}
	if others := side.Decides - decides; others > decides/100 {
		r.Notes = append(r.Notes, fmt.Sprintf("the node decided %s requests more than this test asked: others used it, too", group(int(others))))
	}
}
