package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// scrapePolicy names lists, sources and campaigns as nobody should, and as nothing forbids.
const scrapePolicy = `
timezone: UTC
markets: [{name: all, require: none}]
lists:
  acme-customers: {id: [user.id], source: first_party, basis: contract, max_age: 48h}
  'we"ird\list {a="b"} é': {id: ['we"ird\source', user.id], source: first_party, basis: contract}
dial_back: {window: 24h, min_shown: 1, min_people: 1, hides_per_10k: 5, factor: 0.5, pause_at: 20}
campaigns:
  spring-shoes: {advertiser: acme, caps: [{per: campaign, limit: 2, within: 1h}], suppress: [acme-customers]}
  'we"ird\campaign': {advertiser: acme, suppress: ['we"ird\list {a="b"} é']}
`

// scraping is a node that uses everything a node has: TLS, keys, lists and its own NATS.
type scraping struct {
	caller
	node       *running
	bid, admin string
}

var scrapedRoles = []string{"bid", "crm", "privacy", "ops", "metrics"}

// startScraped starts such a node.
func startScraped(t *testing.T) *scraping {
	t.Helper()
	dir := t.TempDir()
	pki := filepath.Join(dir, "pki")
	issue(t, pki, "edge", "127.0.0.1")
	keys := []string{"keys", "new", "--keys-file", "keys", "--client", "everything", "--rate", "100000"}
	for _, role := range scrapedRoles {
		keys = append(keys, "--role", role)
	}
	said, code := call(t, dir, nil, keys...)
	if code != 0 {
		t.Fatal(said)
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(scrapePolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	addrs := freeAddrs(t, 2)
	node := start(t, dir, nil, "serve", "--log-level", "debug", "--listen", addrs[0], "--admin-listen", addrs[1], "--keys-file", "keys", "--policy", "policy.yaml",
		"--tls-cert", filepath.Join(pki, "edge.pem"), "--tls-key", filepath.Join(pki, "edge-key.pem"))
	s := &scraping{node: node, bid: "https://" + addrs[0], admin: "https://" + addrs[1]}
	s.key = regexp.MustCompile(`(?m)^\S{20,}$`).FindString(said)
	s.Transport = &http.Transport{TLSClientConfig: secured(t, pki, "edge")}
	poll(t, "the node is ready", func() bool {
		status, _ := s.do("GET", s.admin+"/readyz", "", "")
		return status == 200
	})
	return s
}

// must is do where the status is another than that wanted is fatal.
func (s *scraping) must(t *testing.T, want int, method, path, kind, body string) string {
	t.Helper()
	status, said := s.do(method, s.admin+path, kind, body)
	if status != want {
		t.Fatalf("%s %s: %d, not %d: %s", method, path, status, want, said)
	}
	return said
}

// work has the node do one of each of what it is for.
func (s *scraping) work(t *testing.T) {
	t.Helper()
	s.must(t, 201, "PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "c-1\nc-2\n")
	s.must(t, 201, "PUT", `/v1/lists/we%22ird%5Clist%20%7Ba=%22b%22%7D%20%C3%A9?id=user.id`, "text/plain", "c-1\nc-2\n")
	s.must(t, 200, "POST", "/v1/decide", "application/json", `{"user":{"id":"u-1"},"want":1,"hold":true,"candidates":[{"campaign":"spring-shoes"}]}`)
	for _, kind := range []string{"impression", "click", "purchase", "return", "hide", "complaint", `feedback","answer":"helpful`} {
		s.must(t, 202, "POST", "/v1/events", "application/json", `{"type":"`+kind+`","id":"e-1","user":{"id":"u-1"},"campaign":"spring-shoes","advertiser":"acme","item":"i"}`)
	}
	s.must(t, 200, "POST", "/v1/users/lookup", "application/json", `{"user":{"id":"u-1"}}`)
	s.must(t, 200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-2"},"personalisation":false}`)
	s.must(t, 200, "POST", "/v1/users/erase", "application/json", `{"user":{"id":"u-3"}}`)
}

// strange are names that somebody outside chose.
var strange = []string{`x"} 1`, `a\nb`, `{a="b"}`, "u-secret-7", "é\u2028", "restraint_ready 1", strings.Repeat("x", 128), "../..", "%00", "spring-shoes "}

// annoy asks for what nobody should ask for, in every place where a caller can put a name.
func (s *scraping) annoy() {
	for i, name := range strange {
		quoted := fmt.Sprintf("%q", name)
		for _, body := range []string{
			`{"id":` + quoted + `,"user":{"id":` + quoted + `},"channel":` + quoted + `,"candidates":[{"campaign":` + quoted + `,"creative":` + quoted + `,"item":` + quoted + `}]}`,
			`{"user":{"eids":[{"source":` + quoted + `,"uids":[{"id":"x"}]}]},"candidates":[{"campaign":"spring-shoes"}]}`,
			`{"type":` + quoted + `}`,
		} {
			s.do("POST", s.admin+"/v1/decide?explain=1", "application/json", body)
			s.do("POST", s.bid+"/v1/events", "application/json", body)
		}
		for _, kind := range []string{"impression", "hide", "purchase"} {
			s.do("POST", s.bid+"/v1/events", "application/json", `{"type":"`+kind+`","user":{"id":`+quoted+`},"campaign":`+quoted+`,"advertiser":`+quoted+`,"item":`+quoted+`}`)
		}
		escaped := strings.NewReplacer("%", "%25", " ", "%20", `"`, "%22", "\n", "%0A", "{", "%7B", "}", "%7D", "/", "%2F", "?", "%3F").Replace(name)
		for _, path := range []string{"/v1/lists/", "/v1/campaigns/", "/v1/users/erasures/", "/debug/pprof/", "/"} {
			s.do("GET", s.admin+path+escaped, "", "")
			s.do("PUT", s.admin+path+escaped+"?id="+escaped, "text/plain", "x\n")
		}
		s.do([]string{"BREW", "DELETE", "TRACE"}[i%3], s.admin+"/v1/policy", "", "")
		other := *s
		other.key = escaped
		other.do("GET", s.admin+"/metrics", "", "")
	}
}

// wantLog wants lines of JSON with time, level and message alone in the log, and none of what
// somebody outside chose.
func (s *scraping) wantLog(t *testing.T) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(s.node.logged()) {
		var l struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time == "" || l.Level == "" || l.Msg == "" {
			t.Errorf("%v: %s", err, line)
		}
		for _, name := range strange {
			if quoted, _ := json.Marshal(name); strings.Contains(line, strings.Trim(string(quoted), `"`)) && len(name) > 8 && name != "spring-shoes " {
				t.Errorf("%q is in the log: %s", name, line)
			}
		}
		lines++
	}
	if lines < 10 {
		t.Errorf("only %d lines", lines)
	}
}

// series are the metrics of a node that uses everything, by name, with the values of each label.
type series map[string]map[string][]string

var exposedOnce *exposition

// scraped is what a node that did one of each says, read once.
func scraped(t *testing.T) series {
	t.Helper()
	if exposedOnce == nil {
		s := startScraped(t)
		s.work(t)
		poll(t, "what is held has an oldest", func() bool {
			exposedOnce = parseExposition(s.must(t, 200, "GET", "/metrics", "", ""))
			return exposedOnce.series["restraint_oldest_seconds"] != nil
		})
		if len(exposedOnce.faults) > 0 || len(exposedOnce.series) < 100 {
			t.Fatalf("%d metrics, %q", len(exposedOnce.series), exposedOnce.faults)
		}
	}
	return exposedOnce.series
}
