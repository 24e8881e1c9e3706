package edge_test

import (
	"net/http"
	"testing"
)

// What a browser sends for a page of another site changes and tells nothing on a node
// without keys; commands, the node's own page and what is for every page are served.
func TestPagesOfOtherSites(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.event(`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes"}`)
	const person = `{"user":{"id":"u-1"}}`
	held := func() (h struct{ Held bool }) {
		n.must(200, "POST", "/v1/users/lookup", "", person, &h)
		return h
	}
	for _, site := range []string{"cross-site", "same-site", "of another kind"} {
		from := http.Header{"Sec-Fetch-Site": {site}, "Content-Type": {"text/plain"}}
		for _, c := range [][3]string{
			{"POST", "/v1/users/erase", person},
			{"POST", "/v1/users/lookup", person},
			{"POST", "/v1/policy/rollback", ""},
			{"POST", "/v1/campaigns/shoes/release", ""},
			{"GET", "/v1/status", ""},
			{"POST", "/v1/events", person},
			{"DELETE", "/v1/lists/customers", ""},
			{"GET", "/debug/pprof/heap", ""},
		} {
			if resp, body := n.exchange(t, n.url, c[0], c[1], from, c[2]); resp.StatusCode != 403 {
				t.Errorf("%s %s, %s: %d %.200s", c[0], c[1], site, resp.StatusCode, body)
			}
		}
		for _, path := range []string{"/readyz", "/healthz", "/console", "/openapi.yaml"} {
			if resp, _ := n.exchange(t, n.url, "GET", path, from, ""); resp.StatusCode != 200 {
				t.Errorf("%s, %s: %d", path, site, resp.StatusCode)
			}
		}
		if resp, _ := n.exchange(t, n.url, "GET", "/nothing", from, ""); resp.StatusCode != 404 {
			t.Errorf("no path, %s: %d", site, resp.StatusCode)
		}
	}
	if !held().Held {
		t.Error("a page of another site had a person erased")
	}
	for _, site := range []string{"same-origin", "none"} {
		if resp, body := n.exchange(t, n.url, "POST", "/v1/users/lookup", http.Header{"Sec-Fetch-Site": {site}}, person); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", site, resp.StatusCode, body)
		}
	}
	for host, status := range map[string]int{
		"localhost": 200, "Localhost:8081": 200, "127.0.0.1:8081": 200, "[::1]:8081": 200, "[::1]": 200, "node.localhost:1": 200,
		"evil.example": 403, "evil.example:8081": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example:8081": 403, "evillocalhost": 403, "localhost.": 403, "": 200,
	} {
		from := http.Header{"Sec-Fetch-Site": {"same-origin"}, "Host": {host}}
		if resp, body := n.exchange(t, n.url, "POST", "/v1/users/lookup", from, person); resp.StatusCode != status {
			t.Errorf("a page of the host %q: %d %s", host, resp.StatusCode, body)
		}
	}
	// To a name, without TLS, browsers say nothing of the site; commands and clients are none.
	for _, c := range []struct {
		host   string
		sent   [2]string
		status int
	}{
		{"evil.example:8081", [2]string{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"}, 403},
		{"evil.example:8081", [2]string{"Accept-Language", ""}, 403}, // a page can empty it, and not take it away
		{"evil.example:8081", [2]string{"Origin", "null"}, 403},
		{"evil.example:8081", [2]string{"Referer", "http://evil.example:8081/"}, 403},
		{"127.0.0.1:8081", [2]string{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"}, 200},
		{"edge-1.example:8081", [2]string{"User-Agent", "curl/8"}, 200},
	} {
		from := http.Header{"Host": {c.host}, c.sent[0]: {c.sent[1]}}
		if resp, body := n.exchange(t, n.url, "POST", "/v1/users/lookup", from, person); resp.StatusCode != c.status {
			t.Errorf("to %s with %v: %d %s", c.host, c.sent, resp.StatusCode, body)
		}
	}
	k := startKeyed(t, testPolicy, nil)
	from := k.bearer("ops")
	from.Set("Sec-Fetch-Site", "cross-site")
	if resp, body := k.exchange(t, k.url, "GET", "/v1/status", from, ""); resp.StatusCode != 200 {
		t.Errorf("with a key: %d %s", resp.StatusCode, body)
	}
}
