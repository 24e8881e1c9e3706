package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"restraint/edge/audit"
)

const (
	testTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	testParent = "00-" + testTrace + "-00f067aa0ba902b7-01"
)

// named asks with headers and returns the answer's X-Request-Id.
func (n *node) named(t *testing.T, method, url, body string, headers http.Header) (id string, status int) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = headers.Clone()
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("X-Request-Id"), resp.StatusCode
}

// What a caller calls its request comes back, and stands in the log and on the record
// beside what the request changed.
func TestRequestName(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	headers := http.Header{"X-Request-Id": {"r-1"}, "Traceparent": {testParent}}
	asked := []struct{ method, path, body, logged string }{
		{"PUT", "/v1/lists/customers?id=user.id", "m-1\nm-2\n", "list changed"},
		{"PUT", "/v1/lists/customers?id=user.id", "m-1\n", ""},
		{"POST", "/v1/lists/customers/rollback", "", "list rolled back"},
		{"DELETE", "/v1/lists/customers", "", "list deleted"},
		{"PUT", "/v1/policy", strings.Replace(testPolicy, "limit: 3", "limit: 4", 1), "policy in force"},
		{"PUT", "/v1/policy?pilot=10", strings.Replace(testPolicy, "limit: 3", "limit: 5", 1), "policy tried out"},
		{"POST", "/v1/users/preferences", `{"user":{"id":"u-1"},"personalisation":false}`, ""},
		{"POST", "/v1/users/erase", `{"user":{"id":"u-1"}}`, "a person was erased"},
		{"GET", "/v1/status", "", ""},
		{"GET", "/nowhere", "", ""},
	}
	name := func(i int) string { return "r-" + string(rune('a'+i)) }
	for i, c := range asked {
		id := name(i)
		headers.Set("X-Request-Id", id)
		got, status := n.named(t, c.method, n.url+c.path, c.body, headers)
		if got != id || status >= 400 && c.path != "/nowhere" {
			t.Errorf("%s %s: %d, X-Request-Id %q", c.method, c.path, status, got)
		}
	}
	entries, of := n.recorded(t), map[string]int{}
	for i := range entries {
		if e := &entries[i]; e.Who.By == audit.ByLoopback {
			if e.Trace != testTrace || !strings.HasPrefix(e.Request, "r-") {
				t.Errorf("%s: request %q, trace %q", inShort(e), e.Request, e.Trace)
			}
			of[e.Request]++
		} else if e.Request != "" || e.Trace != "" {
			t.Errorf("%s: nobody asked for it", inShort(e))
		}
	}
	if len(of) != 8 || of["r-a"] != 2 || of["r-h"] != 2 {
		t.Errorf("entries by request: %v", of)
	}
	if r := n.verified(t); len(r.Faults) != 0 {
		t.Errorf("%+v", r.Faults)
	}
	n.stop()
	lines := n.logged(t)
	for i, c := range asked {
		if c.logged != "" && lines[name(i)] != (loggedLine{c.logged, name(i), testTrace}) {
			t.Errorf("%q of %s is logged as %+v", c.logged, name(i), lines[name(i)])
		}
	}
	if line := entries[len(entries)-1].Line(); !strings.Contains(line, "request r-h, trace "+testTrace) {
		t.Errorf("for people: %s", line)
	}
}

// loggedLine is what a line of the log says of the request that it comes of.
type loggedLine struct {
	Msg     string
	Request string `json:"request_id"`
	Trace   string `json:"trace_id"`
}

// logged is the last line of each request in the log of a node that has ended.
func (n *node) logged(t *testing.T) map[string]loggedLine {
	t.Helper()
	lines := map[string]loggedLine{}
	for text := range bytes.Lines(n.log.Bytes()) {
		var l loggedLine
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		lines[l.Request] = l
	}
	return lines
}

// A name that is malformed is not taken, and the node makes one; bids have none.
func TestRequestNameRefused(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	for name, given := range map[string][]string{
		"none": nil, "empty": {""}, "blank": {"a b"}, "twice": {"a", "b"}, "long": {strings.Repeat("a", 129)}, "an address": {"jane@mail.example"},
		"quotes": {`a"b`}, "json": {`{"a":1}`}, "not ASCII": {"é"}, "a list": {"a,b"}, "a tab": {"a\tb"},
	} {
		id, status := n.named(t, "PUT", n.url+"/v1/lists/customers?id=user.id", "m-1\n", http.Header{"X-Request-Id": given})
		if status >= 300 || len(id) != 26 || id == strings.Join(given, "") {
			t.Errorf("%s: %d, %q", name, status, id)
		}
	}
	if id, _ := n.named(t, "GET", n.url+"/healthz", "", http.Header{"X-Request-Id": {strings.Repeat("aZ9-._~:/+=0", 10)}}); len(id) != 120 {
		t.Errorf("what may be in a name came back as %q", id)
	}
	for _, url := range []string{n.bid, n.url} {
		if id, status := n.named(t, "POST", url+"/v1/decide", `{"user":{"id":"u"},"candidates":[{"campaign":"shoes"}]}`, http.Header{"X-Request-Id": {"r-1"}}); id != "" || status != 200 {
			t.Errorf("a bid: %d, %q", status, id)
		}
	}
	n.stop()
	if strings.Contains(n.log.String(), "mail.example") {
		t.Error("a person's address is in the log")
	}
}

// Of traceparent only what the standard allows is taken.
func TestTraceparent(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	const parent = "00f067aa0ba902b7"
	texts := map[string]bool{
		testParent: true, "00-" + testTrace + "-" + parent + "-00": true, "00-" + testTrace + "-" + parent + "-ff": true,
		"cc-" + testTrace + "-" + parent + "-01": true, "cc-" + testTrace + "-" + parent + "-01-what-comes-later": true,
		"": false, "00": false, "00-" + testTrace + "-" + parent: false, testParent + "-01": false, testParent + "x": false,
		"cc-" + testTrace + "-" + parent + "-01x":                            false,
		"ff-" + testTrace + "-" + parent + "-01":                             false,
		"0x-" + testTrace + "-" + parent + "-01":                             false,
		"00-" + strings.ToUpper(testTrace) + "-" + parent + "-01":            false,
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01":               false,
		"00-" + testTrace + "-" + strings.Repeat("0", 16) + "-01":            false,
		"00-" + testTrace[:31] + "g-" + parent + "-01":                       false,
		"00_" + testTrace + "-" + parent + "-01":                             false,
		"00-" + testTrace + "-" + parent + "-0é":                             false,
		"cc-" + testTrace + "-" + parent + "-01-" + strings.Repeat("x", 100): false,
	}
	ask := func(id string, parents ...string) {
		t.Helper()
		if _, status := n.named(t, "PUT", n.url+"/v1/lists/customers?id=user.id&force=1", "m-1\n", http.Header{"X-Request-Id": {id}, "Traceparent": parents}); status >= 300 {
			t.Fatal(status)
		}
	}
	ids := map[string]string{}
	for text := range texts {
		ids[text] = fmt.Sprint("t-", len(ids))
		ask(ids[text], text)
	}
	ask("two", testParent, testParent)
	n.stop()
	lines := n.logged(t)
	for text, good := range texts {
		if l := lines[ids[text]]; l.Msg != "list changed" || (l.Trace == testTrace) != good || !good && l.Trace != "" {
			t.Errorf("%q: %+v", text, l)
		}
	}
	if l := lines["two"]; l.Msg != "list changed" || l.Trace != "" {
		t.Errorf("two of them: %+v", l)
	}
}
