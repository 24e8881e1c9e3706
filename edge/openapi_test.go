package edge_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

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

// request is one call and the status it must have.
type request struct {
	status         int
	method, target string
	mediaType      string
	body           string
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
