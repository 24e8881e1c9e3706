package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// threeNodes are nodes on one NATS server, under a policy with a list.
func threeNodes(t *testing.T) (nodes []*served, until func(user, campaign, reason string) time.Duration) {
	t.Helper()
	url, _ := startNats(t)
	dir := t.TempDir()
	nodes = []*served{startServed(t, dir, "--node", "a", "--nats-urls", url)}
	for _, name := range []string{"b", "c"} {
		nodes = append(nodes, startServed(t, t.TempDir(), "--node", name, "--nats-urls", url, "--secret-file", filepath.Join(dir, "data", "secret")))
	}
	policy := "timezone: UTC\nmarkets: [{name: all, require: none}]\n" +
		"lists: {customers: {id: [user.id], source: first_party, basis: contract}}\n" +
		"campaigns:\n  only: {advertiser: a, purpose: acquisition, suppress: [customers]}\n  bought: {advertiser: a, purchased: {item: 90d}}\n"
	if status, answer := nodes[0].putPolicy(t, policy); status != 200 {
		t.Fatalf("put policy: %d %s", status, answer)
	}
	until = func(user, campaign, reason string) time.Duration {
		t.Helper()
		return untilAll(t, nodes, fmt.Sprintf(`{"user":{"id":%q},"candidates":[{"campaign":%q,"item":"sku"}]}`, user, campaign), reason)
	}
	until("x", "only", "") // the policy is in force on all
	return nodes, until
}

// Additions, removals, purchases and returns act on all three nodes, wherever they
// are sent; what changes during an upload holds over it, and over what it replaced.
// How long it takes is logged, not judged.
func TestListsOnThreeNodes(t *testing.T) {
	nodes, until := threeNodes(t)
	const list = "/v1/lists/customers"
	must := func(s *served, want int, method, path, body string) {
		t.Helper()
		if status, answer := s.send(t, method, path, "text/plain", body); status != want {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	must(nodes[0], 201, "PUT", list, "x\ny\n")
	until("x", "only", "suppressed")

	longest := map[string]time.Duration{}
	for i := range 12 {
		at, user := nodes[i%3], fmt.Sprint("u", i)
		event := func(kind string) string {
			return fmt.Sprintf(`{"type":%q,"user":{"id":%q},"advertiser":"a","item":"sku"}`, kind, user)
		}
		must(at, 200, "POST", list+"/add", user+"\n")
		longest["add"] = max(longest["add"], until(user, "only", "suppressed"))
		must(at, 200, "POST", list+"/remove", user+"\n")
		longest["remove"] = max(longest["remove"], until(user, "only", ""))
		must(at, 202, "POST", "/v1/events", event("purchase"))
		longest["purchase"] = max(longest["purchase"], until(user, "bought", "purchased"))
		must(at, 202, "POST", "/v1/events", event("return"))
		longest["return"] = max(longest["return"], until(user, "bought", ""))
	}
	t.Logf("from the answer until all three nodes agree, at most: %v", longest)

	body := &rows{round: 1, to: 20_000, stop: 10_000, reached: make(chan struct{}), wait: make(chan struct{})}
	answered := make(chan int, 1)
	go func() { answered <- nodes[0].stream("PUT", list+"?force", body) }()
	<-body.reached
	for since := time.Now(); ; {
		if _, answer := nodes[0].get(t, list); strings.Contains(answer, `"what":"upload"`) {
			break
		}
		if time.Since(since) > 20*time.Second {
			t.Fatal("the upload does not begin")
		}
	}
	must(nodes[1], 200, "POST", list+"/add", "late\n")
	must(nodes[2], 200, "POST", list+"/remove", "r1-7\ny\n")
	until("late", "only", "suppressed")
	until("y", "only", "")
	close(body.wait)
	if status := <-answered; status != 200 {
		t.Fatalf("upload: %d", status)
	}
	until("r1-999", "only", "suppressed")
	until("late", "only", "suppressed")
	until("r1-7", "only", "")
	until("x", "only", "")
	must(nodes[2], 200, "POST", list+"/rollback", "")
	until("x", "only", "suppressed")
	until("late", "only", "suppressed")
	until("r1-999", "only", "")
	until("y", "only", "")
	for _, s := range nodes {
		s.stop(t)
	}
}

// Over a real broker: an upload that is sent again with its key, to another node, is
// not done again; a member with an until leaves every node at that second; and the
// table of lists says how the list stands on all.
func TestListsOnceAndUntil(t *testing.T) {
	nodes, until := threeNodes(t)
	keyed := func(s *served) (status int, replayed string) {
		t.Helper()
		req, err := http.NewRequest("PUT", s.url+"/v1/lists/customers", strings.NewReader("x\ny\n"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("Idempotency-Key", "5e1f")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Idempotency-Replayed")
	}
	if status, replayed := keyed(nodes[0]); status != 201 || replayed != "" {
		t.Fatalf("upload: %d, replayed %q", status, replayed)
	}
	until("y", "only", "suppressed")
	if status, answer := nodes[2].send(t, "POST", "/v1/lists/customers/remove", "text/plain", "y\n"); status != 200 {
		t.Fatalf("remove: %d %s", status, answer)
	}
	until("y", "only", "")
	if status, replayed := keyed(nodes[1]); status != 201 || replayed != "true" {
		t.Errorf("upload again, to another node: %d, replayed %q", status, replayed)
	}
	until("x", "only", "suppressed")
	until("y", "only", "")

	addr := strings.TrimPrefix(nodes[1].url, "http://")
	leaves := time.Now().Add(3 * time.Second).Truncate(time.Second)
	inProcess(t, nil, "z\n", "push", "--addr", addr, "--list", "customers", "--add", "--until", leaves.UTC().Format(time.RFC3339), "--id", "user.id", "--format", "text", "-").must(t, 0, "customers")
	until("z", "only", "suppressed")
	until("z", "only", "")
	if now := time.Now(); now.Before(leaves) {
		t.Errorf("z left %v before its second", leaves.Sub(now))
	} else {
		t.Logf("z had left all nodes %v after its second", now.Sub(leaves))
	}
	for since := time.Now(); ; {
		r := inProcess(t, nil, "", "lists", "--addr", addr)
		if strings.Contains(r.stdout, "3 of 3") {
			break
		}
		if time.Since(since) > 20*time.Second {
			t.Fatalf("lists: %s %s", r.stdout, r.stderr)
		}
	}
	for _, s := range nodes {
		s.stop(t)
	}
}

// untilAll waits until all nodes skip what is asked for the reason, or show it for "".
func untilAll(t *testing.T, nodes []*served, ask, reason string) time.Duration {
	t.Helper()
	want := `"show":true`
	if reason != "" {
		want = `"reason":"` + reason + `"`
	}
	ticker, since := time.NewTicker(2*time.Millisecond), time.Now()
	defer ticker.Stop()
	for i, s := range nodes {
		for {
			_, answer := s.post(t, "/v1/decide", ask)
			if strings.Contains(answer, want) {
				break
			}
			if <-ticker.C; time.Since(since) > 20*time.Second {
				t.Fatalf("node %d: %s, want %s", i, answer, want)
			}
		}
	}
	return time.Since(since)
}
