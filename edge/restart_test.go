package edge_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lists and policy are there again after a restart, and a limit that was larger in
// an older version is still kept for.
func TestRestart(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	n.must(201, "PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-1\n", nil)
	n.must(200, "POST", "/v1/lists/customers/add?id=user.id", "text/plain", "u-2\n", nil)
	n.must(200, "POST", "/v1/lists/customers/remove?id=user.id", "text/plain", "u-1\n", nil)
	changed := strings.Replace(testPolicy, "limit: 3", "limit: 2", 1)
	n.must(200, "PUT", "/v1/policy", "application/yaml", changed, nil)
	n.stop()

	n = startNode(t, n.dir, "campaigns: {}", requestClock)
	for user, show := range map[string]bool{"u-1": true, "u-2": false, "u-3": true} {
		a := n.decide(`{"user":{"id":"` + user + `"},"at":1793500000,"candidates":[{"campaign":"welcome"}]}`)
		if a.Policy != 2 || a.Decisions[0].Show != show {
			t.Errorf("%s after restart: policy %d, %+v", user, a.Policy, a.Decisions[0])
		}
	}
	// Version 1 asked for 3: they are kept, so that going back shows them.
	for _, id := range []string{"1", "2", "3"} {
		n.event(`{"type":"impression","id":"` + id + `","user":{"id":"u-1"},"campaign":"shoes","at":1793500000}`)
	}
	n.must(200, "POST", "/v1/policy/rollback?version=1", "", "", nil)
	a := n.decide(`{"user":{"id":"u-1"},"at":1793500001,"candidates":[{"campaign":"shoes"}]}`)
	if d := a.Decisions[0]; d.Reason != "cap" || !strings.Contains(d.Because, "3 times") {
		t.Errorf("after going back to a larger limit: %+v", d)
	}
}

// A list whose file is damaged is never taken for an empty one: the node is not
// ready, says which list it is, and skips everybody whom the list could hold.
func TestDamagedList(t *testing.T) {
	for _, declared := range []string{"", "max_age: 48h, "} {
		damagedList(t, strings.Replace(testPolicy, "customers: {", "customers: {"+declared, 1))
	}
}

// damage changes the last byte of a list's key file.
func (n *node) damage(t *testing.T, list string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.dir, "suppress", "lists", list, "*.keys"))
	if err != nil || len(files) != 1 {
		t.Fatalf("key files: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func damagedList(t *testing.T, policy string) {
	n := startNode(t, "", policy, nil)
	n.must(201, "PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-1\n", nil)
	n.stop()
	n.damage(t, "customers")

	n = startNode(t, n.dir, policy, nil)
	if status, body := n.do("GET", "/readyz", "", ""); status != 503 || !bytes.Contains(body, []byte("customers")) {
		t.Errorf("readyz: %d %s", status, body)
	}
	if failed := n.metric(`restraint_http_responses_total{code="5xx"}`); failed != 0 {
		t.Errorf("%v answers failed, though only /readyz said what it was asked for", failed)
	}
	for _, user := range []string{"u-1", "u-2"} {
		a := n.decide(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"welcome"},{"campaign":"shoes"}]}`)
		if a.Decisions[0].Reason != "stale_list" || !strings.Contains(a.Decisions[0].Because, "cannot be read") || !a.Decisions[1].Show {
			t.Errorf("%s: %+v", user, a.Decisions)
		}
	}
	n.must(201, "PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-1\n", nil)
	n.must(200, "GET", "/readyz", "", "", nil)
	if a := n.decide(`{"user":{"id":"u-2"},"candidates":[{"campaign":"welcome"}]}`); !a.Decisions[0].Show {
		t.Errorf("after a new upload: %+v", a.Decisions)
	}
}

// What is asked of a policy path is done as asked, or refused.
func TestPolicyQueries(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	changed := strings.Replace(testPolicy, "limit: 3", "limit: 5", 1)
	var a struct {
		Version int
		DryRun  bool `json:"dry_run"`
		Changes []struct{ Key, Text string }
	}
	for _, query := range []string{"?dry_run", "?dry_run=1", "?dry_run=true"} {
		n.must(200, "PUT", "/v1/policy"+query, "application/yaml", changed, &a)
		if a.Version != 2 || !a.DryRun || len(a.Changes) != 1 {
			t.Errorf("%s: %+v", query, a)
		}
	}
	n.must(200, "PUT", "/v1/policy?dry_run", "application/yaml", testPolicy, &a)
	if a.Version != 1 {
		t.Errorf("dry run of the text in force: %+v", a)
	}
	n.refused(t, 400, "PUT", "/v1/policy?dryrun=1", "application/yaml", changed, "dryrun")
	n.refused(t, 400, "PUT", "/v1/policy?dry_run=maybe", "application/yaml", changed, "maybe")
	for _, share := range []string{"0", "101", "ten", "5.5", ""} {
		n.refused(t, 400, "PUT", "/v1/policy?pilot="+share, "application/yaml", changed, share)
	}
	n.refused(t, 400, "PUT", "/v1/policy?pilot=10", "application/yaml", testPolicy, "version 1, which is in force for everybody")
	n.refused(t, 400, "POST", "/v1/policy/rollback?version=abc", "", "", "abc")
	n.refused(t, 404, "POST", "/v1/policy/rollback?version=7", "", "", "7")
	n.refused(t, 404, "POST", "/v1/policy/rollback", "", "", "no version")
	for _, c := range []struct {
		match string
		want  int
	}{{`"7"`, 412}, {`"x"`, 400}, {`"1"`, 200}, {`"1"`, 412}, {`"2"`, 200}} {
		status, body := n.send(t, "PUT", "/v1/policy", []byte(changed), map[string]string{"If-Match": c.match})
		if status != c.want {
			t.Errorf("If-Match %s: %d, want %d: %s", c.match, status, c.want, body)
		}
	}
	status, body := n.do("GET", "/v1/policy?version=1", "", "")
	if status != 200 || string(body) != testPolicy {
		t.Errorf("version 1: %d %s", status, body)
	}
}
