package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A stall of the node shows in the corrected latency, since everything that was due
// meanwhile waited, and not in the service time, since only as many requests as there
// are connections were under way. A busy machine stalls by itself, and then shows in
// both: the test looks again.
func TestStallShowsInCorrectedLatencyOnly(t *testing.T) {
	const stall = 200 * time.Millisecond
	var last *Report
	for range 8 {
		f := newLoadNode(t)
		var gate sync.RWMutex
		f.before = func(n int) {
			if n == 400 {
				gate.Lock() // nobody is answered meanwhile
				newStopwatch().pass(stall)
				gate.Unlock()
			}
			gate.RLock()
			defer gate.RUnlock()
		}
		o := f.options()
		o.Config.Rate, o.Config.DurationSeconds, o.Config.Connections = 1000, 1, 4
		o.Config.Mix = []Weight{{"decide", 1}}
		last = mustLoad(t, o)
		if last.Requests.Good != 1000 || last.Requests.Late < 100 {
			t.Fatalf("%+v", last.Requests)
		}
		corrected, service := last.Latency.Corrected.P99US, last.Latency.Service.P99US
		if corrected < 100e3 {
			t.Fatalf("the stall of %v does not show: corrected p99 %s", stall, spanText(corrected))
		}
		if service < corrected/4 {
			// It shows when it was, as well.
			most := slices.MaxFunc(last.Timeline.Steps, func(a, b TimelineStep) int { return int(a.MaxUS - b.MaxUS) })
			if most.AtSeconds != 0 || most.MaxUS < 100e3 {
				t.Errorf("time line %+v", last.Timeline)
			}
			return
		}
	}
	t.Errorf("service time shows the stall: %+v", last.Latency)
}

func TestLoadReports(t *testing.T) {
	f := newLoadNode(t)
	o := f.options()
	o.SLOs = []SLO{mustSLO(t, "errors<1%"), mustSLO(t, "p99<10s")}
	o.Config.WarmUpSeconds = 0.1
	r := mustLoad(t, o)
	q := r.Requests
	if q.Offered != 300 || q.Started != 300 || q.Completed != 300 || q.Good != 300 || len(r.Errors) != 0 || q.OfferedPerSecond != 500 {
		t.Errorf("%+v, errors %v", q, r.Errors)
	}
	decides, impressions := r.Kinds[0], r.Kinds[1]
	if decides.Offered+impressions.Offered != 300 || decides.Good+impressions.Good != 300 || impressions.Offered == 0 || r.Latency.Of != "decide" || r.Latency.Corrected.Count != decides.Offered {
		t.Errorf("%+v", r.Kinds)
	}
	v := r.Verdicts
	if v.Decisions != 4*decides.Offered || v.Shown+v.Skipped != v.Decisions || len(v.Reasons) != 1 || v.Reasons[0] != (Count{"cap", int(v.Skipped)}) || v.Skipped == 0 {
		t.Errorf("%+v", v)
	}
	if r.Server == nil || r.Server.Decides != decides.Offered || r.Target.Policy != 7 || r.Target.Version != "v1" || r.Server.P50US <= 0 {
		t.Errorf("server %+v, target %+v", r.Server, r.Target)
	}
	if r.Generator.Lag.Count != 300 || r.Generator.CPUSeconds <= 0 || r.Generator.MostOutstanding < 1 || r.Generator.MostOutstanding > 16 {
		t.Errorf("%+v", r.Generator)
	}
	if c, s := r.Latency.Corrected, r.Latency.Service; c.P50US < s.P50US || c.MaxUS < s.MaxUS || s.MinUS <= 0 || len(r.Spectrum.Service) < 10 {
		t.Errorf("corrected %+v, service %+v", c, s)
	}
	offered := 0.0
	for _, s := range r.Timeline.Steps {
		offered += s.OfferedPerSecond * r.Timeline.StepSeconds
	}
	if offered != 300 {
		t.Errorf("the time line has %g requests", offered)
	}
	if r.Outcome != OutcomePass && r.Validity.Valid || len(r.SLOs) != 2 || r.Config.Campaigns != 2 || r.Config.RequestBytes < 100 {
		t.Errorf("outcome %s, %+v, %+v", r.Outcome, r.SLOs, r.Validity)
	}
}

func mustSLO(t *testing.T, text string) SLO {
	t.Helper()
	s, err := ParseSLO(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoadPrints(t *testing.T) {
	f := newLoadNode(t)
	o := f.options()
	o.Oracle = true
	o.SLOs = []SLO{mustSLO(t, "p50<1ns")}
	r := mustLoad(t, o)
	var text, hgrm bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHGRM(&hgrm); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"corrected", "service time", "in the node", "p99.99", "own lag", "p50<1ns missed", "over-delivered", "mix decide=50,impression=50", "good", "cap", "a request"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, text.String())
		}
	}
	if lines := strings.Split(hgrm.String(), "\n"); len(lines) < 15 || !strings.Contains(lines[0], "1/(1-Percentile)") || !strings.Contains(hgrm.String(), "#[Max") || !strings.Contains(hgrm.String(), "1.000000000000") {
		t.Errorf("hgrm:\n%s", hgrm.String())
	}
	if r.Outcome != OutcomeMissed && r.Validity.Valid {
		t.Errorf("outcome %s", r.Outcome)
	}
}

func TestLoadCountsErrorsByKind(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *loadNode, o *LoadOptions)
		kind   string
	}{
		"busy":     {func(f *loadNode, _ *LoadOptions) { f.fail = every(10, http.StatusServiceUnavailable) }, "http_503"},
		"refused":  {func(f *loadNode, _ *LoadOptions) { f.fail = every(10, http.StatusBadRequest) }, "http_400"},
		"closed":   {func(f *loadNode, _ *LoadOptions) { f.closes = func(n int) bool { return n%10 == 0 } }, "closed"},
		"not JSON": {func(f *loadNode, _ *LoadOptions) { f.answer = func(int) string { return "hello" } }, "malformed"},
		"too few": {func(f *loadNode, _ *LoadOptions) {
			f.answer = func(int) string { return `{"decisions":[{"show":true}]}` }
		}, "malformed"},
		"no answer": {func(f *loadNode, o *LoadOptions) {
			o.Config.TimeoutSeconds = 0.2
			f.before = func(n int) {
				if n%50 == 0 {
					newStopwatch().pass(600 * time.Millisecond)
				}
			}
		}, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newLoadNode(t)
			o := f.options()
			o.Config.Mix = []Weight{{"decide", 1}}
			c.change(f, &o)
			r := mustLoad(t, o)
			failed := 0
			for _, e := range r.Errors {
				failed += e.N
			}
			if !slices.ContainsFunc(r.Errors, func(e Count) bool { return e.Name == c.kind && e.N > 0 }) || int64(failed)+r.Requests.Good != r.Requests.Offered {
				t.Errorf("errors %v, %+v", r.Errors, r.Requests)
			}
			if c.kind == "closed" && r.Generator.Reconnects == 0 {
				t.Error("no connection was made again")
			}
		})
	}
}

// A node closes connections that nobody used for a while; that is no failure of a
// request.
func TestLoadSendsAgainOnAClosedConnection(t *testing.T) {
	f := newLoadNode(t)
	l := &loader{options: &LoadOptions{}, timeout: 10 * time.Second}
	var err error
	if l.target, err = resolveTarget(t.Context(), "--addr", f.addr(), false); err != nil {
		t.Fatal(err)
	}
	p := &phase{began: time.Now(), timeline: &timeline{step: time.Second}}
	w := &loadWorker{loader: l, measured: newMeasured(p.timeline)}
	event := func(id string) (status int, failure string) {
		w.body = []byte(`{"type":"click","id":"` + id + `","campaign":"a","user":{"eids":[{"source":"s","uids":[{"id":"u"}]}]}}`)
		var x exchange
		a, _ := w.exchange(p, &x, l.head("/v1/events"))
		return a.status, x.failure
	}
	for i, idle := range []bool{true, false} {
		if status, failure := event(fmt.Sprint("first", i)); status != http.StatusAccepted {
			t.Fatalf("status %d, %q", status, failure)
		}
		f.server.CloseClientConnections()
		w.used = time.Now().Add(time.Hour)
		if idle {
			w.used = time.Now().Add(-2 * idleAfter)
		}
		status, failure := event(fmt.Sprint("second", i))
		if idle && status != http.StatusAccepted || !idle && failure != failureClosed {
			t.Errorf("idle %t: status %d, %q", idle, status, failure)
		}
	}
	// The answer that crosses the request may be a 408.
	if err := w.connect(); err != nil {
		t.Fatal(err)
	}
	f.stale.Store(true)
	w.used = time.Now().Add(-2 * idleAfter)
	if status, failure := event("third"); status != http.StatusAccepted {
		t.Errorf("after a 408: status %d, %q", status, failure)
	}
	if w.measured.reconnects != 3 {
		t.Errorf("%d reconnects", w.measured.reconnects)
	}
}

func every(k, status int) func(int) int {
	return func(n int) int {
		if n%k == 0 {
			return status
		}
		return 0
	}
}

// A node that does not keep up: what was due and not sent is an error, and its waiting
// is latency.
func TestLoadSaysWhatWasNotSent(t *testing.T) {
	f := newLoadNode(t)
	f.before = func(int) { newStopwatch().pass(50 * time.Millisecond) }
	o := f.options()
	o.Config.Connections, o.Config.TimeoutSeconds, o.Config.Rate = 1, 0.5, 400
	r := mustLoad(t, o)
	q := r.Requests
	if q.Offered != 240 || q.Started >= 120 || len(r.Errors) == 0 || q.Late < q.Started/2 {
		t.Errorf("%+v, %v", q, r.Errors)
	}
	if r.Latency.Corrected.P50US < 300e3 || r.Latency.Corrected.Count < 240*4/10 {
		t.Errorf("%+v", r.Latency)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "never sent") || !strings.Contains(strings.Join(r.Notes, "\n"), "more --connections") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestLoadValidity(t *testing.T) {
	f := newLoadNode(t)
	f.reason = "no_consent"
	r := mustLoad(t, f.options())
	if r.Outcome != OutcomeInvalid || !strings.Contains(strings.Join(r.Validity.Reasons, "\n"), "skips for the reason no_consent") {
		t.Errorf("%s, %q", r.Outcome, r.Validity.Reasons)
	}
	f = newLoadNode(t)
	f.fail = every(1, http.StatusInternalServerError)
	if r := mustLoad(t, f.options()); r.Outcome != OutcomeInvalid || !strings.Contains(r.why(), "http_500") {
		t.Errorf("%s, %q", r.Outcome, r.Validity.Reasons)
	}
	f = newLoadNode(t)
	f.reason = "cap"
	if r := mustLoad(t, f.options()); strings.Contains(strings.Join(r.Validity.Reasons, "\n"), "short cut") {
		t.Errorf("cap is no short cut: %q", r.Validity.Reasons)
	}
	var lagging Report
	lagging.Requests = LoadRequests{Offered: 100, Started: 100, Completed: 100, Good: 100}
	lagging.Latency.Corrected.P99US, lagging.Generator.Lag.P99US = 1500, 800
	lagging.judge(nil)
	if lagging.Outcome != OutcomeInvalid || !strings.Contains(lagging.why(), "bottleneck") {
		t.Errorf("%+v", lagging.Validity)
	}
	if lagging.judge([]SLO{mustSLO(t, "p99<1ms")}); lagging.Outcome != OutcomeInvalid {
		t.Errorf("an objective missed by the generator: %s", lagging.Outcome)
	}
	if lagging.judge([]SLO{mustSLO(t, "p99<2ms")}); lagging.Outcome != OutcomePass || !strings.Contains(strings.Join(lagging.Notes, "\n"), "bottleneck") {
		t.Errorf("an objective met in spite of the generator: %s, %q", lagging.Outcome, lagging.Notes)
	}
	for _, fine := range []Percentiles{{P99US: 400}, {P99US: 700}} {
		lagging.Generator.Lag = fine
		if lagging.judge(nil); lagging.Outcome != OutcomePass {
			t.Errorf("lag of %g us: %+v", fine.P99US, lagging.Validity)
		}
	}
	lagging.Requests.Started, lagging.Generator.Lag.MeanUS = 90, 5000
	if lagging.judge(nil); lagging.Outcome != OutcomeInvalid {
		t.Error("a generator that did not keep up is valid")
	}
	lagging.Generator.Wait.MeanUS = 1e6
	if lagging.judge(nil); lagging.Outcome != OutcomePass {
		t.Errorf("a target that did not keep up: %q", lagging.Validity.Reasons)
	}
	lagging.Generator.CPUSeconds, lagging.Generator.ProcessorWaitSeconds = 1, 2
	if lagging.judge(nil); !strings.Contains(strings.Join(lagging.Notes, "\n"), "processors were short") {
		t.Errorf("notes %q", lagging.Notes)
	}
	if (&Report{}).faults() == nil {
		t.Error("nothing is valid")
	}
}

// Without an admin listener there are no metrics and no policy, and a load test all the
// same.
func TestLoadWithoutAdmin(t *testing.T) {
	f := newLoadNode(t)
	o := f.options()
	o.Admin, o.CampaignNames = "", []string{"a", "elsewhere"}
	r := mustLoad(t, o)
	if r.Server != nil || r.Target.Policy != 0 || r.Config.Campaigns != 2 || r.Requests.Good != 300 || !strings.Contains(strings.Join(r.Notes, "\n"), "--admin") {
		t.Errorf("%+v, %+v, %q", r.Server, r.Requests, r.Notes)
	}
}

func TestClosedLoop(t *testing.T) {
	f := newLoadNode(t)
	o := f.options()
	o.Config.Closed, o.Config.Connections, o.Config.DurationSeconds = true, 3, 0.3
	o.Config.Schedule, o.Config.Arrivals, o.Config.Rate = "", "", 0
	r := mustLoad(t, o)
	if r.Requests.Good < 10 || r.Requests.Good != r.Requests.Offered || r.Generator.Lag.Count != 0 || len(r.Config.Segments) != 0 {
		t.Errorf("%+v %+v", r.Requests, r.Generator)
	}
}

func TestLoadOverUnixSocket(t *testing.T) {
	f := newLoadNode(t)
	path := filepath.Join(t.TempDir(), "n.sock")
	f.onUnix(path)
	o := f.options()
	o.Config.Addr, o.Admin, o.Key = "unix:"+path, "unix:"+path, "secret"
	r := mustLoad(t, o)
	if r.Requests.Good != 300 || r.Target.Network != "unix" || r.Server == nil {
		t.Errorf("%+v %+v", r.Requests, r.Target)
	}
	if len(f.auth) != 1 || !f.auth["Bearer secret"] {
		t.Errorf("keys sent: %v", f.auth)
	}
}

func TestLoadEvents(t *testing.T) {
	f := newLoadNode(t)
	o := f.options()
	o.Config.Mix = []Weight{{"decide", 2}, {"impression", 1}, {"click", 1}, {"purchase", 1}, {"hide", 1}}
	r := mustLoad(t, o)
	for _, k := range r.Kinds[1:] {
		if int64(f.events[k.Kind]) != k.Good || k.Good == 0 {
			t.Errorf("%s: %d sent, %d arrived", k.Kind, k.Good, f.events[k.Kind])
		}
	}
	f = newLoadNode(t)
	o = f.options()
	o.Config.Want, o.Config.Token = 2, true
	r = mustLoad(t, o)
	if f.tokens == 0 || len(f.accepted) != 0 || f.events["impression"] == 0 {
		t.Errorf("%d tokens, %d events by identity, %v", f.tokens, len(f.accepted), f.events)
	}
	if v := r.Verdicts; v.Skipped == 0 {
		t.Errorf("impressions by token do not count: %+v", v)
	}
}

func TestLoadInterrupted(t *testing.T) {
	f := newLoadNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.before = func(n int) {
		if n == 50 {
			cancel()
		}
	}
	o := f.options()
	o.Config.DurationSeconds = 3600
	r, err := Load(ctx, o)
	if err != nil || r.CutShort == "" || r.Seconds > 600 || r.Requests.Good < 50 || r.Requests.Offered > 100_000 {
		t.Errorf("%v, %+v", err, r)
	}
}
