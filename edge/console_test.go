package edge_test

import (
	"strings"
	"testing"
)

// The page is served to whoever asks, with a policy that allows its own script and style and
// nothing else, and says of the node only whether it has keys.
func TestConsole(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	resp, page := k.exchange(t, k.url, "GET", "/console", nil, "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(string(page), `data-keys="yes"`) {
		t.Fatalf("%d %v %.300s", resp.StatusCode, resp.Header, page)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	allowed := map[string]string{}
	for directive := range strings.SplitSeq(resp.Header.Get("Content-Security-Policy"), "; ") {
		name, of, _ := strings.Cut(directive, " ")
		allowed[name] = of
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "connect-src": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'none'", "img-src": "data:",
		"require-trusted-types-for": "'script'", "trusted-types": "'none'",
	} {
		if allowed[name] != want {
			t.Errorf("%s: %q, want %q", name, allowed[name], want)
		}
	}
	for _, name := range []string{"script-src", "style-src"} {
		if of := allowed[name]; !strings.HasPrefix(of, "'sha256-") || strings.Contains(of, " ") {
			t.Errorf("%s: %q, want one hash", name, of)
		}
	}
	for _, of := range []string{k.dir, "shoes", "acme", "customers"} {
		if strings.Contains(string(page), of) {
			t.Errorf("the page has %q", of)
		}
	}
	alone := startNode(t, "", testPolicy, nil)
	if _, page := alone.exchange(t, alone.url, "GET", "/console", nil, ""); !strings.Contains(string(page), `data-keys="no"`) {
		t.Error("a node without keys says that it has some")
	}
	if resp, _ := alone.exchange(t, alone.bid, "GET", "/console", nil, ""); resp.StatusCode != 404 {
		t.Errorf("on the bid listener: %d", resp.StatusCode)
	}
	if resp, body := alone.exchange(t, alone.url, "HEAD", "/console", nil, ""); resp.StatusCode != 200 || len(body) != 0 {
		t.Errorf("HEAD: %d, %d bytes", resp.StatusCode, len(body))
	}
}
