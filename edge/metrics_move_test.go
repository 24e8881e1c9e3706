package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"restraint/edge"
)

const movePolicy = `
timezone: UTC
markets: [{name: eu, countries: [DEU], require: tcf}, {name: all, require: none}]
unknown: all
lists: {customers: {id: [user.id, email_sha256], source: first_party, basis: contract}}
campaigns:
  shoes: {advertiser: acme, hold: 60s, caps: [{per: campaign, limit: 3, within: 24h}], suppress: [customers]}
`

// What a node counts moves when it happens, by what happened, and by nothing else before.
func TestMetricsMove(t *testing.T) {
	n := startNode(t, "", movePolicy, func(o *edge.Options) { o.MaxRejected = 1 })
	event := func(fields string) func() {
		return func() { n.do("POST", "/v1/events", "application/json", `{`+fields+`}`) }
	}
	decide := func(user, more string) func() {
		return func() {
			n.must(200, "POST", "/v1/decide", "application/json", `{"user":`+user+`,"candidates":[{"campaign":"shoes"}]`+more+`}`, nil)
		}
	}
	people := func(path, more string) func() {
		return func() {
			n.must(200, "POST", "/v1/users/"+path, "application/json", `{"user":{"id":"p-1"}`+more+`}`, nil)
		}
	}
	var token struct{ Token string }
	var uids []string
	for i := range 18 {
		uids = append(uids, fmt.Sprintf(`{"id":"u-%d"}`, i))
	}
	for _, c := range []struct {
		does   string
		do     func()
		metric string
		by     float64
	}{
		{"eighteen identifiers", decide(`{"eids":[{"source":"a.com","uids":[`+strings.Join(uids, ",")+`]}]}`, ""), "restraint_identifiers_dropped_total", 2},
		{"a hold", decide(`{"id":"h-1"}`, `,"want":1,"hold":true`), "restraint_holds_total", 1},
		{"a decision", decide(`{"id":"h-1"}`, ""), "restraint_decide_duration_seconds_count", 1},
		{"a show", decide(`{"id":"d-1"}`, ""), `restraint_decisions_total{verdict="show",reason=""}`, 1},
		{"nobody", decide(`{}`, ""), `restraint_decisions_total{verdict="skip",reason="no_id"}`, 1},
		{"an impression", event(`"type":"impression","user":{"id":"e-1"},"campaign":"shoes"`), `restraint_events_total{type="impression"}`, 1},
		{"events", event(`"type":"impression","user":{"id":"e-1"},"campaign":"shoes"`), "restraint_events_duration_seconds_count", 1},
		{"a wrong event", event(`"type":"impresion"`), "restraint_events_rejected_total", 1},
		{"an event about nobody", event(`"type":"impression","user":{},"campaign":"shoes"`), "restraint_events_without_identifier_total", 1},
		{"an event without permission", event(`"type":"impression","user":{"id":"e-2"},"device":{"geo":{"country":"DEU"}},"campaign":"shoes"`), "restraint_events_not_permitted_to_keep_total", 1},
		{"an unknown campaign", event(`"type":"impression","user":{"id":"e-3"},"campaign":"boots"`), "restraint_events_unknown_campaign_total", 1},
		{"a late event", event(`"type":"impression","user":{"id":"e-4"},"campaign":"shoes","at":1000000000`), "restraint_late_exposures_total", 1},
		{"a new user", event(`"type":"impression","user":{"id":"e-5"},"campaign":"shoes"`), "restraint_users", 1},
		{"a new counter", event(`"type":"impression","user":{"id":"e-6"},"campaign":"shoes"`), "restraint_counters", 1},
		{"a purchase", event(`"type":"purchase","user":{"id":"e-7"},"advertiser":"acme","item":"i"`), "restraint_refusal_users", 1},
		{"a hide of a load test", event(`"type":"hide","user":{"eids":[{"source":"restraint.load","uids":[{"id":"l-1"}]}]},"campaign":"shoes"`), "restraint_reports_uncounted_total", 1},
		{"a hide", event(`"type":"hide","user":{"id":"e-5"},"campaign":"shoes"`), `restraint_reports_total{kind="hide"}`, 1},
		{"a complaint by somebody who saw it", event(`"type":"complaint","user":{"id":"e-6"},"campaign":"shoes"`), "restraint_reports_weighing_total", 1},
		{"a look-up", people("lookup", ""), "restraint_lookups_total", 1},
		{"preferences", people("preferences", `,"personalisation":false`), "restraint_preferences_total", 1},
		{"preferences, on record twice", people("preferences", `,"personalisation":true`), "restraint_audit_entries_total", 2},
		{"a token", func() {
			n.must(200, "POST", "/v1/decide", "application/json", `{"user":{"id":"t-1"},"want":1,"token":true,"candidates":[{"campaign":"shoes"}]}`, &token)
		}, "restraint_ready", 0},
		{"a release", func() { n.do("GET", "/v1/release?t="+token.Token, "", "") }, `restraint_events_total{type="release"}`, 1},
		{"an opt-out by token", func() { n.do("POST", "/v1/opt-out?campaign=shoes&t="+token.Token, "", "") }, "restraint_opt_outs_total", 1},
		{"an erasure", func() { n.must(200, "POST", "/v1/users/erase", "application/json", `{"user":{"id":"t-1"}}`, nil) }, "restraint_erasures_total", 1},
		{"a list", func() { n.do("PUT", "/v1/lists/customers?id=user.id", "text/plain", "c-1\nc-2\n") }, `restraint_list_keys{list="customers"}`, 2},
		{"another upload", func() { n.do("PUT", "/v1/lists/customers?id=user.id", "text/plain", "c-1\nc-2\n") }, `restraint_list_generation{list="customers"}`, 1},
		{"a rejected row", func() {
			n.do("PUT", "/v1/lists/customers?id=email_sha256&force=1", "text/plain", strings.Repeat("ab", 32)+"\nnot hashed\n")
		}, `restraint_list_rejected_rows{list="customers"}`, 1},
		{"a policy", func() {
			n.must(200, "PUT", "/v1/policy", "application/yaml", movePolicy+"  boots: {advertiser: acme}\n", nil)
		}, "restraint_policy_version", 1},
		{"a pilot", func() {
			n.must(200, "PUT", "/v1/policy?pilot=25", "application/yaml", movePolicy+"  boots: {advertiser: acme, spacing: 1h}\n", nil)
		}, "restraint_policy_pilot_ratio", 0.25},
		{"a wrong path", func() { n.do("GET", "/nowhere", "", "") }, `restraint_http_responses_total{code="4xx"}`, 1},
	} {
		before := n.metric(c.metric)
		c.do()
		if after := n.metric(c.metric); after-before != c.by {
			t.Errorf("%s: %s went from %v to %v, not by %v", c.does, c.metric, before, after, c.by)
		}
	}
	before := n.metric("restraint_events_of_erased_total")
	event(`"type":"impression","token":"` + token.Token + `","campaign":"shoes"`)()
	if after := n.metric("restraint_events_of_erased_total"); after != before+1 {
		t.Errorf("a token from before an erasure: %v, then %v", before, after)
	}
	for _, c := range [][2]string{{"go_gc_cycles_total", ""}, {"go_goroutines", ""}, {"process_open_fds", ""}, {"restraint_list_false_positive_rate", `{list="customers"}`}} {
		if n.metric(c[0]+c[1]) <= 0 {
			t.Errorf("%s is 0", c[0])
		}
	}
	start := n.metric("process_start_time_seconds")
	if since := float64(time.Now().Unix()) - start; since < 0 || since > 24*3600 {
		t.Errorf("started %v s ago", since)
	}
}
