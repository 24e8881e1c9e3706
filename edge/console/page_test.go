package console_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// traffic makes a node do something of everything: 12 showings of the hostile campaign, two
// complaints about it, 6 decisions of which one is shown.
func (n *node) traffic() {
	n.Helper()
	for i := range 12 {
		n.event(map[string]any{"type": "impression", "user": user(fmt.Sprint("p-", i)), "campaign": evil})
	}
	for i := range 2 {
		n.event(map[string]any{"type": "complaint", "user": user(fmt.Sprint("p-", i)), "campaign": evil})
		n.event(map[string]any{"type": "impression", "user": user("p-0"), "campaign": "shoes", "at": 1})
	}
	n.call("PUT", "/v1/lists/customers?id=user.id", "m-1\nm-2\nm-3\n", nil)
	n.call("POST", "/v1/decide", `{"user":{"id":"m-1"},"candidates":[{"campaign":"welcome"},{"campaign":"shoes"},{"campaign":"nobody"},{"campaign":"nobody"}]}`, nil)
	n.call("POST", "/v1/decide", `{"user":{"id":"m-1"},"candidates":[{"campaign":"nobody"},{"campaign":"welcome"}]}`, nil)
}

// Each part of the page shows what the node it came from has done and holds.
func TestShowsTheNode(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.traffic()
	n.call("PUT", "/v1/policy?pilot=50", strings.Replace(testPolicy, "limit: 9", "limit: 8", 1), nil)
	n.call("POST", "/v1/decide", `{"user":{"id":"q-1"},"candidates":[{"campaign":"shoes"},{"campaign":"nobody"}]}`, nil)
	p := openTab(t, n.console())
	p.has("#state", "Ready")
	p.has("#name", "edge-<b>1</b>")
	p.has("#node .tiles", "version 1")
	p.has("#node summary", "All")
	p.has("#who", "no keys")

	if got := p.row("#reasons", "unknown campaign"); got["Last hour"] != "4" || got["Of decisions"] != "50.0 %" {
		t.Errorf("unknown campaigns: %q", got)
	}
	if got := p.row("#reasons", "suppressed"); got["Last hour"] != "2" {
		t.Errorf("suppressed: %q", got)
	}
	p.has("#rates", "Shown25.0 %")
	if rate := p.text("#rates div:first-child dd"); rate == "0" || rate == "–" {
		t.Errorf("decisions a second: %q", rate)
	}
	hour := eval[[]string](p, "[...document.querySelectorAll('#hour tbody tr')].map((r) => [...r.querySelectorAll('td')].map((c) => c.textContent).join(' '))")
	if len(hour) == 0 || !strings.HasPrefix(hour[0], "8 ") && len(hour) == 1 {
		t.Errorf("the hour as a table: %q", hour)
	}
	if got := p.row("#lists", "customers"); got["State"] != "ready" || got["Members"] != "3" || got["Generation"] != "1" || !strings.Contains(got["Age"], "of at most 2 d") || !strings.Contains(got["False positives"], "in a million") {
		t.Errorf("list: %q", got)
	}
	if got := p.row("#lists", "orders"); got["State"] != "empty" || got["False positives"] != "none, exact" {
		t.Errorf("list: %q", got)
	}
	if got := p.row("#nodes", "edge-<b>1</b>"); got["State"] != "ready" || got["Policy"] != "version 1" || got["Events behind"] != "0" {
		t.Errorf("node: %q", got)
	}
	if got := p.row("#campaigns", evil); got["Impressions"] != "12" || got["Complaints"] != "2" || !strings.HasPrefix(got["Dial-back"], "lowered") || got["Of 10,000 impressions"] != "1,667" {
		t.Errorf("campaign: %q", got)
	}
	p.has("#pilot", "Version 2 is tried out on 50 %")
	arms := 0
	for _, arm := range []string{"version before", "pilot"} {
		var of int
		if _, err := fmt.Sscan(p.row("#pilot", arm)["Decisions"], &of); err != nil {
			t.Error(err)
		}
		arms += of
	}
	if arms != 2 {
		t.Errorf("%d decisions in the arms, want the 2 since the pilot began", arms)
	}
	// What came from outside is text, and the title is the page's own.
	if elements, title := eval[int](p, "document.querySelectorAll('main img, main b b').length"), eval[string](p, "document.title"); elements != 0 || title != "Restraint console" {
		t.Errorf("%d elements are made of names; the title is %q", elements, title)
	}
	// It goes on, and the filter looks into names.
	n.call("POST", "/v1/decide", `{"user":{"id":"m-2"},"candidates":[{"campaign":"welcome"}]}`, nil)
	p.soon()
	p.await("[...document.querySelectorAll('#reasons tr')].find((r) => r.textContent.startsWith('suppressed'))?.textContent.includes('3')")
	p.tabTo("#only")
	p.keys("ERROR=")
	p.await("document.querySelectorAll('#campaign-rows tbody tr').length === 1")
	p.keys("none such")
	p.has("#campaign-rows", "No campaign has that in its name.")
}

// A percentile of the page is that of the counts it was given.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	for range 50 {
		n.call("POST", "/v1/decide", `{"user":{"id":"m-1"},"candidates":[{"campaign":"welcome"}]}`, nil)
	}
	var h struct {
		Latency struct {
			UpToUS []float64 `json:"up_to_us"`
			Counts [][]int
		}
	}
	n.call("GET", "/v1/history", "", &h)
	sum := make([]int, len(h.Latency.UpToUS)+1)
	for _, counts := range h.Latency.Counts {
		for i, c := range counts {
			sum[i] += c
		}
	}
	p := openTab(t, n.console())
	p.has("#hour tbody tr", "µs")
	for i, q := range []float64{0.5, 0.99, 0.999} {
		name := []string{"p50", "p99", "p99.9"}[i]
		from, to := bucketOf(sum, h.Latency.UpToUS, q)
		shown := p.text(fmt.Sprintf("#rates div:nth-child(%d) dd", 3+i))
		var value float64
		var unit string
		if _, err := fmt.Sscan(shown, &value, &unit); err != nil {
			t.Fatalf("%s is %q: %v", name, shown, err)
		}
		if value *= map[string]float64{"µs": 1, "ms": 1000, "s": 1e6}[unit]; value < from*0.9 || value > to*1.1 {
			t.Errorf("%s is %s, which is not within %v and %v µs", name, shown, from, to)
		}
	}
}

// bucketOf is where the quantile lies, as far as the counts tell, in microseconds.
func bucketOf(counts []int, bounds []float64, q float64) (from, to float64) {
	all, below := 0, 0
	for _, c := range counts {
		all += c
	}
	for i, c := range counts {
		if c > 0 && float64(below+c) >= q*float64(all) {
			return append([]float64{0}, bounds...)[i], append(bounds, bounds[len(bounds)-1])[i]
		}
		below += c
	}
	return 0, 0
}

// A campaign is released with the keyboard alone, whatever it is called, and the reason is
// on record as it was typed; who thinks better of it changes nothing.
func TestRelease(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.traffic()
	type review struct {
		Level    string
		Released struct{ Why string }
	}
	of := func() (r review) {
		n.call("GET", "/v1/campaigns/"+url.PathEscape(evil)+"/review", "", &r)
		return r
	}
	p := openTab(t, n.console())
	p.await("document.querySelector('[data-release]')")
	p.tabTo("[data-release]")
	p.keys(kb.Enter)
	p.await("document.querySelector('#release').open")
	p.has("#release-h", "Release "+evil+"?")
	p.has("#release-about", "It is lowered.")
	p.keys(kb.Escape)
	p.await("!document.querySelector('#release').open && document.activeElement.matches('[data-release]')")
	if got := of(); got.Level != "lowered" {
		t.Fatalf("after Escape: %+v", got)
	}
	p.keys(kb.Enter)
	p.tabTo("#release-why")
	p.keys("geprüft – 3 × gelöst")
	p.tabTo("#release-yes")
	p.keys(kb.Enter)
	p.has("#release-said", "Its level is now: none")
	p.await("document.activeElement.matches('#release-no')")
	p.keys(kb.Enter)
	p.await("!document.querySelector('#release').open && !document.querySelector('[data-release]')")
	if got := of(); got.Level != "none" || got.Released.Why != "geprüft – 3 × gelöst" {
		t.Errorf("after the release: %+v", got)
	}
	if got := p.row("#campaigns", evil); got["Dial-back"] != "none" {
		t.Errorf("campaign: %q", got)
	}
}

// While the node is away the page says so, and of when what it shows is; once it is back, it
// shows that node, without a hand.
func TestNodeAwayAndBack(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.traffic()
	p := openTab(t, n.console(), "net::ERR_", "status of 503")
	p.has("#reasons", "suppressed")
	n.stop()
	p.has("#state", "No answer")
	p.has("#notice", "What is shown is of")
	p.has("#reasons", "suppressed")
	n.start(nil)
	p.has("#state", "Ready")
	p.await("document.querySelector('#notice').textContent === ''")
	p.has("#reasons", "Nothing was skipped.")
	if got := p.row("#lists", "customers"); got["Members"] != "3" {
		t.Errorf("list: %q", got)
	}
}

// Whoever pauses the page has it stand still until they let it go on.
func TestPause(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	p := openTab(t, n.console())
	// A hundred times as fast, so that there is something to stand still.
	eval[bool](p, `(() => {
		const timeout = window.setTimeout, now = Date.now.bind(Date), begun = now();
		window.setTimeout = (f, ms) => timeout(f, ms / 100);
		Date.now = () => begun + 100 * (now() - begun);
		return true;
	})()`)
	p.soon()
	turns := func() (n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, address := range p.urls {
			if strings.HasSuffix(address, "/readyz") {
				n++
			}
		}
		return n
	}
	later := func(more int) bool { // after so many turns, had there been any
		for from, tries := turns(), 0; turns() < from+more; tries++ {
			if tries == 40 {
				return false
			}
			eval[bool](p, "new Promise((done) => setTimeout(() => done(true), 2000))", awaited)
		}
		return true
	}
	if !later(3) {
		t.Fatal("the page does not go on by itself")
	}
	p.press("#pause")
	p.await("document.querySelector('#pause').getAttribute('aria-pressed') === 'true'")
	later(1) // the turn that was under way
	if later(1) {
		t.Error("it goes on though it is paused")
	}
	p.press("#pause")
	if !later(3) {
		t.Error("it does not go on again")
	}
}

// trouble has the page be answered what a node of a cluster says when things are wrong.
const trouble = `(() => {
	const real = window.fetch;
	window.fetch = async (path, options) => {
		const response = await real(path, options);
		if (!["/v1/status", "/v1/lists", "/readyz"].includes(path)) return response;
		const a = await response.json();
		if (path === "/readyz") {
			if (window.notReady) a.ready = false;
			a.conditions = a.conditions.map((c) => (c.name === "clock" && window.notReady ? { name: "clock", ready: false, detail: "the wall clock is 5m0s ahead" } : c));
		}
		if (path === "/v1/status") a.replication = { broker: "cluster", connected: !window.cut, problem: window.cut ? "connection refused" : "", events: { behind: 7 }, refusals: { behind: 0 } };
		if (path === "/v1/lists" && !window.cut) {
			a.lists[0] = { ...a.lists[0], state: "damaged", generation: 1795343401906, nodes: [{ node: "b", state: "stale", current: false }], seen: [{ source: "user.id", silent: true }] };
			a.nodes = [{ node: "a", heard: 7, ready: false, policy: 1, events_behind: 1234, refusals_behind: 0 }, { node: "b", heard: 4000, ready: true, policy: 2, events_behind: 0, refusals_behind: 0 }, { node: "old", heard: 3 }];
		}
		return new Response(JSON.stringify(a));
	};
	return true;
})()`

// What is wrong with nodes and lists is said, and not by colour alone.
func TestTrouble(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	p := openTab(t, n.console())
	p.has("#pilot", "No policy")
	eval[bool](p, trouble)
	p.soon()
	if got := p.row("#nodes", "a"); got["State"] != "not ready" || got["Policy"] != "version 1" || got["Events behind"] != "1,234 messages" || got["Lists current"] != "–" {
		t.Errorf("a: %q", got)
	}
	if got := p.row("#nodes", "b"); got["State"] != "was ready" || !strings.Contains(got["Heard"], "66 min ago") || !strings.Contains(got["Heard"], "silent") || got["Lists current"] != "0 of 1" {
		t.Errorf("b: %q", got)
	}
	if got := p.row("#nodes", "old"); got["State"] != "not known" || got["Events behind"] != "–" {
		t.Errorf("old: %q", got)
	}
	name := eval[string](p, "document.querySelector('#lists tbody th').firstChild.textContent")
	if got := p.row("#lists", name); !strings.HasPrefix(got["State"], "damaged") || !strings.Contains(got["State"], "no request in 24 h carried user.id") ||
		got["Generation"] != "1795343401906" || got["On the nodes"] != "b: stale, another generation" {
		t.Errorf("list: %q", got)
	}
	eval[bool](p, "window.cut = true")
	p.soon()
	p.has("#nodes", "NATS is away")
	p.soon()
	p.has("#state", "Ready, NATS away")
	p.has("#node .tiles", "connection refused")
	p.has("#lists", "not known while NATS is away")
	eval[bool](p, "window.notReady = true")
	p.soon()
	p.has("#state", "Not ready")
	if got := p.row("#node", "Clock"); got["State"] != "not met" || got["What the node says"] != "the wall clock is 5m0s ahead" {
		t.Errorf("clock: %q", got)
	}
	if first := eval[string](p, "document.querySelector('#node tbody th').textContent"); first != "Clock" {
		t.Errorf("the first condition is %q, want the one that is not met", first)
	}
}
