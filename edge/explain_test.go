package edge_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	explainSeed  = flag.Uint64("explainseed", 0, "seed of the random decisions that are explained; 0: the time")
	explainSteps = flag.Int("explainsteps", 3000, "events and decisions of it")
)

// To explain a decision is to look at every rule, where it otherwise stops at the first
// that settles it. Whatever the policy, the person, the place and the signals, the
// verdicts are the same, and for each there is a sentence, which rests on a check.
func TestExplainedVerdictsAreTheVerdicts(t *testing.T) {
	if *explainSeed == 0 {
		*explainSeed = uint64(time.Now().UnixNano())
	}
	t.Logf("-explainseed=%d", *explainSeed)
	w := &world{Rand: rand.New(rand.NewPCG(*explainSeed, 1)), now: 1793491200}
	w.signals(t)
	n := startNode(t, "", w.policy(), requestClock)
	w.lists(n)
	reasons := map[string]int{}
	for step := range *explainSteps {
		if step%100 == 99 {
			w.crowd++
			n.must(200, "PUT", "/v1/policy", "application/yaml", w.policy(), nil)
			w.lists(n)
		}
		w.now += w.Int64N([]int64{2, 600, 7200, 12 * 3600}[w.IntN(4)])
		switch w.IntN(16) {
		case 0, 1, 2, 3, 4, 5:
			n.must(202, "POST", "/v1/events", "application/json", w.event(), nil)
		case 6:
			n.must(200, "POST", "/v1/users/preferences", "application/json", w.preferences(), nil)
		case 7, 8:
			n.must(200, "POST", "/v1/decide", "application/json", w.decision(true), nil)
		default:
			w.compare(t, n, w.decision(false), reasons)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("verdicts: %v", reasons)
	if len(reasons) < 14 {
		t.Errorf("%d kinds of verdicts in %d steps: %v", len(reasons), *explainSteps, reasons)
	}
}

// compare asks once without and once with the explanation.
func (w *world) compare(t *testing.T, n *node, body string, reasons map[string]int) {
	t.Helper()
	var plain, explained answer
	n.must(200, "POST", "/v1/decide", "application/json", body, &plain)
	n.must(200, "POST", "/v1/decide?explain=1", "application/json", body, &explained)
	if len(plain.Decisions) != len(explained.Decisions) {
		t.Fatalf("%d decisions, %d explained\n%s\n%s", len(plain.Decisions), len(explained.Decisions), w.said, body)
	}
	for i, p := range plain.Decisions {
		e := explained.Decisions[i]
		if e.Because == "" || p.Because != "" || p.Checks != nil || len(e.Checks) == 0 {
			t.Errorf("candidate %d: not explained, or without being asked: %+v, %+v\n%s\n%s", i, p, e, w.said, body)
		}
		failed := false
		for _, c := range e.Checks {
			failed = failed || c["pass"] == false
		}
		if p.Show != e.Show || p.Reason != e.Reason || p.RetryAfter != e.RetryAfter || failed == e.Show {
			t.Errorf("candidate %d: %v %q %d; explained %v %q %d: %s\n%v\n%s\n%s",
				i, p.Show, p.Reason, p.RetryAfter, e.Show, e.Reason, e.RetryAfter, e.Because, e.Checks, w.said, body)
		}
		reasons[p.Reason]++
	}
}

// world makes up policies, people and what happens.
type world struct {
	*rand.Rand
	now         int64
	crowd       int              // of people: with each policy there are new ones
	said        string           // the policy in force
	regs, users []map[string]any // as the scenarios have them
}

func (w *world) of(all ...string) string { return all[w.IntN(len(all))] }
func (w *world) once(in int) bool        { return w.IntN(in) == 0 }

// signals gathers the consent signals of all scenarios.
func (w *world) signals(t *testing.T) {
	t.Helper()
	files, _ := filepath.Glob("testdata/scenarios/*.json")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s scenario
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps {
			if regs, ok := step.Decide["regs"].(map[string]any); ok {
				w.regs = append(w.regs, regs)
			}
			if user, ok := step.Decide["user"].(map[string]any); ok && user["consent"] != nil {
				w.users = append(w.users, user)
			}
		}
	}
	if len(w.regs) < 10 || len(w.users) < 3 {
		t.Fatalf("%d and %d signals in the scenarios", len(w.regs), len(w.users))
	}
}

// policy makes up a policy of the campaigns c0 to c9.
func (w *world) policy() string {
	var b strings.Builder
	fmt.Fprintf(&b, "timezone: %s\nno_id: %s\nsensitive: [health, \"cat:286\", \"cat:IAB7\"]\n", w.of("UTC", "Europe/Berlin", "America/New_York"), w.of("skip", "show"))
	fmt.Fprintf(&b, "consent: {vendor: %s, purposes: {contextual: %s, storage: %s}}\n", w.of("0", "0", "755"), w.of("[]", "[]", "[2]"), w.of("[1]", "[]"))
	b.WriteString("markets:\n")
	for i, where := range []string{"countries: [USA], regions: [CA], ", "countries: [USA], ", "countries: [DEU, FRA], ", ""} {
		fmt.Fprintf(&b, "  - {name: m%d, %srequire: %s, cap_factor: %s, precision: %s", i, where, w.of("none", "none", "none", "none", "none", "none", "opt_out", "tcf"), w.of("1", "1", "0.5", "0.01"), w.of("item", "item", "item", "category", "campaign"))
		if w.once(2) {
			fmt.Fprintf(&b, ", quiet_hours: %q, timezone: %s", w.of("22:00-07:00", "10:00-11:30"), w.of("Europe/Berlin", "Asia/Kathmandu"))
		}
		if w.once(3) {
			b.WriteString(`, sensitive: [shoes, toys, "cat:100"]`)
		}
		b.WriteString("}\n")
	}
	b.WriteString("lists:\n  customers: {id: [user.id], source: first_party, basis: contract" + w.of("", ", max_age: 7d", ", exact: true", ", max_age: 12h, when_stale: show") +
		"}\n  empty: {id: [user.id], source: first_party, basis: contract" + w.of("", ", max_age: 12h") +
		"}\n  orders: {id: [user.id], items: true, source: first_party, basis: contract" + w.of("", ", exact: true") + "}\n")
	if w.once(2) {
		b.WriteString("  left: {kind: opt_out, id: [user.id], source: first_party, basis: objection" + w.of("", ", exact: true", ", max_age: 7d", ", max_age: 7d, when_stale: show") + "}\n")
	}
	b.WriteString("campaigns:\n")
	for i := range 10 {
		w.campaign(&b, i)
	}
	w.said = b.String()
	return w.said
}

func (w *world) campaign(b *strings.Builder, i int) {
	purpose := w.of("retargeting", "acquisition", "contextual")
	fmt.Fprintf(b, "  c%d:\n    advertiser: %s\n    purpose: %s\n    groups: [g]\n    topics: [%s]\n    hold: 10m\n", i, w.of("acme", "bolt"), purpose, w.of("fashion", "toys"))
	if w.once(2) {
		fmt.Fprintf(b, "    caps:\n      - {per: campaign, limit: %d, within: %s}\n      - {per: %s, limit: %d, within: %s}\n", 1+w.IntN(4), w.of("1h", "day", "week"),
			w.of("creative", "item", "category", "advertiser", "group:g", "all", "campaign, channel: web"), 1+w.IntN(6), w.of("24h", "30d", "month", "lifetime"))
	}
	for _, rule := range []string{
		"spacing: 30m", "diversity: {same_creative_in_a_row: 2}", `not_beside: ["cat:386", "cat:IAB7"]`, "suppress: [customers]", "suppress: [customers, empty]",
		"purchased: {item: 90d, category: 30d, lists: [orders]}", "purchased: {advertiser: 1d}", "active: {from: " + w.date(0, 2) + ", to: " + w.date(3, 5) + "}",
		"interest: {least: 2, after: 30m, fresh: 1d, until: 3d, from: [own]}", "interest: {fresh: 1h, until: 7d}",
	} {
		name, _, _ := strings.Cut(rule, ":")
		if w.once(4) && !strings.Contains(b.String()[strings.LastIndex(b.String(), fmt.Sprintf("  c%d:", i)):], "    "+name+":") {
			b.WriteString("    " + rule + "\n")
		}
	}
}

// date is one in so many days, as a policy writes it.
func (w *world) date(from, to int64) string {
	return time.Unix(w.now+86400*(from+w.Int64N(to-from)), 0).UTC().Format(time.DateOnly)
}

// lists uploads some of the lists; a policy without the upload of one finds it empty or
// too old.
func (w *world) lists(n *node) {
	if w.once(2) {
		_, _ = n.do("PUT", "/v1/lists/customers?force=1&id=user.id", "text/plain", w.user(1)+"\n"+w.user(2)+"\n")
		_, _ = n.do("PUT", "/v1/lists/orders?force=1&id=user.id&column=c&item_column=i", "text/csv", "c,i\n"+w.user(1)+",sku-1\n"+w.user(3)+",sku-2\n")
	}
	if w.once(2) {
		_, _ = n.do("PUT", "/v1/lists/left?force=1&id=user.id", "text/plain", w.user(4)+"\n")
	}
}

func (w *world) user(n int) string { return fmt.Sprintf("u-%d-%d", w.crowd, n) }

// person is one of a few people, under one or more identifiers, or nobody.
func (w *world) person() map[string]any {
	user := map[string]any{}
	if !w.once(8) {
		user["id"] = w.user(w.IntN(5))
	}
	if w.once(3) {
		user["buyeruid"] = fmt.Sprintf("b-%d-%d", w.crowd, w.IntN(3))
	}
	return user
}

func (w *world) event() string {
	e := map[string]any{
		"type": w.of("impression", "impression", "impression", "impression", "impression", "impression", "impression", "purchase", "purchase", "return", "hide"), "user": w.person(),
		"campaign": fmt.Sprintf("c%d", w.IntN(11)), "at": w.now, "channel": w.of("web", "app"), "device": map[string]any{"geo": map[string]any{"country": "USA"}},
	}
	w.names(e)
	return w.encode(e)
}

func (w *world) names(of map[string]any) {
	if w.once(2) {
		of["creative"] = w.of("k-1", "k-2", "k-3")
	}
	if w.once(2) {
		of["item"] = w.of("sku-1", "sku-2", "sku-3")
	}
	if w.once(3) {
		of["category"] = w.of("shoes", "toys", "health", strings.Repeat("h", 128), strings.Repeat("ö", 64))
	}
}

func (w *world) preferences() string {
	user := w.person()
	user["id"] = w.user(w.IntN(5))
	return w.encode(map[string]any{
		"user": user, "at": w.now, "personalisation": !w.once(6), "hidden_topics": []string{w.of("fashion", "war", "peace")},
		"hidden_advertisers": []string{w.of("acme", "bolt", "nobody", "none")}, "pause_until": w.now + w.Int64N(2000),
	})
}

// decision is a request for a decision; held: one that keeps places.
func (w *world) decision(held bool) string {
	user, device := w.person(), map[string]any{}
	request := map[string]any{"user": user, "device": device, "at": w.now, "channel": w.of("web", "app")}
	if w.once(8) {
		user["consent"] = w.users[w.IntN(len(w.users))]["consent"]
	}
	if w.once(8) {
		request["regs"] = w.regs[w.IntN(len(w.regs))]
	}
	geo := map[string]any{"country": w.of("USA", "USA", "US", "DEU", "FR", "JPN", "", "??"), "region": w.of("", "CA", "US-CA", "ny", "California")}
	if w.once(2) {
		geo["utcoffset"] = []int{0, 60, -1440, 1440, 345}[w.IntN(5)]
	}
	device["geo"], device["lmt"] = geo, w.IntN(20)/19
	request["site"] = map[string]any{"cat": []string{w.of("483", "1", "53", "IAB7-39", "290", "388", "101", strings.Repeat("9", 128)), w.of("1", "IAB1")}, "cattax": w.IntN(9)}
	var candidates []map[string]any
	for range 1 + w.IntN(14) {
		c := map[string]any{"campaign": fmt.Sprintf("c%d", w.IntN(11))}
		if w.names(c); w.once(2) {
			c["interest_at"], c["interest_count"], c["interest_from"] = w.now+3600-w.Int64N(5*86400), w.IntN(4), w.of("own", "elsewhere", "")
		}
		candidates = append(candidates, c)
	}
	if request["candidates"] = candidates; held || w.once(3) {
		request["want"] = 1 + w.IntN(4)
	}
	request["hold"] = held
	return w.encode(request)
}

func (w *world) encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
