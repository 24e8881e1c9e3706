package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// suppressed waits until exactly these of three people are held off on all nodes.
func suppressed(t *testing.T, want string, nodes ...*served) {
	t.Helper()
	ticker, deadline := time.NewTicker(10*time.Millisecond), time.Now().Add(20*time.Second)
	defer ticker.Stop()
	for i, s := range nodes {
		for {
			var got []string
			for _, user := range []string{"u1", "u2", "u3"} {
				if _, answer := s.get(t, "/v1/decide?user="+user+"&campaign=only"); strings.Contains(answer, `"suppressed"`) {
					got = append(got, user)
				}
			}
			if strings.Join(got, " ") == want {
				break
			}
			if <-ticker.C; time.Now().After(deadline) {
				_, ready := s.get(t, "/readyz")
				t.Fatalf("node %d: suppressed %q, want %q\n%s", i, got, want, ready)
			}
		}
	}
}

// A list pushed to one node of a cluster is live on the others, and stays so without
// NATS, also over a restart.
func TestServeSharesLists(t *testing.T) {
	url, stopNats := startNats(t)
	dirA, dirB := t.TempDir(), t.TempDir()
	a := startServed(t, dirA, "--node", "a", "--nats-urls", url)
	with := func(node string) []string {
		return []string{"--node", node, "--nats-urls", url, "--secret-file", filepath.Join(dirA, "data", "secret")}
	}
	b := startServed(t, dirB, with("b")...)
	text := "timezone: UTC\nmarkets: [{name: all, require: none}]\nlists: {customers: {id: [user.id], source: first_party, basis: contract}}\n" +
		"campaigns: {only: {advertiser: a, purpose: acquisition, suppress: [customers]}}\n"
	if status, answer := a.putPolicy(t, text); status != 200 {
		t.Fatalf("put policy: %d %s", status, answer)
	}
	must := func(s *served, want int, method, path, body string) {
		t.Helper()
		if status, answer := s.send(t, method, path, "text/plain", body); status != want {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	const list = "/v1/lists/customers"
	must(a, 201, "PUT", list, "u1\nu2\n")
	suppressed(t, "u1 u2", a, b)
	must(b, 200, "POST", list+"/add", "u3\n")
	suppressed(t, "u1 u2 u3", b, a)
	must(b, 200, "POST", list+"/remove", "u1\n")
	suppressed(t, "u2 u3", b, a)
	must(b, 200, "PUT", list+"?force", "u3\n")
	suppressed(t, "u3", b, a)
	c := startServed(t, t.TempDir(), with("c")...)
	if _, answer := c.get(t, "/v1/decide?user=u3&campaign=only"); !strings.Contains(answer, `"suppressed"`) {
		t.Errorf("a node that joined and is ready: %s", answer)
	}
	must(c, 200, "POST", list+"/rollback", "")
	suppressed(t, "u2 u3", c, b, a)
	c.stop(t)

	if status, answer := b.post(t, "/v1/events", `{"type":"impression","user":{"id":"u"},"campaign":"only"}`); status != 202 {
		t.Fatalf("event: %d %s", status, answer) // so that there is a snapshot to go by
	}
	b.stop(t)
	stopNats()
	b = startServed(t, dirB, with("b")...)
	suppressed(t, "u2 u3", b, a)
	if status, ready := b.get(t, "/readyz"); status != 200 || !strings.Contains(ready, "lists are as they were on disk") {
		t.Errorf("readyz: %d %s", status, ready)
	}
	for _, change := range [][2]string{{"PUT", list}, {"POST", list + "/add"}, {"POST", list + "/rollback"}, {"DELETE", list}} {
		if status, answer := b.send(t, change[0], change[1], "text/plain", "u1\n"); status != 503 || !strings.Contains(answer, "stays as it is") {
			t.Errorf("%s without NATS: %d %s", change[0], status, answer)
		}
	}
	suppressed(t, "u2 u3", b, a)
}
