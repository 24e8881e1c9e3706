package loadtest

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/loadtest/plot"
)

var keepPages = flag.String("keep-pages", "", "folder in which the pages that the tests make are kept, to be looked at")

// htmlReport is a report of a run in which the node stalled at 12 s.
func htmlReport() *Report {
	random := rand.New(rand.NewPCG(1, 2))
	corrected, service := newLatencies(), newLatencies()
	r := &Report{
		Schema: ReportSchema, Outcome: OutcomeMissed, Validity: Validity{Valid: true}, StartedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Seconds: 30.4,
		Notes:   []string{"the policy has no caps that can be recounted"},
		Machine: LoadMachine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.0"},
		Config: LoadConfig{
			Addr: "127.0.0.1:8080", Schedule: ShapeConstant, Arrivals: ArrivalsPoisson, Rate: 4000, Segments: []Segment{{30.4, 4000, 4000}}, DurationSeconds: 30.4,
			Connections: 32, Mix: []Weight{{"decide", 95}, {"impression", 5}}, Seed: 77, Users: 1_000_000, Zipf: 1.1, Candidates: 20, Campaigns: 12, RequestBytes: 1834,
		},
		Target:   LoadTarget{Network: "tcp", Version: "v1.4.2", Policy: 12},
		Errors:   []Count{{"timeout", 41}, {"http_503", 7}},
		Verdicts: LoadVerdicts{Decisions: 2_310_400, Shown: 1_500_123, Skipped: 810_277, Reasons: []Count{{"cap", 700_000}, {"spacing", 110_000}, {"no_consent", 277}}},
		Requests: LoadRequests{Offered: 121_600, Started: 121_600, Completed: 121_559, Good: 121_552, Late: 912, OfferedPerSecond: 4000, StartedPerSecond: 4000, CompletedPerSecond: 3998.7, GoodPerSecond: 3998.4, BytesSent: 223_000_000, BytesReceived: 98_765_432},
		Server: &ServerSide{
			Decides: 115_520, MeanUS: 21.5, P50US: 18.2, P99US: 77.7, P999US: 313, CPUSeconds: 5.25, CPUUSPerRequest: 43.2, ResidentBytes: 734_003_200,
			Buckets: []ServerBucket{{5, 0}, {10, 1234}, {20, 70_000}, {50, 40_000}, {100, 4000}, {1000, 286}, {0, 0}},
		},
		SLOs: []SLOResult{{"p99<1ms", "p99", 1000, 203_000, false}, {"errors<0.1%", "errors", 0.1, 0.0395, true}},
	}
	r.Timeline.StepSeconds = 1
	for second := range 31 {
		steps := newLatencies()
		for i := range 4000 {
			took := time.Duration(80e3*math.Exp(random.NormFloat64()/2)) + time.Duration(random.ExpFloat64()*20e3)
			note(service, took)
			if second == 12 && i < 1000 {
				took += 200 * time.Millisecond * time.Duration(1000-i) / 1000
			}
			note(corrected, took)
			note(steps, took)
		}
		s := TimelineStep{AtSeconds: float64(second), OfferedPerSecond: 4000, StartedPerSecond: 4000, CompletedPerSecond: 4000 - 8*float64(second%3), GoodPerSecond: 4000 - 8*float64(second%3)}
		p := percentilesOf(steps)
		s.P50US, s.P99US, s.MaxUS = p.P50US, p.P99US, p.MaxUS
		if second == 12 {
			s.Errors, s.CompletedPerSecond, s.GoodPerSecond = 48, 3200, 3152
		}
		r.Timeline.Steps = append(r.Timeline.Steps, s)
	}
	r.Latency = Latency{Of: "decide", Corrected: percentilesOf(corrected), Service: percentilesOf(service)}
	r.Spectrum = Spectrum{spectrumOf(corrected), spectrumOf(service)}
	r.Kinds = []KindLatency{{"decide", 115_520, 115_479, 41, r.Latency.Corrected, r.Latency.Service}, {"impression", 6080, 6073, 7, r.Latency.Corrected, r.Latency.Service}}
	r.Generator = Generator{Lag: Percentiles{Count: 9, P50US: 3.1, P99US: 44.4, P999US: 122, MaxUS: 777}, MostOutstanding: 31, CPUSeconds: 9.75, CPUUSPerRequest: 80.2, CPUShare: 0.321, ProcessorWaitSeconds: 0.567}
	r.Knee = &Knee{Rate: 16_000, BrokeAt: 18_000, LimitedBy: "slo", Steps: []KneeStep{
		{4000, 3998, 81, 310, 700, 0, 40, OutcomePass, ""},
		{8000, 7999, 88, 350, 812, 0, 43, OutcomePass, ""},
		{16_000, 15_990, 120, 930, 2400, 0, 50, OutcomePass, ""},
		{32_000, 21_000, 90_000, 310_000, 400_000, 0.4, 900, OutcomeInvalid, "the generator used all of its processors"},
		{18_000, 17_800, 300, 5600, 12_000, 0, 61, OutcomeMissed, "p99<1ms: 5.6 ms"},
	}}
	r.Oracle = &LoadRecount{Caps: []string{"spring: 3/24h"}, Decisions: 54_321, Shown: 50_000, Capped: 4321, OverDelivered: 5, OverDeliveredPerMille: 0.1, Racing: 17, Impressions: 6073, OverLimit: 3, OverLimitPerMille: 0.494}
	return r
}

// loadHTML is the page of a report.
func loadHTML(t *testing.T, r *Report, command string) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.WriteHTML(&out, command); err != nil {
		t.Fatal(err)
	}
	keepPage(t, out.Bytes())
	return out.String()
}

func keepPage(t *testing.T, page []byte) {
	t.Helper()
	if *keepPages == "" {
		return
	}
	name := filepath.Join(*keepPages, strings.NewReplacer("/", "-").Replace(t.Name())+".html")
	if err := os.WriteFile(name, page, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The page holds every figure of the parts that it shows.
func TestLoadPageHoldsTheReport(t *testing.T) {
	r := htmlReport()
	page := mustBePage(t, loadHTML(t, r, "restraint load --rate 4000 --duration 30s"), true)
	us, num := plot.Micros.Format, plot.Plain.Format
	var want []string
	for _, part := range []any{r.Latency.Corrected, r.Latency.Service, r.Requests, r.Generator, *r.Server, *r.Oracle, r.Verdicts} {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			switch name, f := v.Type().Field(i).Name, v.Field(i); {
			case strings.HasPrefix(name, "Bytes"), name == "ResidentBytes":
				want = append(want, bytesText(f.Int()))
			case f.Kind() == reflect.Int64, f.Kind() == reflect.Int:
				want = append(want, num(float64(f.Int())))
			case f.Kind() == reflect.Float64 && (strings.HasSuffix(name, "US") || strings.HasSuffix(name, "USPerRequest")):
				want = append(want, us(f.Float()))
			case f.Kind() == reflect.Float64:
				want = append(want, num(f.Float()))
			}
		}
	}
	for _, c := range append(slices.Clone(r.Errors), r.Verdicts.Reasons...) {
		want = append(want, c.Name, num(float64(c.N)))
	}
	for _, s := range r.Knee.Steps {
		want = append(want, num(s.Rate), num(s.GoodPerSecond), us(s.P50US), us(s.P99US), us(s.P999US), us(s.LagP99US), s.Why)
	}
	for _, s := range r.Timeline.Steps {
		want = append(want, plot.Seconds.Format(s.AtSeconds), num(s.GoodPerSecond), us(s.P50US), us(s.P99US), us(s.MaxUS), num(float64(s.Errors)))
	}
	for _, k := range r.Kinds {
		want = append(want, k.Kind, num(float64(k.Offered)), num(float64(k.Good)), num(float64(k.Failed)))
	}
	for _, b := range r.Server.Buckets[1:6] {
		want = append(want, "up to "+us(b.UpToUS), num(float64(b.Count)))
	}
	want = append(want, "p99<1ms", "203 ms", "missed", "0.0395 %", "met", "v1.4.2", "go1.26.0", "restraint load --rate 4000 --duration 30s", "2026-03-04 05:06:07 UTC",
		"The policy has no caps that can be recounted.", "Valid, but an objective was missed", "no answer within the time allowed", "answered with the HTTP status 503", "decide 95.0 %, impression 5.0 %")
	for _, w := range want {
		if !strings.Contains(page.text, w) {
			t.Errorf("the page lacks %q", w)
		}
	}
	if strings.Contains(page.text, "up to 5 µs") || strings.Contains(page.text, "more") && strings.Contains(page.text, "<th scope=\"row\">more") {
		t.Error("buckets that are empty at the ends are shown")
	}
}

// What the script draws is the report's figures.
func TestLoadPageCharts(t *testing.T) {
	r := htmlReport()
	page := mustBePage(t, loadHTML(t, r, ""), true)
	charts := map[string]plot.Chart{}
	for _, c := range page.charts {
		charts[c.ID] = c
	}
	if len(charts) != 5 {
		t.Fatalf("%d charts", len(charts))
	}
	p := charts["percentiles"]
	for i, x := range p.At {
		q := 1 - 1/x
		at := slices.IndexFunc(r.Spectrum.Corrected, func(s SpectrumPoint) bool { return s.Quantile >= q-1e-9 })
		if got, want := float64(p.Lines[0].Values[i]), r.Spectrum.Corrected[at].ValueUS; math.Abs(got-want) > want/1000 {
			t.Errorf("corrected at %v: %v, want %v", q, got, want)
		}
	}
	if last, n := p.At[len(p.At)-1], float64(r.Latency.Corrected.Count); math.Abs(last-n) > 1 || float64(p.Lines[0].Values[len(p.At)-1]) != r.Latency.Corrected.MaxUS {
		t.Errorf("the last point is at 1 in %v with %v", last, p.Lines[0].Values[len(p.At)-1])
	}
	for i, s := range r.Timeline.Steps {
		if charts["rates"].Lines[1].Values[i] != plot.Value(s.GoodPerSecond) || charts["latencies"].Lines[1].Values[i] != plot.Value(s.P99US) || charts["errors"].Lines[0].Values[i] != plot.Value(s.Errors) {
			t.Errorf("step %d is drawn otherwise", i)
		}
	}
	k := charts["knee"]
	if !slices.Equal(k.At, []float64{4000, 8000, 16_000, 18_000, 32_000}) || len(k.Marks) != 2 || k.Marks[0].At != 1000 || k.Marks[1].At != 16_000 || !k.Marks[1].OnX {
		t.Errorf("knee at %v with marks %+v", k.At, k.Marks)
	}
	for i, name := range []string{"99 %, objectives met", "99 %, objectives missed", "99 %, not valid"} {
		if l := k.Lines[3+i]; l.Name != name || l.Values[2+i].IsNone() {
			t.Errorf("line %d: %+v, want %q", 3+i, l, name)
		}
	}
}

// Of several tries of a rate each is a point, and the line goes through the last.
func TestKneeChartTries(t *testing.T) {
	r := htmlReport()
	r.Knee.Steps = []KneeStep{{Rate: 20, P99US: 900, Outcome: OutcomeMissed}, {Rate: 10, P99US: 70, Outcome: OutcomeMissed}, {Rate: 10, P99US: 30, Outcome: OutcomePass}}
	c := r.kneeChart()
	line := c.Lines[slices.IndexFunc(c.Lines, func(l plot.Line) bool { return l.Name == "99 %" })]
	met := c.Lines[slices.IndexFunc(c.Lines, func(l plot.Line) bool { return l.Name == "99 %, objectives met" })]
	if !slices.Equal(c.At, []float64{10, 10, 20}) || !slices.Equal(line.Values, []plot.Value{30, 30, 900}) || !met.Values[0].IsNone() || met.Values[1] != 30 {
		t.Errorf("at %v, line %v, met %v", c.At, line.Values, met.Values)
	}
	if len(c.Lines) != 5 {
		t.Errorf("%d lines, though nothing was invalid", len(c.Lines))
	}
}

// The first thing on the page is whether its figures can be believed.
func TestLoadPageSaysWhatItIsWorth(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Report)
		says   []string
		not    []string
	}{
		"invalid": {func(r *Report) {
			r.Outcome, r.Validity = OutcomeInvalid, Validity{Reasons: []string{"the generator was late", "one reason: 97 % of the verdicts"}}
		}, []string{"Not valid: these figures do not describe the node", "The generator was late.", "One reason: 97 % of the verdicts.", `class="first bad"`}, []string{"Nothing was found that keeps"}},
		"passed":     {func(r *Report) { r.Outcome = OutcomePass }, []string{"Valid, and every objective was met", `class="first good"`}, []string{"Not valid"}},
		"cut short":  {func(r *Report) { r.Outcome, r.CutShort = OutcomePass, "interrupted" }, []string{"The run ended early", "(interrupted)", `class="first warn"`}, nil},
		"no knee":    {func(r *Report) { r.Knee = nil }, nil, []string{"The knee", "searched for"}},
		"none met":   {func(r *Report) { r.Knee.Rate = 0 }, []string{"No rate that was tried met the objectives.", "the first step, since none met"}, nil},
		"no server":  {func(r *Report) { r.Server = nil }, []string{"metrics could not be read"}, []string{"In the node"}},
		"no errors":  {func(r *Report) { r.Errors = nil; clear(r.Timeline.Steps[12:13]) }, []string{"No request failed."}, []string{"Failed requests</h3>"}},
		"no oracle":  {func(r *Report) { r.Oracle = nil }, nil, []string{"recounted</h2>"}},
		"no command": {nil, nil, []string{"Run it again"}},
		"closed":     {func(r *Report) { r.Config.Closed = true }, []string{"In a closed loop both lines are the same.", "closed: each connection"}, nil},
		"limited":    {func(r *Report) { r.Knee.LimitedBy = "generator" }, []string{"the node may do more than this"}, nil},
		"nothing":    {func(r *Report) { *r = Report{} }, []string{"No request was measured.", "Not valid"}, nil},
		"long": {func(r *Report) {
			for len(r.Timeline.Steps) < 900 {
				s := r.Timeline.Steps[len(r.Timeline.Steps)-31]
				s.AtSeconds += 31
				r.Timeline.Steps = append(r.Timeline.Steps, s)
			}
		}, []string{"A row is 3 steps of 1 s", "897 s"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := htmlReport()
			if c.change != nil {
				c.change(r)
			}
			text := loadHTML(t, r, "")
			mustBePage(t, text, len(r.Timeline.Steps) > 0)
			main := text[strings.Index(text, "<main>"):]
			for _, want := range c.says {
				if !strings.Contains(main, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(main, not) {
					t.Errorf("the page says %q", not)
				}
			}
			if first := strings.Index(main, "<section"); !strings.HasPrefix(main[first:], `<section class="first`) {
				t.Error("validity is not the first section")
			}
		})
	}
}

// A row of several steps has their means, sums and worst latencies.
func TestTimeTable(t *testing.T) {
	p := loadPage{Report: &Report{}}
	for i := range 301 {
		p.Timeline.Steps = append(p.Timeline.Steps, TimelineStep{AtSeconds: float64(i), OfferedPerSecond: float64(i), GoodPerSecond: 2, Errors: 3, P50US: 5, P99US: float64(100 - i), MaxUS: float64(i)})
	}
	table := p.TimeTable()
	if table.Each != 2 || len(table.Rows) != 151 {
		t.Fatalf("%d rows of %d", len(table.Rows), table.Each)
	}
	if got, want := table.Rows[1], (TimelineStep{AtSeconds: 2, OfferedPerSecond: 2.5, GoodPerSecond: 2, Errors: 6, P50US: 5, P99US: 98, MaxUS: 3}); got != want {
		t.Errorf("row %+v, want %+v", got, want)
	}
	if got := table.Rows[150]; got.OfferedPerSecond != 300 || got.Errors != 3 {
		t.Errorf("last row %+v", got)
	}
}
