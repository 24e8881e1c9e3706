package edge_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/access"
	"restraint/edge/policy"
)

// keyed is a node with keys: one of each role, called like it, and those that a test
// adds.
type keyed struct {
	*node
	gate *access.Gate
	file *access.File
	keys map[string]string // the texts, by client
}

// startKeyed starts a node with a key for each role.
func startKeyed(t *testing.T, policy string, change func(*edge.Options)) *keyed {
	t.Helper()
	k := &keyed{file: access.New(), keys: map[string]string{}}
	for _, role := range []string{"bid", "crm", "privacy", "ops", "metrics"} {
		k.add(t, access.Key{Client: role, Roles: rolesOf(t, role)})
	}
	k.gate = access.NewGate(k.file)
	k.node = startNode(t, "", policy, func(o *edge.Options) {
		o.Keys = k.gate
		if change != nil {
			change(o)
		}
	})
	return k
}

func rolesOf(t testing.TB, text string) access.Roles {
	t.Helper()
	r, err := access.ParseRoles(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// add makes a key; it is in force once the gate is replaced.
func (k *keyed) add(t testing.TB, key access.Key) (made access.Key) {
	t.Helper()
	made, text, err := access.Make(key, time.Unix(1_790_000_000, 0))
	if err == nil {
		k.file, err = k.file.Add(made)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.keys[key.Client] = text
	return made
}

// bearer is the header of a client's key; none for "".
func (k *keyed) bearer(client string) http.Header {
	if client == "" {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + k.keys[client]}}
}

// rolesDescribed are the roles that openapi.yaml gives an operation, each by both ways
// to send a key; none: it needs no key.
func (o *operation) rolesDescribed(t *testing.T) (roles []string) {
	t.Helper()
	by := map[string][]string{}
	security, ok := o.node["security"].([]any)
	if !ok {
		t.Fatalf("%s %s: says nothing of security", o.method, o.path)
	}
	for _, alternative := range security {
		for scheme, needed := range alternative.(object) {
			by[scheme] = append(by[scheme], needed.([]any)[0].(string))
		}
	}
	if len(security) > 0 && (len(by) != 2 || !slices.Equal(by["bearer"], by["apiKey"])) {
		t.Errorf("%s %s: ways to send a key differ: %v", o.method, o.path, by)
	}
	return by["bearer"]
}

// Every path, with every role and without a key, in both headers and on both listeners,
// answers as openapi.yaml says; those rows whose roles the contract gives have them.
func TestMatrix(t *testing.T) {
	contract := map[string]string{
		"POST /v1/events": "bid", "PUT /v1/lists/{name}": "crm", "POST /v1/lists/{name}/add": "crm", "POST /v1/users/lookup": "privacy",
		"POST /v1/users/erase": "privacy", "POST /v1/users/preferences": "privacy", "PUT /v1/policy": "ops", "GET /v1/policy": "ops",
		"GET /healthz": "", "GET /readyz": "", "GET /v1/impression": "", "GET /v1/impression.gif": "", "GET /v1/release": "", "POST /v1/hide": "", "POST /v1/opt-out": "", "GET /v1/why": "",
	}
	k := startKeyed(t, string(policy.Example), nil)
	calls := 0
	for _, o := range readOpenAPI(t).operations() {
		roles := o.rolesDescribed(t)
		if want, ok := contract[o.method+" "+o.path]; ok && want != strings.Join(roles, " ") {
			t.Errorf("%s %s: described for %q, the contract says %q", o.method, o.path, roles, want)
		}
		for _, status := range []string{"401", "403", "429"} {
			if described := o.node["responses"].(object)[status] != nil; described != (len(roles) > 0) {
				t.Errorf("%s %s: %s is described: %v, for %q", o.method, o.path, status, described, roles)
			}
		}
		here := slices.Contains([]string{"decide", "events", "notices"}, o.node["tags"].([]any)[0].(string))
		path := pathParameter.ReplaceAllString(o.path, "acme-customers")
		for _, client := range []string{"", "bid", "crm", "privacy", "ops", "metrics"} {
			for _, name := range []string{"Authorization", "X-Api-Key"} {
				header := k.bearer(client)
				if name == "X-Api-Key" && client != "" {
					header = http.Header{name: {k.keys[client]}}
				}
				for _, base := range []string{k.url, k.bid} {
					calls++
					resp, body := k.exchange(t, base, o.method, path, header, "")
					k.checkEntry(t, &o, roles, client, resp, string(body), base == k.url || here)
				}
			}
		}
	}
	if calls < 500 {
		t.Errorf("only %d calls", calls)
	}
}

// checkEntry holds one answer to what the roles of its operation say.
func (k *keyed) checkEntry(t *testing.T, o *operation, roles []string, client string, resp *http.Response, body string, served bool) {
	t.Helper()
	where := o.method + " " + o.path + " by " + client
	challenge := resp.Header.Get("WWW-Authenticate")
	switch got := resp.StatusCode; {
	case !served:
		if got != 404 {
			t.Errorf("%s on the bid listener: %d", where, got)
		}
	case len(roles) > 0 && client == "":
		if got != 401 || challenge != `Bearer realm="restraint"` || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v\n%s", where, got, resp.Header, body)
		}
	case len(roles) > 0 && !slices.Contains(roles, client):
		named := strings.Join(roles, " or ")
		if len(roles) == 3 {
			named = roles[0] + ", " + roles[1] + " or " + roles[2]
		}
		if got != 403 || !strings.Contains(body, named+"; key ") || !strings.Contains(body, " has "+client+`"`) || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, want 403 that names %s\n%s", where, got, named, body)
		}
	case got == 401 || got == 403 || got == 404 && strings.Contains(body, "there is no path") || got == 405 || got >= 500 && o.path != "/readyz":
		t.Errorf("%s: %d\n%s", where, got, body)
	}
}

// An explanation is for privacy and ops, also in the short form and with brief.
func TestExplainNeedsRole(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	made := k.add(t, access.Key{Client: "seeing", Roles: access.Bid, Reasons: true})
	k.gate.Replace(k.file)
	for client, want := range map[string]int{"bid": 403, "seeing": 403, "privacy": 200, "ops": 200, "metrics": 403, "": 401} {
		for _, explain := range []string{"1", "true", "T", "yes"} {
			for _, base := range []string{k.url, k.bid} {
				resp, body := k.exchange(t, base, "POST", "/v1/decide?explain="+explain, k.bearer(client), `{"user":{"id":"u"},"brief":true,"candidates":[{"campaign":"shoes"}]}`)
				if resp.StatusCode != want || want == 403 && !strings.Contains(string(body), "/v1/decide with explain is for the roles privacy or ops") {
					t.Errorf("%q, explain=%s: %d %s", client, explain, resp.StatusCode, body)
				}
				if resp, body = k.exchange(t, base, "GET", "/v1/decide?user=u&campaign=shoes&explain="+explain, k.bearer(client), ""); resp.StatusCode != want || want == 200 && !strings.Contains(string(body), `"because"`) {
					t.Errorf("%q, short, explain=%s: %d %s", client, explain, resp.StatusCode, body)
				}
			}
		}
	}
	// What is not yes is no.
	if resp, body := k.exchange(t, k.bid, "GET", "/v1/decide?user=u&campaign=shoes&explain=0", k.bearer("bid"), ""); resp.StatusCode != 200 || strings.Contains(string(body), "because") {
		t.Errorf("explain=0: %d %s", resp.StatusCode, body)
	}
	if !made.Reasons {
		t.Error("the key that may see reasons may not")
	}
}

// A path that nobody knows is not there for anybody, and needs no key to be told so.
func TestKeysAndUnknownPaths(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	for _, path := range []string{"/nowhere", "/", "/v1/lists/customers/nothing", "/v1/lists/customers/add/", "/v1/decide/", "/v1/decide%3Fexplain=1", "/v1//nothing", "/v1/users/erasures", "/debug/pprof", "/v1/lists/{name}/nothing"} {
		for _, client := range []string{"", "ops"} {
			for _, base := range []string{k.url, k.bid} {
				if resp, body := k.exchange(t, base, "GET", path, k.bearer(client), ""); resp.StatusCode != 404 && !(resp.StatusCode == 401 && client == "") {
					t.Errorf("%s by %q: %d %s", path, client, resp.StatusCode, body)
				}
			}
		}
	}
	// Whatever way a path is written, who may use it is asked for as for the path.
	for _, path := range []string{"/v1/users/../users/lookup", "/v1/./users/lookup", "//v1/users/lookup", "/v1/users/%6cookup", "/v1/users/lookup?x=/healthz", "/healthz/../v1/users/lookup", "/healthz%2f..%2fv1/users/lookup"} {
		if answer := k.raw(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\nConnection: close\r\n\r\n"+`{"user":{"id":"u-1"}}`, true); !strings.HasPrefix(answer, "HTTP/1.1 401 ") && !strings.HasPrefix(answer, "HTTP/1.1 404 ") {
			t.Errorf("%s: %.200s", path, answer)
		}
	}
	// HEAD is asked as GET is.
	for client, want := range map[string]int{"": 401, "bid": 403, "metrics": 200} {
		if resp, _ := k.exchange(t, k.url, "HEAD", "/metrics", k.bearer(client), ""); resp.StatusCode != want {
			t.Errorf("HEAD by %q: %d", client, resp.StatusCode)
		}
	}
}

// What is refused has changed nothing, and the connection of a caller with a key goes
// on after it, body or not.
func TestRefusedChangesNothing(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	if resp, body := k.exchange(t, k.url, "PUT", "/v1/lists/customers?id=user.id", http.Header{"Authorization": k.bearer("bid")["Authorization"], "Content-Type": {"text/plain"}}, "u-1\n"); resp.StatusCode != 403 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, body := k.exchange(t, k.url, "GET", "/v1/lists/customers", k.bearer("crm"), "")
	if resp.StatusCode != 200 || !strings.Contains(string(body), `"keys":0`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	request := "PUT /v1/policy HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + k.keys["bid"] + "\r\nContent-Length: 14\r\n\r\ncampaigns: {}\n"
	if answer := k.raw(t, request+request+"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true); strings.Count(answer, "HTTP/1.1 403 ") != 2 || strings.Count(answer, "HTTP/1.1 200 ") != 1 {
		t.Errorf("three requests on one connection:\n%s", answer)
	}
	// A body longer than any decision's is not waited for.
	long := "PUT /v1/lists/customers?id=user.id HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + k.keys["bid"] + "\r\nContent-Type: text/plain\r\nContent-Length: 10000000000\r\n\r\n" + strings.Repeat("u-1\n", 4096)
	if answer := k.raw(t, long, false); !strings.HasPrefix(answer, "HTTP/1.1 403 ") {
		t.Errorf("a long upload: %.200s", answer)
	}
}

// With keys a node takes an address that others can reach, and warns; without it does
// not.
func TestKeysOpenTheAddress(t *testing.T) {
	k := startKeyed(t, testPolicy, func(o *edge.Options) { o.Listen = "0.0.0.0:0" })
	k.stop()
	if log := k.log.String(); !strings.Contains(log, "without TLS") || strings.Count(log, "without TLS") != 1 || !strings.Contains(log, `"listen":"0.0.0.0:0"`) {
		t.Errorf("no warning, or one for loopback:\n%s", log)
	}
	o := edge.Options{Listen: "0.0.0.0:0", AdminListen: "127.0.0.1:0"}
	if _, err := edge.Open(o); err == nil || !strings.Contains(err.Error(), "keys_file") {
		t.Errorf("without keys: %v", err)
	}
}

// A node without keys asks nobody, whatever they send, and gives reasons.
func TestWithoutKeys(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	for _, header := range []http.Header{nil, {"Authorization": {"Bearer nonsense"}}, {"X-Api-Key": {"rk_aaaaaaaa_" + strings.Repeat("a", 52)}}} {
		resp, body := n.exchange(t, n.bid, "GET", "/v1/decide?user=u&campaign=nobody&explain=1", header, "")
		if resp.StatusCode != 200 || !strings.Contains(string(body), `"reason":"unknown_campaign","because":`) {
			t.Errorf("%v: %d %s", header, resp.StatusCode, body)
		}
		if resp, body := n.exchange(t, n.url, "GET", "/v1/status", header, ""); resp.StatusCode != 200 {
			t.Errorf("%v: %d %s", header, resp.StatusCode, body)
		}
	}
}

// A key over its rate is told when to come back; others, and paths without a key, go on.
func TestKeyRate(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	made := k.add(t, access.Key{Client: "slow", Roles: access.Bid, Rate: 1, Burst: 1})
	k.gate.Replace(k.file)
	body := `{"user":{"id":"u"},"candidates":[{"campaign":"shoes"}]}`
	refused := 0
	for range 6 {
		resp, answer := k.exchange(t, k.bid, "POST", "/v1/decide", k.bearer("slow"), body)
		if resp.StatusCode == 200 {
			continue
		}
		refused++
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(string(answer), "key "+made.ID+" is over its rate of 1 requests a second") {
			t.Errorf("%d %v %s", resp.StatusCode, resp.Header, answer)
		}
	}
	if refused == 0 { // a request takes far less than the second that one costs
		t.Error("never refused")
	}
	if resp, _ := k.exchange(t, k.bid, "POST", "/v1/decide", k.bearer("bid"), body); resp.StatusCode != 200 {
		t.Errorf("another key: %d", resp.StatusCode)
	}
	if resp, _ := k.exchange(t, k.url, "GET", "/healthz", k.bearer("slow"), ""); resp.StatusCode != 200 {
		t.Errorf("healthz: %d", resp.StatusCode)
	}
	// Its connection goes on.
	request := "POST /v1/decide HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + k.keys["slow"] + "\r\nContent-Length: 55\r\n\r\n" + body
	if answer := k.raw(t, strings.Repeat(request, 9), true); strings.Count(answer, "HTTP/1.1 ") != 9 || !strings.Contains(answer, "HTTP/1.1 429 ") {
		t.Errorf("nine requests on one connection:\n%s", answer)
	}
	_, metrics := k.exchange(t, k.url, "GET", "/metrics", k.bearer("metrics"), "")
	if !bytes.Contains(metrics, []byte(`restraint_key_over_rate_total{key="`+made.ID+`"} `)) {
		t.Errorf("no count of the key:\n%s", metrics)
	}
}
