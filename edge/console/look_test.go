package console_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// filled opens the page of a node with something in every part, a person looked up, and all
// details open.
func filled(t *testing.T) *tab {
	t.Helper()
	n := startNode(t, nil)
	n.traffic()
	n.call("PUT", "/v1/policy?pilot=50", strings.Replace(testPolicy, "limit: 9", "limit: 8", 1), nil)
	n.event(map[string]any{"type": "purchase", "user": user("p-0"), "advertiser": "acme", "item": "sku"})
	p := openTab(t, n.console())
	p.has("#pilot", "is tried out")
	p.fill("#identifier", "p-0")
	p.keys(kb.Enter)
	p.has("#person-said", "Found")
	eval[bool](p, hourLong)
	p.soon()
	p.await("document.querySelectorAll('.chart > svg .line').length === 5")
	eval[bool](p, "document.querySelectorAll('details').forEach((d) => { d.open = true; }), true")
	return p
}

// hourLong has the page be answered a whole hour of history: the node's own step, 360 times,
// with a quarter of an hour in which nothing was asked.
const hourLong = `(() => {
	const real = window.fetch;
	window.fetch = async (path, options) => {
		const response = await real(path, options);
		if (path !== "/v1/history") return response;
		const h = await response.json(), last = h.end.length - 1, steps = [...Array(360).keys()];
		const column = (c) => steps.map((i) => (i > 100 && i < 190 ? 0 : Math.round(c[last] * (1 + i % 7)) + (i % 3)));
		for (const all of [h.decisions, h.answers]) for (const key of Object.keys(all)) all[key] = column(all[key]);
		h.events = column(h.events);
		h.requests = column(h.requests);
		h.latency.counts = steps.map((i) => h.latency.up_to_us.concat(0).map((_, k) => (i > 100 && i < 190 ? 0 : k === 4 ? 100 : k === 9 + i % 4 ? 3 : 0)));
		h.end = steps.map((i) => Math.floor(h.end[last] / 10) * 10 - 10 * (359 - i));
		h.seconds = steps.map(() => 10);
		return new Response(JSON.stringify(h));
	};
	return true;
})()`

// The charts have a line for each of their series, broken where nothing was asked, with
// round numbers at both axes, units, and a legend that tells the lines apart without colour;
// the table below has the same hour.
func TestCharts(t *testing.T) {
	t.Parallel()
	p := filled(t)
	for selector, want := range map[string]int{"#rate-chart > svg > .line": 2, "#latency-chart > svg > .line": 3, "#rate-chart .legend li": 2, "#latency-chart .legend li": 3} {
		if got := eval[int](p, fmt.Sprintf("document.querySelectorAll(%s).length", quote(selector))); got != want {
			t.Errorf("%d of %s, want %d", got, selector, want)
		}
	}
	dashes := eval[[]string](p, "[...document.querySelectorAll('#latency-chart .legend .line')].map((l) => getComputedStyle(l).strokeDasharray)")
	if slices.Sort(dashes); len(slices.Compact(dashes)) != 3 {
		t.Errorf("lines are drawn alike: %q", dashes)
	}
	if moves := eval[int](p, "document.querySelector('#latency-chart > svg > .line').getAttribute('d').split('M').length - 1"); moves != 2 {
		t.Errorf("a line of %d pieces, want 2: before and after the time without requests", moves)
	}
	for chart, want := range map[string]string{"#rate-chart": "per s", "#latency-chart": "µs"} {
		axis := strings.Join(eval[[]string](p, fmt.Sprintf("[...document.querySelectorAll('%s svg text')].map((t) => t.textContent)", chart)), " ")
		if !strings.Contains(axis, want) || !strings.Contains(axis, ":00") {
			t.Errorf("the axes of %s say %q", chart, axis)
		}
	}
	rows := eval[int](p, "document.querySelectorAll('#hour table:first-child tbody tr').length")
	if rows != 12 && rows != 13 {
		t.Errorf("the table has %d rows, want the hour by five minutes", rows)
	}
	reasons := eval[[]string](p, "[...document.querySelectorAll('#hour table + table tr')].map((r) => r.children.length + r.firstChild.textContent)")
	if len(reasons) != 3 || reasons[0] != "7Reason" && reasons[0] != "8Reason" || !strings.HasSuffix(reasons[1], "unknown campaign") {
		t.Errorf("the table of reasons has %q, want the hour by ten minutes", reasons)
	}
	if outside := eval[[]string](p, `[...document.querySelectorAll(".chart > svg text")].filter((t) => { const a = t.getBoundingClientRect(), b = t.closest("figure").getBoundingClientRect(); return a.left < b.left - 1 || a.right > b.right + 1; }).map((t) => t.textContent)`); len(outside) != 0 {
		t.Errorf("labels are outside of their charts: %q", outside)
	}
}

// heard is a node of the accessibility tree.
type heard struct{ role, name, level string }

// accessible is what assistive technology is told of the page.
func (t *tab) accessible() (all []heard) {
	t.Helper()
	tree, err := chromedp.Call(t.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	text := func(v *accessibility.Value) (s string) {
		if v != nil && json.Unmarshal(v.Value, &s) != nil {
			return string(v.Value)
		}
		return s
	}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		h := heard{role: text(n.Role), name: strings.TrimSpace(text(n.Name))}
		for _, p := range n.Properties {
			if p.Name == "level" {
				h.level = string(p.Value.Value)
			}
		}
		all = append(all, h)
	}
	return all
}

// Every control, table and chart has a name, headings go down a level at a time, and each
// landmark is there once.
func TestAccessibleTree(t *testing.T) {
	t.Parallel()
	p := filled(t)
	named := []string{"button", "link", "textbox", "searchbox", "combobox", "checkbox", "DisclosureTriangle", "table", "image", "img", "figure", "region", "navigation", "columnheader", "rowheader"}
	count := map[string]int{}
	last := 0
	for _, h := range p.accessible() {
		count[h.role]++
		if slices.Contains(named, h.role) && h.name == "" {
			t.Errorf("a %s has no name", h.role)
		}
		if h.role == "heading" {
			var level int
			if _, err := fmt.Sscan(h.level, &level); err != nil || level > last+1 {
				t.Errorf("heading %q has level %s after %d", h.name, h.level, last)
			}
			last = level
		}
		if h.role == "image" && !strings.Contains(h.name, "table below") {
			t.Errorf("a chart is called %q", h.name)
		}
	}
	for role, least := range map[string]int{"table": 10, "button": 8, "textbox": 6, "checkbox": 1, "image": 2, "columnheader": 50, "rowheader": 20, "heading": 9, "region": 7} {
		if count[role] < least {
			t.Errorf("only %d of role %s", count[role], role)
		}
	}
	for _, role := range []string{"banner", "navigation", "main", "contentinfo"} {
		if count[role] != 1 {
			t.Errorf("%d of role %s", count[role], role)
		}
	}
	if ids := eval[[]string](p, "[...document.querySelectorAll('[id]')].map((e) => e.id)"); len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
		t.Error("an id is there twice")
	}
	if eval[string](p, "document.documentElement.lang") != "en" {
		t.Error("the page has no language")
	}
	// Tables keep their rows and cells where rows are laid out as blocks.
	p.do(chromedp.EmulateViewport(360, 800))
	cells := map[string]int{}
	for _, h := range p.accessible() {
		cells[h.role]++
	}
	if cells["table"] != count["table"] || cells["rowheader"] != count["rowheader"] || cells["columnheader"] != count["columnheader"] || cells["cell"]+cells["gridcell"] == 0 {
		t.Errorf("narrow: %d tables, %d row heads, %d column heads; wide: %d, %d, %d", cells["table"], cells["rowheader"], cells["columnheader"], count["table"], count["rowheader"], count["columnheader"])
	}
	for _, width := range []int64{360, 700, 1055, 1058, 1280} {
		p.do(chromedp.EmulateViewport(width, 800))
		if wide := eval[int64](p, "document.documentElement.scrollWidth"); wide > width {
			t.Errorf("a window of %d px scrolls sideways over %d px", width, wide)
		}
	}
}

// Tab goes through all that can be used, in the order of the page and around, and shows
// where it is.
func TestFocusOrder(t *testing.T) {
	t.Parallel()
	p := filled(t)
	const reachable = `[...document.querySelectorAll('a, button, input, select, summary')].filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled)`
	want := eval[int](p, reachable+".length")
	eval[bool](p, "document.activeElement.blur(), document.querySelector('.skip').focus(), true")
	for i := range want {
		where := eval[string](p, fmt.Sprintf(`(() => {
			const at = document.activeElement, style = getComputedStyle(at);
			if (%s[%d] !== at) return "out of order: " + at.outerHTML.slice(0, 100);
			if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "cannot be seen: " + at.outerHTML.slice(0, 100);
			return "";
		})()`, reachable, i))
		if where != "" {
			t.Fatalf("stop %d of %d: %s", i, want, where)
		}
		p.keys(kb.Tab)
	}
	if want < 25 {
		t.Errorf("only %d stops", want)
	}
	// The way past the head of the page.
	eval[bool](p, "document.querySelector('.skip').focus(), true")
	p.keys(kb.Enter)
	p.await("document.activeElement.matches('main')")
}

// contrasts are all texts and lines of the page whose contrast to what is behind them is
// below what WCAG 2.2 asks for at level AA: 4.5 to 1 for text, 3 to 1 where it is large
// (1.4.3) and for lines of charts and borders of fields (1.4.11).
const contrasts = `(() => {
	const numbers = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length && c[3] !== 0) return c; } return [255, 255, 255]; };
	const low = [];
	let seen = 0;
	const look = (what, colour, e, least) => { seen++; const r = ratio(numbers(colour), behind(e)); if (r < least) low.push(what + ": " + r.toFixed(2)); };
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement;
		if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest("script, option, button:disabled")) continue;
		const s = getComputedStyle(e), size = parseFloat(s.fontSize);
		look("text " + texts.currentNode.data.trim().slice(0, 40), e instanceof SVGElement ? s.fill : s.color, e, size >= 24 || (size >= 18.66 && s.fontWeight >= 700) ? 3 : 4.5);
	}
	for (const e of document.querySelectorAll("path.line, .spark path, .axis")) look("line " + e.getAttribute("class"), getComputedStyle(e).stroke, e, 3);
	for (const e of document.querySelectorAll("input:not([type=checkbox]), select, button.second, button.quiet")) if (e.checkVisibility()) look("border of " + (e.id || e.textContent), getComputedStyle(e).borderTopColor, e.parentElement, 3);
	return seen < 200 ? ["only " + seen + " seen"] : low;
})()`

// In the light and in the dark everything can be read, also where something is wrong.
func TestContrast(t *testing.T) {
	t.Parallel()
	p := filled(t)
	// What is only there when something is wrong.
	eval[bool](p, `(() => {
		document.querySelector("#key").hidden = false;
		for (const [id, tone] of [["notice", "bad"], ["notice", "warn"], ["notice", "good"]]) {
			const e = document.createElement("p");
			e.className = "notice"; e.dataset.tone = tone; e.textContent = tone;
			document.getElementById(id).after(e);
			const b = document.createElement("p");
			b.className = "badge"; b.dataset.tone = tone; b.textContent = tone;
			document.querySelector(".bar").append(b);
		}
		document.getElementById("key-fault").textContent = "fault";
		return true;
	})()`)
	for _, scheme := range []string{"light", "dark"} {
		_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, low := range eval[[]string](p, contrasts) {
			t.Errorf("%s: %s", scheme, low)
		}
		if dark := eval[string](p, "getComputedStyle(document.body).backgroundColor") == "rgb(22, 22, 20)"; dark != (scheme == "dark") {
			t.Errorf("%s: the ground is dark: %v", scheme, dark)
		}
	}
}
