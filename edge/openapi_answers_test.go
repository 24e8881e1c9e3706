package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"restraint/edge/policy"
)

// request fills in the examples of the parameters.
func (o *operation) request(mediaType string) (target string, header http.Header) {
	target, header = o.path, http.Header{}
	if mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	query := url.Values{}
	for _, p := range o.parameters {
		name := p["name"].(string)
		wanted, upload := together[mediaType]
		upload = upload && strings.HasPrefix(o.path, "/v1/lists/")
		example, ok := p["example"]
		if !ok || upload && p["in"] != "path" && !slices.Contains(wanted, name) {
			continue
		}
		values, isList := example.([]any)
		if !isList {
			values = []any{example}
		}
		for _, value := range values {
			text := fmt.Sprint(value)
			if number, ok := value.(float64); ok {
				text = strconv.FormatFloat(number, 'f', -1, 64)
			}
			switch p["in"] {
			case "path":
				target = strings.ReplaceAll(target, "{"+name+"}", text)
			case "header":
				header.Set(name, text)
			default:
				query.Add(name, text)
			}
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target, header
}

// Answers are as they are described.
func TestOpenAPIAnswers(t *testing.T) {
	d := readOpenAPI(t)
	n, token := d.prepare(t)
	ask := func(user string) string {
		return `{"id":"q","user":{"id":"` + user + `"},"candidates":[{"campaign":"brand-x","creative":"x"},` +
			`{"campaign":"spring-shoes","item":"sku-9"},{"campaign":"welcome-acme"},{"campaign":"nobody"}]}`
	}
	seen := `{"type":"impression","user":{"id":"u-1"},"campaign":"brand-x","creative":"x"}`
	other := strings.ReplaceAll(string(policy.Example), "limit: 3", "limit: 2")
	for _, r := range []request{
		{202, "POST", "/v1/events", "application/x-ndjson", seen + "\n{\n" + seen},
		{202, "POST", "/v1/events", "", seen},
		{200, "POST", "/v1/decide?explain=1", "application/json", ask("u-1")},
		{200, "POST", "/v1/decide?explain=1", "text/plain", ask("u-9")},
		{200, "POST", "/v1/decide", "application/x-www-form-urlencoded", ask("")},
		{200, "POST", "/v1/decide", "", ask("u-1")},
		{204, "GET", "/v1/impression?t=" + token + "&campaign=spring-shoes", "", ""},
		{200, "GET", "/v1/impression.gif?t=" + token + "&campaign=spring-shoes", "", ""},
		{204, "GET", "/v1/release?t=" + token, "", ""},
		{200, "GET", "/v1/why?campaign=spring-shoes&t=" + token, "", ""},
		{204, "POST", "/v1/hide?campaign=spring-shoes&why=creepy&t=" + token, "", ""},
		{204, "POST", "/v1/opt-out?t=" + token, "", ""},
		{201, "PUT", "/v1/lists/acme-orders?id=user.id&column=customer&item_column=sku", "text/csv", "customer,sku\nu-1,sku-1\n"},
		{200, "POST", "/v1/lists/acme-customers/add?id=user.id", "text/plain", "u-10\nu-11\n"},
		{200, "GET", "/v1/lists", "", ""},
		{200, "GET", "/v1/lists/acme-customers", "", ""},
		{200, "POST", "/v1/lists/acme-customers/rollback", "", ""},
		{204, "DELETE", "/v1/lists/acme-orders", "", ""},
		{200, "GET", "/v1/lists/acme-orders", "", ""},
		{200, "PUT", "/v1/policy?dry_run=1", "application/yaml", other},
		{200, "PUT", "/v1/policy", "", other},
		{200, "POST", "/v1/policy/rollback", "", ""},
		{200, "GET", "/v1/policy/history", "", ""},
		{200, "GET", "/v1/policy?version=2", "", ""},
		{200, "GET", "/v1/policy/pilot", "", ""},
		{409, "POST", "/v1/policy/pilot?end=stop", "", ""},
		{400, "PUT", "/v1/policy?pilot=10", "", "retention: {exposures: 1d}\ncampaigns: {}"},
		{200, "PUT", "/v1/policy?pilot=50&dry_run=1", "", other},
		{200, "PUT", "/v1/policy?pilot=50", "", other},
		{409, "PUT", "/v1/policy", "", other + "# a third"},
		{200, "POST", "/v1/decide?explain=1", "application/json", ask("u-1")},
		{200, "GET", "/v1/policy/pilot", "", ""},
		{200, "GET", "/v1/policy/history", "", ""},
		{200, "GET", "/readyz", "", ""},
		{200, "POST", "/v1/policy/pilot?percent=60", "", ""},
		{400, "POST", "/v1/policy/pilot?percent=60&end=stop", "", ""},
		{200, "POST", "/v1/policy/pilot?end=stop", "", ""},
		{200, "GET", "/healthz", "", ""},
		{200, "GET", "/readyz", "", ""},
		{200, "GET", "/metrics", "", ""},
		{200, "GET", "/v1/status", "", ""},
		{200, "GET", "/debug/pprof/", "", ""},
		{200, "GET", "/v1/retention", "", ""},
		{200, "GET", "/v1/report?by=campaign,arm,market,day", "", ""},
		{200, "GET", "/v1/report?format=csv", "", ""},
		{202, "POST", "/v1/events", "", `{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"i"}`},
		{202, "POST", "/v1/events", "", `{"type":"hide","user":{"id":"u-1"},"campaign":"gone"}`},
		{200, "POST", "/v1/decide", "", `{"user":{"id":"u-1"},"want":1,"hold":true,"candidates":[{"campaign":"spring-shoes"}]}`},
		{200, "POST", "/v1/users/preferences", "", `{"user":{"id":"u-1"},"personalisation":false,"hidden_advertisers":["acme","gone"],"hidden_topics":["fashion"],"pause_until":4000000000}`},
		{200, "POST", "/v1/users/lookup", "", `{"user":{"id":"u-1"}}`},
		{200, "POST", "/v1/users/lookup", "", `{"user":{"id":"stranger"}}`},
		{200, "POST", "/v1/users/erase", "", `{"user":{"id":"u-10"},"keep_opt_out":false}`},
		{200, "POST", "/v1/users/erase", "application/json", `{"user":{"id":"u-11"}}`},
		{200, "POST", "/v1/users/lookup", "", `{"user":{"id":"u-11"}}`},
	} {
		d.call(t, n, r.status, r.method, r.target, withType(r.mediaType), r.body)
	}
	served := d.call(t, n, 200, "GET", "/openapi.yaml", nil, "")
	if text, err := os.ReadFile("openapi.yaml"); err != nil || string(text) != string(served) {
		t.Errorf("/openapi.yaml is not the file: %v", err)
	}
}

// Refusals are as they are described.
func TestOpenAPIProblems(t *testing.T) {
	d := readOpenAPI(t)
	n, token := d.prepare(t)
	large := func(bytes int) string { return strings.Repeat(" ", bytes+1) }
	n.must(201, "PUT", "/v1/lists/acme-orders?id=user.id&column=c&item_column=i", "text/csv", "c,i\nu,s\n", nil)
	n.must(200, "POST", "/v1/lists/acme-customers/add?id=user.id", "text/plain", "u-10\nu-11\n", nil)
	for _, r := range []request{
		{400, "POST", "/v1/events", "application/json", `{"type":"impression"}`},
		{413, "POST", "/v1/events", "application/json", large(8 << 20)},
		{415, "POST", "/v1/events", "image/png", "{}"},
		{400, "POST", "/v1/decide", "application/json", `{"candidates":[{"campaign":7},{}]}`},
		{400, "POST", "/v1/decide", "application/json", "{"},
		{413, "POST", "/v1/decide", "application/json", large(256 << 10)},
		{415, "POST", "/v1/decide", "image/png", "{}"},
		{400, "GET", "/v1/decide?user=u-1&want=40", "", ""},
		{400, "GET", "/v1/impression?t=" + token + "&campaign=brand-x", "", ""},
		{400, "GET", "/v1/impression.gif?t=no", "", ""},
		{400, "GET", "/v1/release", "", ""},
		{400, "GET", "/v1/why?campaign=brand-x&t=" + token, "", ""},
		{400, "POST", "/v1/hide?campaign=spring-shoes&why=bored&t=" + token, "", ""},
		{413, "POST", "/v1/hide?campaign=spring-shoes&t=" + token, "application/x-www-form-urlencoded", large(4 << 10)},
		{415, "POST", "/v1/hide?campaign=spring-shoes&t=" + token, "application/json", "{}"},
		{400, "POST", "/v1/opt-out", "", ""},
		{413, "POST", "/v1/opt-out?t=" + token, "", large(4 << 10)},
		{415, "POST", "/v1/opt-out?t=" + token, "image/png", "{}"},
		{404, "GET", "/v1/lists/nobodys", "", ""},
		{404, "PUT", "/v1/lists/nobodys?id=user.id", "text/plain", "u-1\n"},
		{400, "PUT", "/v1/lists/acme-customers?sources=user.id", "text/plain", "u-1\n"},
		{400, "PUT", "/v1/lists/acme-customers?id=user.id&until=1500000000", "text/plain", "u-1\n"},
		{413, "PUT", "/v1/lists/acme-customers?map=a:user.id", "text/csv", large(1 << 20)},
		{415, "PUT", "/v1/lists/acme-customers", "application/pdf", "x"},
		{422, "PUT", "/v1/lists/acme-customers?id=email_sha256", "text/plain", "not a hash\n"},
		{422, "PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "u-10\n"},
		{422, "POST", "/v1/lists/acme-customers/add?id=email_sha256", "text/plain", "not a hash\n"},
		{400, "POST", "/v1/lists/acme-customers/remove?id=ifa", "text/plain", "u-1\n"},
		{404, "POST", "/v1/lists/nobodys/rollback", "", ""},
		{409, "POST", "/v1/lists/acme-orders/rollback", "", ""},
		{404, "DELETE", "/v1/lists/nobodys", "", ""},
		{404, "GET", "/v1/policy?version=9", "", ""},
		{400, "GET", "/v1/policy?version=x", "", ""},
		{400, "PUT", "/v1/policy", "", "campaigns: {a: {advertisre: x}}"},
		{400, "PUT", "/v1/policy?pilot=10", "", string(policy.Example)},
		{413, "PUT", "/v1/policy", "", large(16 << 20)},
		{404, "POST", "/v1/policy/rollback?version=9", "", ""},
		{400, "POST", "/v1/users/lookup", "", `{"user":{}}`},
		{413, "POST", "/v1/users/lookup", "", large(256 << 10)},
		{415, "POST", "/v1/users/lookup", "image/png", "{}"},
		{400, "POST", "/v1/users/erase", "", `{"user":{"id":"u-1"},"keep_optout":true}`},
		{413, "POST", "/v1/users/erase", "", large(256 << 10)},
		{415, "POST", "/v1/users/erase", "image/png", "{}"},
		{400, "POST", "/v1/users/preferences", "", `{"user":{"id":"u-1"}}`},
		{413, "POST", "/v1/users/preferences", "", large(256 << 10)},
		{415, "POST", "/v1/users/preferences", "image/png", "{}"},
		{400, "GET", "/v1/users/erasures/nothing", "", ""},
	} {
		d.call(t, n, r.status, r.method, r.target, withType(r.mediaType), r.body)
	}
	d.call(t, n, 412, "PUT", "/v1/policy", http.Header{"If-Match": {`"7"`}}, string(policy.Example))
}

// Each reason is given, or said not to be given yet; each rule of an explanation
// is described, and there is no other.
func TestOpenAPIReasonsGiven(t *testing.T) {
	d := readOpenAPI(t)
	n := startNode(t, "", reasonsPolicy, requestClock)
	n.must(201, "PUT", "/v1/lists/members?id=user.id", "text/plain", "m\n", nil)
	const at = 1790000000
	for _, event := range []string{
		`{"type":"hide","campaign":"plain"`, `{"type":"purchase","advertiser":"a","item":"i"`,
		`{"type":"impression","campaign":"spaced"`, `{"type":"impression","campaign":"capped"`,
		`{"type":"impression","campaign":"diverse","creative":"c"`, `{"type":"impression","campaign":"annoying"`,
	} {
		n.event(fmt.Sprintf(`%s,"user":{"id":"u"},"at":%d}`, event, at-60))
	}
	for _, event := range []string{
		`{"type":"impression","campaign":"annoying","user":{"id":"v"}`, `{"type":"impression","campaign":"annoying","user":{"id":"w"}`,
		`{"type":"impression","campaign":"annoying","user":{"id":"x"}`, `{"type":"hide","campaign":"annoying","user":{"id":"v"}`,
		`{"type":"impression","campaign":"hated","user":{"id":"v"}`, `{"type":"impression","campaign":"hated","user":{"id":"w"}`,
		`{"type":"complaint","campaign":"hated","user":{"id":"v"}`,
	} {
		n.event(fmt.Sprintf(`%s,"at":%d}`, event, at-60))
	}
	n.must(200, "POST", "/v1/users/preferences", "", fmt.Sprintf(`{"user":{"id":"o"},"personalisation":false,"at":%d}`, at-60), nil)
	n.must(200, "POST", "/v1/users/preferences", "", fmt.Sprintf(`{"user":{"id":"u"},"hidden_advertisers":["b"],"at":%d}`, at-60), nil)
	given, rules := map[string]bool{}, map[string]bool{}
	ask := func(who, candidates string) {
		body := fmt.Sprintf(`{%s,"at":%d,"candidates":[%s]}`, who, at, candidates)
		var a answer
		if err := json.Unmarshal(d.call(t, n, 200, "POST", "/v1/decide?explain=1", nil, body), &a); err != nil {
			t.Fatal(err)
		}
		for _, decision := range a.Decisions {
			given[decision.Reason] = true
			for _, check := range decision.Checks {
				rules[check["rule"].(string)] = true
			}
		}
	}
	for who, candidates := range map[string]string{
		`"user":{}`:                                                 `{"campaign":"plain"}`,
		`"user":{"id":"n"},"regs":{"coppa":1}`:                      `{"campaign":"plain"}`,
		`"user":{"id":"n"},"regs":{"gdpr":1}`:                       `{"campaign":"plain"}`,
		`"user":{"id":"n"},"device":{"lmt":1}`:                      `{"campaign":"plain"}`,
		`"user":{"id":"m"}`:                                         `{"campaign":"suppressing"}`,
		`"user":{"id":"n"},"device":{"geo":{"country":"JPN"}}`:      `{"campaign":"bought"},{"campaign":"bought","item":"i"}`,
		`"user":{"id":"n"},"site":{"cat":["389","317"],"cattax":6}`: `{"campaign":"bought"},{"campaign":"choosy"}`,
		`"user":{"id":"o"}`:                                         `{"campaign":"plain"}`,
		`"user":{"id":"u"}`: `{"campaign":"unknown"},{"campaign":"over"},{"campaign":"plain"},{"campaign":"stale"},{"campaign":"bought","item":"i"},` +
			fmt.Sprintf(`{"campaign":"interested","interest_at":%d},{"campaign":"interested"},`, at-60) +
			`{"campaign":"spaced"},{"campaign":"capped"},{"campaign":"diverse","creative":"c"},{"campaign":"unwanted"},{"campaign":"annoying"},{"campaign":"hated"}`,
	} {
		ask(who, candidates)
	}
	n.must(200, "PUT", "/v1/policy", "", "holdout: 100\n"+reasonsPolicy, nil)
	ask(`"user":{"id":"n"}`, `{"campaign":"plain"}`)
	for line := range strings.Lines(d.schema("Reason")["description"].(string)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !strings.Contains(cells[1], "_") && !slices.Contains(d.schema("Reason")["enum"].([]any), any(strings.TrimSpace(cells[1]))) {
			continue
		}
		reason, later := strings.TrimSpace(cells[1]), strings.Contains(cells[2], "not given by this version")
		if given[reason] == later {
			t.Errorf("%s: given %v, said not to be given yet %v", reason, given[reason], later)
		}
	}
	for _, rule := range d.schema("Check")["properties"].(object)["rule"].(object)["enum"].([]any) {
		if !rules[rule.(string)] {
			t.Errorf("no check of the rule %q", rule)
		}
	}
}
