package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"restraint/loadtest/plot"
)

// percentileChart draws both distributions over 1/(1-q), as HdrHistogram's own plotter
// does, so that each further nine has as much room as the one before.
func (r *Report) percentileChart() *plot.Chart {
	c, s := &r.Latency.Corrected, &r.Latency.Service
	if c.Count == 0 {
		return nil
	}
	us := plot.Micros.Format
	chart := &plot.Chart{
		ID: "percentiles", Title: "Latency by percentile",
		Text: fmt.Sprintf("Half of the requests were answered within %s of their intended time, 99 %% within %s, the slowest took %s; from the write alone that is %s, %s and %s. "+
			"Where the upper line leaves the lower one, requests waited to be sent.", us(c.P50US), us(c.P99US), us(c.MaxUS), us(s.P50US), us(s.P99US), us(s.MaxUS)),
		X: plot.Axis{Label: "percentile of requests", Short: "percentile", Unit: plot.Quantile, Log: true},
		Y: plot.Axis{Label: "latency (log scale)", Unit: plot.Micros, Log: true},
	}
	if r.Config.Closed {
		chart.Text = fmt.Sprintf("Half of the requests took up to %s, 99 %% up to %s, the slowest %s. In a closed loop both lines are the same.", us(c.P50US), us(c.P99US), us(c.MaxUS))
	}
	// One of so many requests is the last that a percentile can tell from the slowest.
	last := 1 - 1/float64(c.Count)
	var quantiles []float64
	for _, points := range [][]SpectrumPoint{r.Spectrum.Corrected, r.Spectrum.Service} {
		for _, p := range points {
			if p.Quantile < last {
				quantiles = append(quantiles, p.Quantile)
			}
		}
	}
	quantiles = append(quantiles, last)
	slices.Sort(quantiles)
	quantiles = slices.Compact(quantiles)
	corrected := plot.Line{Name: "from the intended time (corrected)", Style: plot.Solid, Colour: 1}
	service := plot.Line{Name: "from the write (service time)", Style: plot.Dashed, Colour: 2}
	for _, q := range quantiles {
		chart.At = append(chart.At, 1/(1-q))
		corrected.Values = append(corrected.Values, valueAt(r.Spectrum.Corrected, q))
		service.Values = append(service.Values, valueAt(r.Spectrum.Service, q))
	}
	chart.Lines = []plot.Line{corrected, service}
	for _, o := range r.SLOs {
		if o.Metric != "errors" && o.Metric != "mean" {
			chart.Marks = append(chart.Marks, plot.Mark{At: o.Limit, Label: o.SLO})
		}
	}
	return chart
}

// valueAt is what the share q of the requests took at most.
func valueAt(points []SpectrumPoint, q float64) plot.Value {
	i, _ := slices.BinarySearchFunc(points, q, func(p SpectrumPoint, q float64) int { return cmp.Compare(p.Quantile, q) })
	if i == len(points) {
		return plot.None
	}
	return plot.Value(points[i].ValueUS)
}

// timeCharts draw the time line: rates, latencies, and errors where there are any.
func (r *Report) timeCharts() []*plot.Chart {
	steps := r.Timeline.Steps
	if len(steps) == 0 {
		return nil
	}
	x := plot.Axis{Label: "time into the window", Short: "from", Unit: plot.Seconds}
	line := func(name string, style plot.Style, colour int, of func(*TimelineStep) float64) plot.Line {
		l := plot.Line{Name: name, Style: style, Colour: colour}
		for i := range steps {
			l.Values = append(l.Values, plot.Value(of(&steps[i])))
		}
		return l
	}
	inWindow := func(of func(*TimelineStep) float64) func(*TimelineStep) float64 {
		return func(s *TimelineStep) float64 {
			if s.AtSeconds >= r.Seconds {
				return math.NaN()
			}
			return of(s)
		}
	}
	latency := func(of func(*TimelineStep) float64) func(*TimelineStep) float64 {
		return func(s *TimelineStep) float64 {
			if s.OfferedPerSecond == 0 {
				return math.NaN()
			}
			return of(s)
		}
	}
	rates := &plot.Chart{
		ID: "rates", Title: "Requests a second", X: x, Y: plot.Axis{Label: "requests a second", Unit: plot.Plain}, Sync: "time",
		Lines: []plot.Line{
			line("completed", plot.Solid, 1, inWindow(func(s *TimelineStep) float64 { return s.CompletedPerSecond })),
			line("good", plot.Solid, 3, inWindow(func(s *TimelineStep) float64 { return s.GoodPerSecond })),
			line("offered", plot.Dashed, 2, inWindow(func(s *TimelineStep) float64 { return s.OfferedPerSecond })),
		},
		Text: r.ratesText(),
	}
	worst := slices.MaxFunc(steps, func(a, b TimelineStep) int { return cmp.Compare(a.P99US, b.P99US) })
	latencies := &plot.Chart{
		ID: "latencies", Title: "Latency from the intended time", X: x, Y: plot.Axis{Label: "latency (log scale)", Unit: plot.Micros, Log: true}, Sync: "time",
		Lines: []plot.Line{
			line("slowest", plot.Dashed, 2, latency(func(s *TimelineStep) float64 { return s.MaxUS })),
			line("99 %", plot.Solid, 4, latency(func(s *TimelineStep) float64 { return s.P99US })),
			line("50 %", plot.Solid, 1, latency(func(s *TimelineStep) float64 { return s.P50US })),
		},
		Text: fmt.Sprintf("Of all kinds of requests, by when they were due; a point stands where its step begins. The worst step began at %s: 99 %% within %s, the slowest %s.",
			plot.Seconds.Format(worst.AtSeconds), plot.Micros.Format(worst.P99US), plot.Micros.Format(worst.MaxUS)),
	}
	charts := []*plot.Chart{rates, latencies}
	if errors := r.errorChart(x, line("failed requests", plot.Solid, 2, func(s *TimelineStep) float64 { return float64(s.Errors) })); errors != nil {
		charts = append(charts, errors)
	}
	for _, c := range charts {
		for i := range steps {
			c.At = append(c.At, steps[i].AtSeconds)
		}
		if last := steps[len(steps)-1].AtSeconds; last >= r.Seconds && r.Seconds > 0 {
			c.Marks = append(c.Marks, plot.Mark{OnX: true, At: r.Seconds, Label: "end of the window"})
		}
	}
	return charts
}

// errorChart draws the failed requests; nil where there are none.
func (r *Report) errorChart(x plot.Axis, line plot.Line) *plot.Chart {
	sum, most := int64(0), r.Timeline.Steps[0]
	for _, s := range r.Timeline.Steps {
		sum += s.Errors
		if s.Errors > most.Errors {
			most = s
		}
	}
	if sum == 0 {
		return nil
	}
	return &plot.Chart{
		ID: "errors", Title: "Failed requests", X: x, Sync: "time", Lines: []plot.Line{line},
		Y: plot.Axis{Label: fmt.Sprintf("requests in %s", plot.Seconds.Format(r.Timeline.StepSeconds)), Unit: plot.Plain},
		Text: fmt.Sprintf("%s failed, most of them, %s, in the step that began at %s.", plot.Plain.Format(float64(sum)),
			plot.Plain.Format(float64(most.Errors)), plot.Seconds.Format(most.AtSeconds)),
	}
}

func (r *Report) ratesText() string {
	num := plot.Plain.Format
	text := fmt.Sprintf("Over the window %s a second were offered, %s completed and %s good.",
		num(r.Requests.OfferedPerSecond), num(r.Requests.CompletedPerSecond), num(r.Requests.GoodPerSecond))
	if part := math.Mod(r.Seconds, r.Timeline.StepSeconds); part > 0.001 && r.Timeline.StepSeconds-part > 0.001 {
		text += fmt.Sprintf(" The last step of the window is only %s long, so its rates look lower than they were.", plot.Seconds.Format(part))
	}
	late := 0.0
	for _, s := range r.Timeline.Steps {
		if s.AtSeconds >= r.Seconds {
			late += s.CompletedPerSecond * r.Timeline.StepSeconds
		}
	}
	if late >= 0.5 {
		text += fmt.Sprintf(" Answers after the end of the window, %s of them, are not drawn.", num(math.Round(late)))
	}
	return text
}

// kneeChart draws what rates came of; nil where no knee was looked for.
func (r *Report) kneeChart() *plot.Chart {
	if r.Knee == nil || len(r.Knee.Steps) == 0 {
		return nil
	}
	steps := slices.Clone(r.Knee.Steps)
	slices.SortStableFunc(steps, func(a, b KneeStep) int { return cmp.Compare(a.Rate, b.Rate) })
	c := &plot.Chart{
		ID: "knee", Title: "Latency by rate", Text: r.kneeText(),
		X: plot.Axis{Label: "requests a second offered", Short: "offered", Unit: plot.Plain},
		Y: plot.Axis{Label: "latency (log scale)", Unit: plot.Micros, Log: true},
		Lines: []plot.Line{
			{Name: "99.9 %", Style: plot.Dashed, Colour: 6},
			{Name: "99 %", Style: plot.Solid, Colour: 1},
			{Name: "50 %", Style: plot.Dashed, Colour: 4},
			{Name: "99 %, objectives met", Style: plot.Points, Colour: 3},
			{Name: "99 %, objectives missed", Style: plot.Points, Colour: 2},
			{Name: "99 %, not valid", Style: plot.Points, Colour: 5},
		},
	}
	for i, s := range steps {
		last := steps[i] // try of its rate, by which the search went
		for _, next := range steps[i:] {
			if next.Rate == s.Rate {
				last = next
			}
		}
		p99 := map[string]plot.Value{OutcomePass: plot.None, OutcomeMissed: plot.None, OutcomeInvalid: plot.None}
		p99[s.Outcome] = plot.Value(s.P99US)
		c.At = append(c.At, s.Rate)
		for i, v := range []plot.Value{plot.Value(last.P999US), plot.Value(last.P99US), plot.Value(last.P50US), p99[OutcomePass], p99[OutcomeMissed], p99[OutcomeInvalid]} {
			c.Lines[i].Values = append(c.Lines[i].Values, v)
		}
	}
	c.Lines = slices.DeleteFunc(c.Lines, func(l plot.Line) bool {
		return l.Style == plot.Points && !slices.ContainsFunc(l.Values, func(v plot.Value) bool { return !v.IsNone() })
	})
	for _, o := range r.SLOs {
		if o.Metric == "p50" || o.Metric == "p99" || o.Metric == "p99.9" {
			c.Marks = append(c.Marks, plot.Mark{At: o.Limit, Label: o.SLO})
		}
	}
	if r.Knee.Rate > 0 {
		c.Marks = append(c.Marks, plot.Mark{OnX: true, At: r.Knee.Rate, Label: "knee: " + plot.Plain.Format(r.Knee.Rate) + " a second"})
	}
	return c
}

// kneeText says in words what the search found.
func (r *Report) kneeText() string {
	k, num := r.Knee, plot.Plain.Format
	text := "No rate that was tried met the objectives."
	if k.Rate > 0 {
		text = "The highest rate that met the objectives is " + num(k.Rate) + " a second."
	}
	if k.BrokeAt > 0 {
		text += " At " + num(k.BrokeAt) + " they were not met."
	}
	switch k.LimitedBy {
	case "generator":
		text += " There the load generator was the limit, so the node may do more than this."
	case "steps":
		text += " There were no more rates to try, so the node may do more than this."
	case "interrupted":
		text += " The search was ended early, so the node may do more than this."
	}
	return text + " Each point is one try; the lines go through the last try of each rate, which is what the search went by."
}
