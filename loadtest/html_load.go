package loadtest

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"restraint/loadtest/plot"
)

// loadPage is what load.html shows of a report.
type loadPage struct {
	page
	*Report
	// Command is how the run was started.
	Command string

	Percentiles *plot.Chart
	TimeCharts  []*plot.Chart
	KneeChart   *plot.Chart // nil without a search for the knee
}

// WriteHTML writes the report as one page that stands by itself: nothing is fetched, it
// opens from a file, and it can be read and printed where no script runs. command is how
// to run it again, "" to leave that out; it is shown as it is, so it must hold no key.
func (r *Report) WriteHTML(w io.Writer, command string) error {
	p := loadPage{Report: r, Command: command, Percentiles: r.percentileChart(), TimeCharts: r.timeCharts(), KneeChart: r.kneeChart()}
	var charts []*plot.Chart
	for _, c := range append([]*plot.Chart{p.Percentiles, p.KneeChart}, p.TimeCharts...) {
		if c != nil {
			c.Fit()
			charts = append(charts, c)
		}
	}
	p.page = newPage("Load test of "+r.Config.Addr, charts)
	return writePage(w, "load", &p)
}

// Mood is how the first thing on the page looks: good, warn or bad.
func (p *loadPage) Mood() string {
	switch {
	case !p.Validity.Valid:
		return "bad"
	case p.Outcome != OutcomePass || p.CutShort != "":
		return "warn"
	}
	return "good"
}

// Failed is how many requests failed, of whatever kind.
func (p *loadPage) Failed() (n int) {
	for _, e := range p.Errors {
		n += e.N
	}
	return n
}

// errorMeanings say in words what a kind of error is; statuses are explained by
// Meaning.
var errorMeanings = map[string]string{
	"connect":   "no connection could be made",
	"timeout":   "no answer within the time allowed",
	"closed":    "the node closed the connection before the answer was whole",
	"broken":    "the connection failed in another way",
	"malformed": "what came back is not HTTP, or not an answer of a node",
	"rejected":  "an event that the node refused",
	"not_sent":  "due, but the run ended before its turn came",
}

// Meaning is a kind of error in words.
func (p *loadPage) Meaning(kind string) string {
	if status, is := strings.CutPrefix(kind, "http_"); is {
		return "answered with the HTTP status " + status
	}
	return errorMeanings[kind]
}

// percentileRow is one line of the table of latencies, in microseconds.
type percentileRow struct {
	Name               string
	Corrected, Service float64
	Server             float64
	InServer           bool // Server is known
}

// Rows are the lines of the table of latencies.
func (p *loadPage) Rows() []percentileRow {
	c, s := &p.Latency.Corrected, &p.Latency.Service
	rows := []percentileRow{
		{Name: "least", Corrected: c.MinUS, Service: s.MinUS},
		{Name: "50 %", Corrected: c.P50US, Service: s.P50US},
		{Name: "75 %", Corrected: c.P75US, Service: s.P75US},
		{Name: "90 %", Corrected: c.P90US, Service: s.P90US},
		{Name: "95 %", Corrected: c.P95US, Service: s.P95US},
		{Name: "99 %", Corrected: c.P99US, Service: s.P99US},
		{Name: "99.9 %", Corrected: c.P999US, Service: s.P999US},
		{Name: "99.99 %", Corrected: c.P9999US, Service: s.P9999US},
		{Name: "most", Corrected: c.MaxUS, Service: s.MaxUS},
		{Name: "mean", Corrected: c.MeanUS, Service: s.MeanUS},
		{Name: "standard deviation", Corrected: c.StdDevUS, Service: s.StdDevUS},
	}
	if p.Server != nil {
		for i, v := range map[int]float64{1: p.Server.P50US, 5: p.Server.P99US, 6: p.Server.P999US, 9: p.Server.MeanUS} {
			rows[i].Server, rows[i].InServer = v, true
		}
	}
	return rows
}

// Limit is a limit of an objective, or what was got, with its unit.
func (p *loadPage) Limit(o SLOResult, v float64) string {
	if o.Metric == "errors" {
		return plot.Plain.Format(v) + " %"
	}
	return plot.Micros.Format(v)
}

// serverRow is one bucket of the node's histogram.
type serverRow struct {
	Label string
	Count int64
}

// ServerRows are the buckets of the node's histogram from the first to the last that
// holds anything.
func (p *loadPage) ServerRows() (rows []serverRow) {
	full := 0
	for _, b := range p.Server.Buckets {
		label := "more"
		if b.UpToUS > 0 {
			label = "up to " + plot.Micros.Format(b.UpToUS)
		}
		if len(rows) > 0 || b.Count > 0 {
			rows = append(rows, serverRow{label, b.Count})
		}
		if b.Count > 0 {
			full = len(rows)
		}
	}
	return rows[:full]
}

// ServerMost is the count of the fullest bucket.
func (p *loadPage) ServerMost() int64 {
	if len(p.Server.Buckets) == 0 {
		return 0
	}
	return slices.MaxFunc(p.Server.Buckets, func(a, b ServerBucket) int { return cmp.Compare(a.Count, b.Count) }).Count
}

// mostTableRows is up to how many steps the table of the time line shows each by itself.
const mostTableRows = 300

// timeTable are steps of the time line, Each of them to a row: rates are means, errors
// sums, latencies the worst of the steps.
type timeTable struct {
	Each int
	Rows []TimelineStep
}

// TimeTable is the time line as a table.
func (p *loadPage) TimeTable() (t timeTable) {
	steps := p.Timeline.Steps
	t.Each = max(1, (len(steps)+mostTableRows-1)/mostTableRows)
	for some := range slices.Chunk(steps, t.Each) {
		row := TimelineStep{AtSeconds: some[0].AtSeconds}
		for _, s := range some {
			n := float64(len(some))
			row.OfferedPerSecond += s.OfferedPerSecond / n
			row.StartedPerSecond += s.StartedPerSecond / n
			row.CompletedPerSecond += s.CompletedPerSecond / n
			row.GoodPerSecond += s.GoodPerSecond / n
			row.Errors += s.Errors
			row.P50US, row.P99US, row.MaxUS = max(row.P50US, s.P50US), max(row.P99US, s.P99US), max(row.MaxUS, s.MaxUS)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// setting is one line of the configuration.
type setting struct{ Name, Value string }

// Settings are the configuration, for people.
func (p *loadPage) Settings() []setting {
	c, t := &p.Config, &p.Target
	num, yes := exact, func(v bool) string { return map[bool]string{true: "yes", false: "no"}[v] }
	loop := fmt.Sprintf("open, %s, %s arrivals, %s requests a second", c.Schedule, c.Arrivals, num(c.Rate))
	if c.Closed {
		loop = "closed: each connection sends as soon as it has its answer"
	}
	list := []setting{
		{"Target", c.Addr + " (" + t.Network + map[bool]string{true: ", not on this machine", false: ", on the same machine"}[t.Remote] + ")"},
		{"Node’s version, policy", cmp.Or(t.Version, "not said") + ", " + map[bool]string{true: "not said", false: num(float64(t.Policy))}[t.Policy == 0]},
		{"Loop", loop},
		{"Schedule", segmentsText(c.Segments)},
		{"Length, warm-up, timeout", num(c.DurationSeconds) + " s, " + num(c.WarmUpSeconds) + " s, " + num(c.TimeoutSeconds) + " s"},
		{"Connections", num(float64(c.Connections))},
		{"Mix", weightsText(c.Mix)},
		{"Seed", fmt.Sprint(c.Seed)},
		{"Users", fmt.Sprintf("%s, drawn by Zipf’s law with exponent %s; up to %d identifiers each, %s %% with a device identifier beside", num(float64(c.Users)), num(c.Zipf), c.Identifiers, num(c.IFAPercent))},
		{"Run", c.Run},
		{"Candidates", fmt.Sprintf("%d a request, of %s campaigns; with creative %s %%, item %s %%, category %s %%", c.Candidates, num(float64(c.Campaigns)), num(c.CreativePercent), num(c.ItemPercent), num(c.CategoryPercent))},
		{"Want, hold, token, brief", fmt.Sprintf("%d, %s, %s, %s", c.Want, yes(c.Hold), yes(c.Token), yes(c.Brief))},
		{"Consent", fmt.Sprintf("%s %% of the requests carry one of %s strings", num(c.ConsentPercent), num(float64(c.ConsentStrings)))},
		{"Countries", weightsText(c.Countries)},
		{"Log of bid requests", c.Source},
		{"Mean request body", plot.Plain.Format(c.RequestBytes) + " bytes"},
		{"Generator", fmt.Sprintf("%s/%s, %d processors, %s", p.Machine.OS, p.Machine.Arch, p.Machine.CPUs, p.Machine.Go)},
		{"Form of the report", p.Schema},
	}
	return slices.DeleteFunc(list, func(s setting) bool { return s.Value == "" })
}

func weightsText(weights []Weight) string {
	sum := 0.0
	for _, w := range weights {
		sum += w.Weight
	}
	var parts []string
	for _, w := range weights {
		parts = append(parts, w.Name+" "+share(w.Weight, sum))
	}
	return strings.Join(parts, ", ")
}

func segmentsText(segments []Segment) string {
	var parts []string
	for _, s := range segments {
		rate := exact(s.From)
		if s.From != s.To {
			rate = "from " + exact(s.From) + " to " + exact(s.To)
		}
		parts = append(parts, rate+" a second for "+exact(s.Seconds)+" s")
	}
	return strings.Join(parts, ", then ")
}

// exact is a figure that somebody asked for, as it is.
func exact(v float64) string {
	if v == math.Trunc(v) {
		return plot.Plain.Format(v)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
