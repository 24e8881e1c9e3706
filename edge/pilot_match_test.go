package edge_test

import (
	"net/http"
	"strings"
	"testing"
)

// A change that was meant for another version is refused.
func TestPilotIfMatch(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(200, "PUT", "/v1/policy?pilot=40", "", limit("2"), nil)
	resp, _ := n.exchange(t, n.url, "GET", "/v1/policy/pilot", nil, "")
	if tag := resp.Header.Get("ETag"); tag != `"2"` {
		t.Fatalf("ETag %s", tag)
	}
	for _, c := range []struct {
		match  string
		status int
	}{{`"1"`, 412}, {`"2"`, 200}} {
		resp, body := n.exchange(t, n.url, "POST", "/v1/policy/pilot?end=stop", http.Header{"If-Match": {c.match}}, "")
		if resp.StatusCode != c.status {
			t.Errorf("If-Match %s: %d %s", c.match, resp.StatusCode, body)
		}
	}
}

// Who read the policy of the others, changed it and puts it over that version is told that a
// pilot runs, not to read the same version again.
func TestPilotIfMatchOfTheOthers(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(200, "PUT", "/v1/policy?pilot=40", "", limit("2"), nil)
	resp, _ := n.exchange(t, n.url, "GET", "/v1/policy", nil, "")
	tag := resp.Header.Get("ETag")
	for _, text := range []string{limit("5"), testPolicy} {
		resp, body := n.exchange(t, n.url, "PUT", "/v1/policy", http.Header{"If-Match": {tag}}, text)
		if resp.StatusCode != 409 || !strings.Contains(string(body), "promote it or stop it first") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	if p := n.pilot(); !p.Running || p.Version != 2 {
		t.Errorf("%+v", p)
	}
}
