package loadtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// SLO is an objective: a metric that is to stay below a limit.
type SLO struct {
	Text      string // as given
	Metric    string // as of SLOResult
	Limit     float64
	Inclusive bool // at the limit is good
}

// sloMetrics are the metrics of latency, corrected.
var sloMetrics = map[string]func(*Percentiles) float64{
	"mean":   func(p *Percentiles) float64 { return p.MeanUS },
	"p50":    func(p *Percentiles) float64 { return p.P50US },
	"p75":    func(p *Percentiles) float64 { return p.P75US },
	"p90":    func(p *Percentiles) float64 { return p.P90US },
	"p95":    func(p *Percentiles) float64 { return p.P95US },
	"p99":    func(p *Percentiles) float64 { return p.P99US },
	"p99.9":  func(p *Percentiles) float64 { return p.P999US },
	"p99.99": func(p *Percentiles) float64 { return p.P9999US },
	"max":    func(p *Percentiles) float64 { return p.MaxUS },
}

var sloForm = regexp.MustCompile(`^\s*([a-z0-9.]+)\s*(<=?)\s*([0-9.]+\s*(?:%|[a-zµ]+))\s*$`)

// ParseSLO reads METRIC<LIMIT or METRIC<=LIMIT: mean, p50, p75, p90, p95, p99, p99.9,
// p99.99 or max and a duration such as 500us or 1.5ms, or errors and a percentage
// such as 0.1%.
func ParseSLO(text string) (SLO, error) {
	wrong := fmt.Errorf("read objective %q: want one such as p99<1ms, max<=20ms or errors<0.1%%; metrics are mean, p50, p75, p90, p95, p99, p99.9, p99.99, max and errors", text)
	m := sloForm.FindStringSubmatch(text)
	if m == nil {
		return SLO{}, wrong
	}
	s := SLO{Text: strings.Join(strings.Fields(text), ""), Metric: m[1], Inclusive: m[2] == "<="}
	if s.Metric == "errors" {
		percent, ok := strings.CutSuffix(m[3], "%")
		v, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if !ok || err != nil || v > 100 {
			return SLO{}, wrong
		}
		s.Limit = v
		return s, nil
	}
	limit, err := time.ParseDuration(strings.ReplaceAll(m[3], " ", ""))
	if sloMetrics[s.Metric] == nil || err != nil || limit <= 0 {
		return SLO{}, wrong
	}
	s.Limit = float64(limit) / 1e3
	return s, nil
}

// judge holds a report to the objective. A run in which nothing was offered meets none.
func (s SLO) judge(r *Report) SLOResult {
	out := SLOResult{SLO: s.Text, Metric: s.Metric, Limit: s.Limit}
	if s.Metric == "errors" {
		out.Got = r.errorPercent()
	} else {
		out.Got = sloMetrics[s.Metric](&r.Latency.Corrected)
	}
	out.Pass = r.Requests.Offered > 0 && (out.Got < s.Limit || s.Inclusive && out.Got == s.Limit)
	return out
}

func (r *Report) errorPercent() float64 {
	failed := 0
	for _, e := range r.Errors {
		failed += e.N
	}
	return percent(failed, int(r.Requests.Offered))
}

// String is the result in words, with its unit.
func (s SLOResult) String() string {
	got, sign := spanText(s.Got), "missed"
	if s.Metric == "errors" {
		got = strconv.FormatFloat(s.Got, 'g', 3, 64) + " %"
	}
	if s.Pass {
		sign = "met"
	}
	return fmt.Sprintf("%s %s: %s", s.SLO, sign, got)
}

// spanText writes microseconds as a person does.
func spanText(us float64) string {
	switch {
	case us < 1000:
		return strconv.FormatFloat(us, 'f', 1, 64) + " us"
	case us < 1e6:
		return strconv.FormatFloat(us/1e3, 'f', 2, 64) + " ms"
	}
	return strconv.FormatFloat(us/1e6, 'f', 2, 64) + " s"
}
