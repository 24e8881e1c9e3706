package loadtest

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Print writes the report as text, for a terminal.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	p := printer{&b}
	p.loadHead(r)
	p.loadRates(r)
	p.loadLatency(r)
	p.loadErrors(r)
	p.loadVerdicts(r)
	p.loadSides(r)
	p.loadRecount(r.Oracle)
	p.loadKnee(r.Knee)
	p.loadOutcome(r)
	_, err := io.WriteString(w, b.String())
	return err
}

func (p printer) loadHead(r *Report) {
	c := &r.Config
	how := fmt.Sprintf("open loop, %s, %s arrivals, %s requests/s", c.Schedule, c.Arrivals, group(int(c.Rate)))
	if c.Closed {
		how = "closed loop"
	}
	p.line("Load test of %s: %s for %.4g s, %d connections", c.Addr, how, c.DurationSeconds, c.Connections)
	p.line("  %s users by Zipf %.3g, %d candidates of %d campaigns, %.0f bytes a request, mix %s", group(c.Users), c.Zipf, c.Candidates, c.Campaigns, c.RequestBytes, mixText(c.Mix))
	if c.Source != "" {
		p.line("  requests from %s (%s rows), with candidates and other users put in", c.Source, group(c.SourceRows))
	}
	if r.CutShort != "" {
		p.line("  CUT SHORT: %s; what follows is of what was run.", r.CutShort)
	}
}

func mixText(mix []Weight) string {
	var parts []string
	for _, w := range mix {
		parts = append(parts, w.Name+"="+number(w.Weight))
	}
	return strings.Join(parts, ",")
}

func (p printer) loadRates(r *Report) {
	q := &r.Requests
	p.line("")
	p.line("%-12s %12s %12s", "requests", "count", "a second")
	for _, row := range []struct {
		name string
		n    int64
		rate float64
	}{{"offered", q.Offered, q.OfferedPerSecond}, {"started", q.Started, q.StartedPerSecond}, {"completed", q.Completed, q.CompletedPerSecond}, {"good", q.Good, q.GoodPerSecond}} {
		p.line("  %-10s %12s %12s", row.name, group(int(row.n)), group(int(row.rate+0.5)))
	}
	if q.Substituted > 0 {
		p.line("  %s were to be events when nothing shown was waiting to be reported, and were decide requests", group(int(q.Substituted)))
	}
}

// loadLatency prints both tables side by side, and the node's own beside them.
func (p printer) loadLatency(r *Report) {
	p.line("")
	p.line("%-12s %14s %14s %14s", "latency", "corrected", "service time", "in the node")
	c, s := &r.Latency.Corrected, &r.Latency.Service
	var server ServerSide
	if r.Server != nil {
		server = *r.Server
	}
	for _, row := range []struct {
		name                       string
		corrected, service, server float64
	}{
		{"mean", c.MeanUS, s.MeanUS, server.MeanUS},
		{"p50", c.P50US, s.P50US, server.P50US},
		{"p75", c.P75US, s.P75US, 0},
		{"p90", c.P90US, s.P90US, 0},
		{"p95", c.P95US, s.P95US, 0},
		{"p99", c.P99US, s.P99US, server.P99US},
		{"p99.9", c.P999US, s.P999US, server.P999US},
		{"p99.99", c.P9999US, s.P9999US, 0},
		{"max", c.MaxUS, s.MaxUS, 0},
	} {
		node := ""
		if row.server > 0 {
			node = spanText(row.server)
		}
		p.line("  %-10s %14s %14s %14s", row.name, spanText(row.corrected), spanText(row.service), node)
	}
	p.line("  corrected: from when the request was to be sent; service time: from when it was. Of %s requests.", r.Latency.Of)
	for _, k := range r.Kinds {
		if k.Kind != r.Latency.Of {
			p.line("  %-10s %14s requests, corrected p50 %s, p99 %s", k.Kind, group(int(k.Offered)), spanText(k.Corrected.P50US), spanText(k.Corrected.P99US))
		}
	}
}

func (p printer) loadErrors(r *Report) {
	p.line("")
	p.line("%-12s %12s", "errors", fmt.Sprintf("%.3g %%", r.errorPercent()))
	for _, e := range r.Errors {
		p.line("  %-10s %12s", e.Name, group(e.N))
	}
}

func (p printer) loadVerdicts(r *Report) {
	v := &r.Verdicts
	p.line("%-12s %12s", "verdicts", group(int(v.Decisions)))
	p.line("  %-20s %12s  %5.1f %%", "show", group(int(v.Shown)), percent(int(v.Shown), int(v.Decisions)))
	for _, reason := range v.Reasons {
		p.line("  %-20s %12s  %5.1f %%", reason.Name, group(reason.N), percent(reason.N, int(v.Decisions)))
	}
}

// loadSides prints what the generator and the node did and cost.
func (p printer) loadSides(r *Report) {
	g := &r.Generator
	p.line("")
	if !r.Config.Closed {
		p.line("%-12s own lag p50 %s, p99 %s, max %s; at most %d requests at once", "generator", spanText(g.Lag.P50US), spanText(g.Lag.P99US), spanText(g.Lag.MaxUS), g.MostOutstanding)
		p.line("%-12s waiting for a connection: %s requests, p99 of all %s", "", group(int(r.Requests.Late)), spanText(g.Wait.P99US))
	}
	p.line("%-12s %.2f processors of %d, %.1f us a request; %.2f s ready to run without one", cond(r.Config.Closed, "generator"), g.CPUShare, r.Machine.CPUs, g.CPUUSPerRequest, g.ProcessorWaitSeconds)
	if s := r.Server; s != nil {
		p.line("%-12s %.2f processors, %.1f us a request; %s decisions timed; %s MiB resident", "node", ratio(s.CPUSeconds, r.Seconds), s.CPUUSPerRequest, group(int(s.Decides)), group(int(s.ResidentBytes>>20)))
	}
}

func cond(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func (p printer) loadRecount(o *LoadRecount) {
	if o == nil {
		return
	}
	p.line("")
	p.line("recount of %s verdicts, with a count of showings that shares no code with the node", group(int(o.Decisions)))
	p.line("  %-20s %12s  %7.3f per mille of %s shown", "over-delivered", group(int(o.OverDelivered)), o.OverDeliveredPerMille, group(int(o.Shown)))
	p.line("  %-20s %12s  %7.3f per mille of %s skipped for a cap", "false negatives", group(int(o.FalseNegatives)), o.FalseNegativesPerMille, group(int(o.Capped)))
	p.line("  %-20s %12s  reports were on their way, either verdict is right", "racing", group(int(o.Racing)))
	p.line("  %-20s %12s  %7.3f per mille of %s reported: shown before those before were reported", "showings over a cap", group(int(o.OverLimit)), o.OverLimitPerMille, group(int(o.Impressions)))
	for _, text := range o.Sample {
		p.line("    %s", text)
	}
}

func (p printer) loadKnee(k *Knee) {
	if k == nil {
		return
	}
	p.line("")
	p.line("knee")
	for i := range k.Steps {
		p.line("  %s", k.Steps[i].String())
	}
	how := map[string]string{
		"slo": "an objective broke", "generator": "the generator was the limit, the node may do more",
		"steps": "there were no more steps", "interrupted": "interrupted",
	}[k.LimitedBy]
	switch {
	case k.Rate == 0:
		p.line("  no rate met the objectives, down to %s a second (%s)", group(int(k.BrokeAt)), how)
	case k.BrokeAt == 0:
		p.line("  %s requests a second met the objectives, and no rate was found that did not (%s)", group(int(k.Rate)), how)
	default:
		p.line("  %s requests a second met the objectives, %s did not (%s)", group(int(k.Rate)), group(int(k.BrokeAt)), how)
	}
}

func (p printer) loadOutcome(r *Report) {
	p.line("")
	for _, s := range r.SLOs {
		p.line("objective    %s", s.String())
	}
	for _, n := range r.Notes {
		p.line("note         %s", n)
	}
	for _, n := range r.Validity.Reasons {
		p.line("not valid    %s", n)
	}
	p.line("%s", map[string]string{
		OutcomePass: cmp.Or(cond(len(r.SLOs) == 0, "No objective was given."), "Every objective was met."), OutcomeMissed: "AN OBJECTIVE WAS MISSED.",
		OutcomeInvalid: "INVALID: these figures do not describe the target.",
	}[r.Outcome])
}

// WriteHGRM writes the corrected latencies as HdrHistogram's tools and plotters read
// them: value in milliseconds, percentile, count.
func (r *Report) WriteHGRM(w io.Writer) error {
	var b strings.Builder
	p := printer{&b}
	p.line("%12s %14s %10s %14s\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")
	for _, s := range r.Spectrum.Corrected {
		if s.Quantile >= 1 {
			p.line("%12.6f %2.12f %10d", s.ValueUS/1e3, s.Quantile, s.Count)
			continue
		}
		p.line("%12.6f %2.12f %10d %14.2f", s.ValueUS/1e3, s.Quantile, s.Count, 1/(1-s.Quantile))
	}
	c := &r.Latency.Corrected
	p.line("#[Mean    = %12.6f, StdDeviation   = %12.6f]", c.MeanUS/1e3, c.StdDevUS/1e3)
	p.line("#[Max     = %12.6f, Total count    = %12d]", c.MaxUS/1e3, c.Count)
	_, err := io.WriteString(w, b.String())
	return err
}
