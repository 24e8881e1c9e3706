package edge_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"restraint/edge"
	"restraint/edge/policy"
	"restraint/suppress"
)

// References resolve, every component is used, names are unique, and nothing is
// empty (a comma in an unquoted YAML text makes a key without a value).
func TestOpenAPIFile(t *testing.T) {
	d := readOpenAPI(t)
	used := map[string]bool{}
	walk("#", d.root, func(at string, node any) {
		if node == nil {
			t.Errorf("%s has no value", at)
		}
		m, _ := node.(object)
		alternatives, _ := m["security"].([]any)
		for _, alternative := range alternatives {
			for scheme := range alternative.(object) {
				used["#/components/securitySchemes/"+scheme] = true
			}
		}
		if ref, ok := m["$ref"].(string); ok {
			used[ref] = true
			if d.follow(m) == nil || len(m) != 1 {
				t.Errorf("%s: $ref %q does not resolve, or does not stand alone", at, ref)
			}
		}
	})
	for kind, components := range d.root["components"].(object) {
		for name := range components.(object) {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				t.Errorf("%s is used nowhere", ref)
			}
		}
	}
	seen := map[string]bool{}
	for _, o := range d.operations() {
		id, _ := o.node["operationId"].(string)
		if id == "" || seen[id] || o.node["summary"] == nil || o.node["tags"] == nil {
			t.Errorf("%s %s: operationId %q is missing or not unique, or summary or tags are missing", o.method, o.path, id)
		}
		seen[id] = true
		for _, p := range o.parameters {
			if p["in"] == "path" && !strings.Contains(o.path, "{"+p["name"].(string)+"}") {
				t.Errorf("%s %s: no %s in the path", o.method, o.path, p["name"])
			}
		}
	}
	d.checkExamples(t)
}

// checkExamples holds every example to the schema beside it.
func (d *description) checkExamples(t *testing.T) {
	examples := 0
	walk("#", d.root, func(at string, node any) {
		m, _ := node.(object)
		if m["schema"] == nil {
			return
		}
		for name, value := range examplesOf(m) {
			examples++
			for _, fault := range d.check(m["schema"], value, at, false) {
				t.Errorf("example %q: %s", name, fault)
			}
		}
	})
	if examples < 40 {
		t.Errorf("only %d examples found", examples)
	}
}

// anyPath is a path with names in it that may be there.
func anyPath(path string) string {
	return pathParameter.ReplaceAllString(strings.Replace(path, "{profile}", "heap", 1), "acme-customers")
}

// Every path that the node routes is described, with exactly the methods it takes,
// and the other way round; the bid listener serves what is said of it.
func TestOpenAPIRoutes(t *testing.T) {
	d := readOpenAPI(t)
	n := startNode(t, "", string(policy.Example), nil)
	n.must(200, "PUT", "/v1/policy", "", string(policy.Example)+"# again", nil) // so that there is one to go back to
	methods := map[string][]string{}
	for _, o := range d.operations() {
		methods[o.path] = append(methods[o.path], o.method)
	}
	for path, described := range methods {
		at := anyPath(path)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			resp, _ := n.exchange(t, n.url, method, at, nil, "")
			switch taken := resp.StatusCode != 404 && resp.StatusCode != 405; {
			case taken != slices.Contains(described, method):
				t.Errorf("%s %s: %d, described are %v", method, path, resp.StatusCode, described)
			case resp.StatusCode == 405 && !sameSet(strings.Split(resp.Header.Get("Allow"), ", "), described):
				t.Errorf("%s %s: Allow %q, described are %v", method, path, resp.Header.Get("Allow"), described)
			}
		}
	}
	for _, o := range d.operations() {
		resp, _ := n.exchange(t, n.bid, o.method, anyPath(o.path), nil, "")
		here := slices.Contains([]string{"decide", "events", "notices"}, o.node["tags"].([]any)[0].(string))
		if here != (resp.StatusCode != 404) {
			t.Errorf("%s %s on the bid listener: %d", o.method, o.path, resp.StatusCode)
		}
	}
	for _, literal := range pathLiterals(t) {
		known := slices.ContainsFunc(d.operations(), func(o operation) bool {
			return o.path == literal || strings.HasSuffix(literal, "/") && strings.HasPrefix(o.path, literal)
		})
		if !known {
			t.Errorf("the node's source names the path %q, which is not described", literal)
		}
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// pathLiterals are the strings in the package's source that are paths of the
// interface: what routes can be made of.
func pathLiterals(t *testing.T) (all []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`^/[a-z0-9_./-]+$`)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if s, err := strconv.Unquote(literal.Value); err == nil && pattern.MatchString(s) {
					all = append(all, s)
				}
			}
			return true
		})
	}
	if len(all) < 10 {
		t.Fatalf("only %d paths found in the source: %q", len(all), all)
	}
	return all
}

// exchange sends a request and returns answer and body.
func (n *node) exchange(t *testing.T, base, method, target string, header http.Header, body string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Host = header.Get("Host") // the one of target where it is ""
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, answer
}

// The closed sets of the description are those of the code, and the answers that
// are Go structs have just the fields they are described with.
func TestOpenAPISets(t *testing.T) {
	d := readOpenAPI(t)
	var reasons []any
	for r := edge.Shown + 1; r <= edge.Holdout; r++ {
		reasons = append(reasons, r.String())
	}
	reason := d.schema("Reason")
	if !reflect.DeepEqual(reason["enum"], reasons) {
		t.Errorf("reasons %v, described are %v", reasons, reason["enum"])
	}
	var rows []any // of the table that says what each means
	for line := range strings.Lines(reason["description"].(string)) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			rows = append(rows, strings.TrimSpace(cells[1]))
		}
	}
	if len(rows) < 2 || !reflect.DeepEqual(rows[2:], reasons) {
		t.Errorf("the table of reasons has %v", rows)
	}
	schemes := d.follow(d.root["components"].(object)["parameters"].(object)["normalize"])["schema"].(object)["enum"].([]any)
	if fmt.Sprint(schemes) != fmt.Sprint(suppress.Schemes()) {
		t.Errorf("schemes %v, described are %v", suppress.Schemes(), schemes)
	}
	for name, value := range map[string]any{
		"Check": edge.Check{}, "UploadReport": suppress.Report{}, "ListStatus": edge.ListAnswer{},
		"Rejected": suppress.Rejected{}, "PolicyChange": policy.Change{},
	} {
		var fields, always, described []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(value)) {
			if tag, ok := f.Tag.Lookup("json"); ok && tag != "-" {
				field, rest, _ := strings.Cut(tag, ",")
				fields = append(fields, field)
				if rest == "" {
					always = append(always, field)
				}
			}
		}
		for field := range d.schema(name)["properties"].(object) {
			described = append(described, field)
		}
		var required []string
		for _, field := range d.schema(name)["required"].([]any) {
			required = append(required, field.(string))
		}
		if !sameSet(fields, described) || !sameSet(always, required) {
			t.Errorf("%s: fields %q, always %q; described %q, required %q", name, fields, always, described, required)
		}
	}
}

// withType is the header of a body.
func withType(mediaType string) http.Header {
	if mediaType == "" {
		return nil
	}
	return http.Header{"Content-Type": {mediaType}}
}

// prepare starts a node under the example policy with what the examples refer to:
// two versions of the policy, two generations of a list, a token.
func (d *description) prepare(t *testing.T) (n *node, token string) {
	keep, closed := withKeeper(t, t.TempDir())
	t.Cleanup(closed)
	n = startNode(t, "", string(policy.Example), func(o *edge.Options) {
		keep(o)
		o.RequestClock, o.MaxUpload = false, 1<<20
	})
	n.must(201, "PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "u-8\n", nil)
	n.must(200, "PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "u-9\n", nil)
	var a answer
	n.must(200, "POST", "/v1/decide", "application/json",
		`{"user":{"id":"u-77"},"want":1,"hold":true,"candidates":[{"campaign":"spring-shoes","creative":"c-1","item":"sku-9"}]}`, &a)
	if a.Token == "" {
		t.Fatal("no token")
	}
	return n, a.Token
}

// Each example of a request is accepted by a node.
func TestOpenAPIExamples(t *testing.T) {
	d := readOpenAPI(t)
	placeholder := d.follow(object{"$ref": "#/components/parameters/t"})["example"].(string)
	const receiptExample = "ARmYExampleReceiptExampleReceipt0"
	for _, o := range d.operations() {
		t.Run(o.node["operationId"].(string), func(t *testing.T) {
			t.Parallel()
			n, token := d.prepare(t)
			bodies := object{"": object{"example": nil}} // an operation without a body
			if body := d.follow(o.node["requestBody"]); body != nil {
				bodies = body["content"].(object)
			}
			for mediaType, media := range bodies {
				for _, value := range examplesOf(media.(object)) {
					text, isText := value.(string)
					if !isText && value != nil {
						text = encode(t, value)
					}
					target, header := o.request(mediaType)
					target, text = strings.ReplaceAll(target, placeholder, token), strings.ReplaceAll(text, placeholder, token)
					if strings.HasSuffix(o.path, "/release") {
						n.dialBack(t, "spring-shoes")
					}
					if strings.Contains(target, receiptExample) {
						target = strings.ReplaceAll(target, receiptExample, n.erase(t, `{"user":{"id":"u-77"}}`).Receipt)
					}
					if o.path == "/v1/policy/pilot" {
						n.must(200, "PUT", "/v1/policy?pilot=10", "", string(policy.Example)+"# again", nil)
					}
					d.call(t, n, o.success(), o.method, target, header, text)
				}
			}
		})
	}
}

// dialBack has a campaign of the built-in policy dialled back: of two people to whom it
// was shown one complains.
func (n *node) dialBack(t *testing.T, campaign string) {
	t.Helper()
	n.must(200, "PUT", "/v1/policy", "", string(policy.Example)+"\ndial_back: {min_shown: 2, min_people: 1, hides_per_10k: 1000, pause_at: 9000}\n", nil)
	for _, event := range []string{`{"type":"impression","user":{"id":"d-1"}`, `{"type":"impression","user":{"id":"d-2"}`, `{"type":"complaint","user":{"id":"d-1"}`} {
		n.event(event + `,"campaign":"` + campaign + `"}`)
	}
}

// success is the status of an example that is accepted.
func (o *operation) success() int {
	for _, status := range []int{200, 202, 204} {
		if o.node["responses"].(object)[strconv.Itoa(status)] != nil {
			return status
		}
	}
	return 0
}

// together are the parameters of an upload whose examples belong to the example
// of each media type; other operations take the examples of all at once.
var together = map[string][]string{
	"text/csv":             {"map", "normalize", "until", "dry_run", "force", "Content-Encoding"},
	"application/x-ndjson": {"id", "column", "force"},
	"text/plain":           {"id", "force"},
}

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

// request is one call and the status it must have.
type request struct {
	status         int
	method, target string
	mediaType      string
	body           string
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

// reasonsPolicy has a campaign for each reason that this version gives.
const reasonsPolicy = `
timezone: UTC
dial_back: {min_shown: 2, min_people: 1, hides_per_10k: 2500, pause_at: 5000}
sensitive: ["cat:286"]
markets:
  - {name: night, countries: [JPN], require: none, precision: category, quiet_hours: "00:01-00:00"}
  - {name: everywhere, require: none}
unknown: everywhere
lists:
  members: {id: [user.id], source: first_party, basis: contract}
  aging: {id: [user.id], max_age: 48h, when_stale: skip, source: first_party, basis: contract}
  left: {kind: opt_out, id: [user.id], max_age: 48h, when_stale: show, source: first_party, basis: objection}
campaigns:
  plain: {advertiser: a}
  over: {advertiser: a, active: {from: 2020-01-01, to: 2021-01-01}}
  suppressing: {advertiser: a, purpose: acquisition, suppress: [members]}
  stale: {advertiser: a, purpose: acquisition, suppress: [aging]}
  bought: {advertiser: a, purchased: {item: 90d}}
  interested: {advertiser: a, purpose: retargeting, interest: {least: 2, after: 30m, fresh: 3d, until: 14d, from: [own]}}
  spaced: {advertiser: a, spacing: 30m}
  capped: {advertiser: a, caps: [{per: campaign, limit: 1, within: 24h}]}
  diverse: {advertiser: a, diversity: {same_creative_in_a_row: 1}}
  choosy: {advertiser: a, purpose: contextual, not_beside: ["cat:386"]}
  unwanted: {advertiser: b}
  annoying: {advertiser: a, caps: [{per: campaign, limit: 2, within: 24h}]}
  hated: {advertiser: a}
`

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

// object is a mapping of the description, with numbers as encoding/json has them.
type object = map[string]any

// description is the parsed openapi.yaml.
type description struct{ root object }

func readOpenAPI(t *testing.T) *description {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	d := new(description)
	if err := json.Unmarshal(encoded, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// follow returns what node stands for: the target of its $ref, or itself.
func (d *description) follow(node any) object {
	m, _ := node.(object)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, _ := at.(object)
		at = m[part]
	}
	target, _ := at.(object)
	return d.follow(target)
}

func (d *description) schema(name string) object {
	return d.follow(object{"$ref": "#/components/schemas/" + name})
}

// operation is one method of one path.
type operation struct {
	method, path string
	node         object
	parameters   []object // of the path and of the operation
}

func (d *description) operations() (all []operation) {
	for path, item := range d.root["paths"].(object) {
		for method, node := range item.(object) {
			if method == "parameters" {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, node: node.(object)}
			for _, holder := range []object{item.(object), o.node} {
				list, _ := holder["parameters"].([]any)
				for _, p := range list {
					o.parameters = append(o.parameters, d.follow(p))
				}
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// find returns the operation that a request is for.
func (d *description) find(method, path string) (operation, bool) {
	for _, o := range d.operations() {
		before, after, named := strings.Cut(pathParameter.ReplaceAllString(o.path, "{}"), "{}")
		middle := strings.TrimSuffix(strings.TrimPrefix(path, before), after)
		if o.method == method && (o.path == path || named && before+middle+after == path && middle != "" && !strings.Contains(middle, "/")) {
			return o, true
		}
	}
	return operation{}, false
}

// pathParameter is what a path of the description has in the place of a name.
var pathParameter = regexp.MustCompile(`\{[a-z]+\}`)

// walk calls visit for every value under node.
func walk(at string, node any, visit func(at string, node any)) {
	visit(at, node)
	switch node := node.(type) {
	case object:
		for key, value := range node {
			walk(at+"/"+key, value, visit)
		}
	case []any:
		for i, value := range node {
			walk(at+"/"+strconv.Itoa(i), value, visit)
		}
	}
}

// examplesOf are the examples of a media type or a parameter.
func examplesOf(m object) object {
	all := object{}
	if value, ok := m["example"]; ok {
		all["example"] = value
	}
	named, _ := m["examples"].(object)
	for name, one := range named {
		all[name] = one.(object)["value"]
	}
	return all
}

// call sends a request and holds the answer to its description: the status is
// listed, the media type and headers are there, the body is as its schema says
// and has nothing else.
func (d *description) call(t *testing.T, n *node, status int, method, target string, header http.Header, body string) (answer []byte) {
	t.Helper()
	path, _, _ := strings.Cut(target, "?")
	o, ok := d.find(method, path)
	if !ok {
		t.Fatalf("%s %s is not described", method, path)
	}
	resp, answer := n.exchange(t, n.url, method, target, header, body)
	where := fmt.Sprintf("%s %s: %d", method, target, resp.StatusCode)
	if resp.StatusCode != status {
		t.Errorf("%s, want %d\n%s\n%s", where, status, body, answer)
		return answer
	}
	described := d.follow(o.node["responses"].(object)[strconv.Itoa(status)])
	if described == nil {
		t.Errorf("%s is not described", where)
		return answer
	}
	headers, _ := described["headers"].(object)
	for name, h := range headers {
		schema := d.follow(h)["schema"]
		var value any = resp.Header.Get(name)
		if number, err := strconv.ParseFloat(value.(string), 64); err == nil {
			value = number
		}
		for _, fault := range d.check(schema, value, name, true) {
			t.Errorf("%s: header %s", where, fault)
		}
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	content, _ := described["content"].(object)
	media, ok := content[mediaType].(object)
	if !ok && (len(content) > 0 || len(answer) > 0) {
		t.Errorf("%s: content type %q is not described", where, mediaType)
	}
	if schema := media["schema"]; schema != nil && strings.HasSuffix(mediaType, "json") {
		var value any
		if err := json.Unmarshal(answer, &value); err != nil {
			t.Fatalf("%s: %v\n%s", where, err, answer)
		}
		for _, fault := range d.check(schema, value, "answer", true) {
			t.Errorf("%s: %s\n%.2000s", where, fault, answer)
		}
	}
	return answer
}

// check holds a value to a schema and returns what is wrong with it. strict: a
// field that the schema does not name is wrong too.
func (d *description) check(schema, value any, at string, strict bool) (faults []string) {
	s := d.follow(schema)
	wrong := func(format string, args ...any) {
		faults = append(faults, at+": "+fmt.Sprintf(format, args...))
	}
	for keyword := range s {
		if !slices.Contains(keywords, keyword) {
			wrong("the schema has the keyword %q, which this test does not know", keyword)
		}
	}
	if options, ok := s["oneOf"].([]any); ok {
		var tried []string
		for _, option := range options {
			found := d.check(option, value, at, strict)
			if found == nil {
				return faults
			}
			tried = append(tried, found...)
		}
		return append(faults, tried...)
	}
	if kinds := s["type"]; kinds != nil && !slices.ContainsFunc(listed(kinds), func(k any) bool { return isKind(k.(string), value) }) {
		wrong("%v is no %v", value, kinds)
		return faults
	}
	if set, ok := s["enum"].([]any); ok && !slices.Contains(set, value) {
		wrong("%v is none of %v", value, set)
	}
	if constant, ok := s["const"]; ok && constant != value {
		wrong("%v is not %v", value, constant)
	}
	switch value := value.(type) {
	case string:
		bound(s, "Length", float64(len(value)), wrong)
		if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(value) {
			wrong("%q does not match %s", value, pattern)
		}
	case float64:
		bound(s, "imum", value, wrong)
	case []any:
		bound(s, "Items", float64(len(value)), wrong)
		for i, one := range value {
			faults = append(faults, d.check(s["items"], one, at+"["+strconv.Itoa(i)+"]", strict)...)
		}
	case object:
		faults = append(faults, d.checkFields(s, value, at, strict)...)
	}
	return faults
}

// keywords are those that check knows, and those that say nothing of a value.
var keywords = []string{
	"type", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "items",
	"oneOf", "required", "properties", "additionalProperties", "description", "default", "format",
}

func (d *description) checkFields(s, value object, at string, strict bool) (faults []string) {
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			faults = append(faults, fmt.Sprintf("%s: %s is missing", at, name))
		}
	}
	properties, _ := s["properties"].(object)
	for name, field := range value {
		switch property, ok := properties[name]; {
		case ok:
			faults = append(faults, d.check(property, field, at+"."+name, strict)...)
		case s["additionalProperties"] != nil:
			faults = append(faults, d.check(s["additionalProperties"], field, at+"."+name, strict)...)
		case strict:
			faults = append(faults, fmt.Sprintf("%s: %s is not described", at, name))
		}
	}
	// What JSON Schema could say only at length: a reason stands with a skip alone.
	if show, ok := value["show"].(bool); ok && show == (value["reason"] != nil) {
		faults = append(faults, fmt.Sprintf("%s: show %v with reason %v", at, show, value["reason"]))
	}
	return faults
}

func listed(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func isKind(kind string, value any) bool {
	switch v := value.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int64(v))
	case []any:
		return kind == "array"
	case object:
		return kind == "object"
	}
	return false
}

// bound checks the keywords min... and max... of one kind.
func bound(s object, kind string, n float64, wrong func(string, ...any)) {
	if least, ok := s["min"+kind].(float64); ok && n < least {
		wrong("%v is under min%s %v", n, kind, least)
	}
	if most, ok := s["max"+kind].(float64); ok && n > most {
		wrong("%v is over max%s %v", n, kind, most)
	}
}
