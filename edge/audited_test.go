package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"restraint/edge/access"
	"restraint/edge/audit"
	"restraint/edge/identity"
)

// auditKey is the key of the chain of the node in dir.
func auditKey(t *testing.T, dir string) [32]byte {
	t.Helper()
	secret, _, err := identity.OpenSecret(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	return secret.AuditKey()
}

// recorded are the entries of the node's record, as it answers them.
func (n *node) recorded(t *testing.T) (entries []audit.Entry) {
	t.Helper()
	for since := uint64(1); ; {
		status, body := n.do("GET", fmt.Sprintf("/v1/audit?since=%d&limit=7", since), "", "")
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if len(body) == 0 {
			return entries
		}
		for line := range bytes.Lines(body) {
			e, err := audit.ReadEntry(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			entries = append(entries, e)
			since = e.Seq + 1
		}
	}
}

// verified checks the files of the node's record.
func (n *node) verified(t *testing.T, heads ...audit.Witness) *audit.Report {
	t.Helper()
	r, err := audit.Verify(nil, filepath.Join(n.dir, "audit"), auditKey(t, n.dir), "", 1, heads)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// since are the entries from the first that a test made.
func since(entries []audit.Entry, action audit.Action) []audit.Entry {
	i := slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Action == action })
	return entries[max(i, 0):]
}

// inShort is an entry in short: what was done and what became of it.
func inShort(e *audit.Entry) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s%s by %s", e.Action, e.Outcome, e.List, e.Campaign, e.Who.By))
}

// Every change is on the record, announced before it is made and with its outcome after, by
// whom and why; a dry run is not.
func TestChangesAreRecorded(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	why := map[string]string{"Restraint-Why": "ticket 12 – as agreed", "Content-Type": "text/csv"}
	ask := func(want int, method, path, body string) {
		t.Helper()
		if status, answer := n.send(t, method, path, []byte(body), why); status != want {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	ask(200, "PUT", "/v1/policy?dry_run=1", limit("4"))
	ask(200, "PUT", "/v1/policy", testPolicy)
	ask(200, "PUT", "/v1/policy", limit("4"))
	ask(400, "PUT", "/v1/policy", "campaigns: 7")
	ask(200, "POST", "/v1/policy/rollback", "")
	ask(200, "PUT", "/v1/lists/customers?dry_run=1&map=c:user.id", "c\nu-1\n")
	ask(201, "PUT", "/v1/lists/customers?map=c:user.id", "c\nu-1\nu-2\nu-4\nu-5\n")
	until := time.Now().Add(time.Hour).Unix()
	ask(200, "POST", fmt.Sprintf("/v1/lists/customers/add?map=c:user.id&until=%d", until), "c\nu-3\n")
	ask(200, "POST", "/v1/lists/customers/remove?map=c:user.id", "c\nu-1\n")
	ask(422, "PUT", "/v1/lists/customers?map=c:user.id", "c\nu-3\n")
	ask(404, "PUT", "/v1/lists/nobody?map=c:user.id", "c\nu-3\n")
	ask(200, "PUT", "/v1/lists/customers?map=c:user.id&force=1", "c\nu-3\n")
	ask(200, "POST", "/v1/lists/customers/rollback", "")
	ask(204, "DELETE", "/v1/lists/customers", "")
	why["Content-Type"] = "application/json"
	ask(200, "POST", "/v1/users/preferences", `{"user":{"id":"u-1"},"personalisation":false,"hidden_topics":["shoes"]}`)
	ask(400, "POST", "/v1/users/preferences", `{"user":{"id":"u-1"}}`)
	ask(200, "POST", "/v1/users/erase", `{"user":{"id":"u-1"},"device":{"ifa":"6d92078a-8246-4ba4-ae5b-76104861e7dc"}}`)
	ask(200, "POST", "/v1/users/lookup", `{"user":{"id":"u-1"}}`)

	entries := n.recorded(t)
	var got []string
	for i := range entries {
		got = append(got, inShort(&entries[i]))
	}
	want := []string{
		"record.begun done  by start", "policy.put   by start", "policy.put done  by start", "node.started done  by start",
		"policy.put   by loopback", "policy.put done  by loopback",
		"policy.put   by loopback", "policy.put done  by loopback",
		"policy.put   by loopback", "policy.put refused  by loopback",
		"policy.rollback   by loopback", "policy.rollback done  by loopback",
		"list.put  customers by loopback", "list.put done customers by loopback",
		"list.add  customers by loopback", "list.add done customers by loopback",
		"list.remove  customers by loopback", "list.remove done customers by loopback",
		"list.put  customers by loopback", "list.put refused customers by loopback",
		"list.put  nobody by loopback", "list.put refused nobody by loopback",
		"list.put  customers by loopback", "list.put done customers by loopback",
		"list.rollback  customers by loopback", "list.rollback done customers by loopback",
		"list.delete  customers by loopback", "list.delete done customers by loopback",
		"person.preferences   by loopback", "person.preferences done  by loopback",
		"person.erase   by loopback", "person.erase done  by loopback",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, e := range entries {
		switch announced := e.Outcome == ""; {
		case i > 3 && announced != (e.Why == "ticket 12 – as agreed"):
			t.Errorf("entry %d: why %q", e.Seq, e.Why)
		case !announced && e.Of != 0 && e.Of != e.Seq-1:
			t.Errorf("entry %d is of %d", e.Seq, e.Of)
		}
	}
	if entries[5].After["unchanged"] != true || entries[5].Policy != 1 {
		t.Errorf("%+v", entries[5])
	}
	changes := entries[7].After["changes"].([]any)
	if entries[7].Policy != 2 || len(changes) != 1 || !strings.HasPrefix(changes[0].(string), "campaigns.shoes.caps") || entries[7].Before["version"] != 1.0 {
		t.Errorf("%+v", entries[7])
	}
	if e := entries[13]; e.After["keys"] != 4.0 || e.After["rows"] != 4.0 || entries[14].Before["keys"] != 4.0 || entries[14].After["until"] != float64(until) || entries[22].After["force"] != true {
		t.Errorf("%+v", e)
	}
	preferences, erased := entries[29], entries[31]
	if len(preferences.People) != 1 || preferences.After["personalisation"] != false || entries[28].Before["personalisation"] != true ||
		fmt.Sprint(entries[28].After["fields"]) != "[personalisation hidden_topics]" {
		t.Errorf("%+v\n%+v", entries[28], preferences)
	}
	if len(erased.People) != 2 || erased.People[0] != preferences.People[0] || len(erased.People[0]) != 32 || erased.After["opt_out_kept"] != true {
		t.Errorf("%+v", erased)
	}
	n.stop()
	if r := n.verified(t); r.FaultsTotal != 0 || r.Entries != len(want) || r.UnfinishedTotal != 0 || r.Node != "test" {
		t.Errorf("%+v", r)
	}
}

// The person behind a token is on the record once, by a digest, however often the token is
// shown.
func TestOptOutIsRecordedOnce(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	a := n.decide(`{"user":{"id":"u-1"},"want":1,"token":true,"candidates":[{"campaign":"shoes"}]}`)
	for range 3 {
		n.must(204, "POST", "/v1/opt-out?t="+a.Token, "", "", nil)
	}
	n.event(`{"type":"hide","token":"` + a.Token + `","campaign":"shoes"}`)
	n.must(200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-1"},"personalisation":true}`, nil)
	n.must(204, "POST", "/v1/opt-out?t="+a.Token, "", "", nil)
	entries := since(n.recorded(t), audit.PersonOptOut)
	if len(entries) != 4 || inShort(&entries[0]) != "person.opt_out done  by person" || inShort(&entries[3]) != inShort(&entries[0]) ||
		entries[0].People[0] != entries[1].People[0] || entries[0].Who != (audit.Who{By: audit.ByPerson}) {
		t.Errorf("%+v", entries)
	}
}

// With keys the record says whose key it was, and which came and went at SIGHUP.
func TestKeysAreRecorded(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	status, body := k.exchange(t, k.url, "PUT", "/v1/policy", k.bearer("ops"), limit("4"))
	if status.StatusCode != 200 {
		t.Fatalf("%s", body)
	}
	made := k.add(t, access.Key{Client: "late", Roles: access.CRM})
	k.gate.Replace(k.file)
	k.running.KeysReloaded("keys")
	k.running.KeysReloaded("keys") // nothing has changed
	file, err := k.file.Revoke(made.ID, made.Made)
	if err != nil {
		t.Fatal(err)
	}
	k.gate.Replace(file)
	k.running.KeysReloaded("keys")
	k.gate.Replace(access.New())
	k.running.KeysReloaded("keys")
	k.stop()
	r := k.verified(t)
	if r.FaultsTotal != 0 {
		t.Fatal(r.Faults)
	}
	n := startNode(t, k.dir, testPolicy, nil)
	entries := since(n.recorded(t), audit.KeysLoaded)
	if e := entries[0]; e.Who.By != audit.ByStart || len(e.After["came"].([]any)) != 5 || e.After["active"] != 5.0 {
		t.Errorf("%+v", e)
	}
	if e := entries[1]; e.Action != audit.PolicyPut || e.Who.By != audit.ByKey || e.Who.Client != "ops" || e.Who.Roles != "ops" || !strings.HasPrefix(k.keys["ops"], "rk_"+e.Who.Key+"_") {
		t.Errorf("%+v", e)
	}
	for i, want := range []string{"came", "revoked", "went"} {
		e := entries[3+i]
		if e.Action != audit.KeysLoaded || e.Who.By != audit.BySIGHUP || e.After["file"] != "keys" || !strings.Contains(fmt.Sprint(e.After[want]), made.ID+" late crm") {
			t.Errorf("%s: %+v", want, e)
		}
	}
}

// A reason that the record would not take is refused, and nothing is changed.
func TestWhyIsChecked(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	for name, header := range map[string]http.Header{
		"long":       {"Restraint-Why": {strings.Repeat("é", 251)}},
		"twice":      {"Restraint-Why": {"a", "b"}},
		"not UTF-8":  {"Restraint-Why": {"\xff"}},
		"a tab":      {"Restraint-Why": {"a\tb"}},
		"a del char": {"Restraint-Why": {"a\u0080b"}},
	} {
		resp, body := n.exchange(t, n.url, "PUT", "/v1/policy", header, limit("4"))
		if resp.StatusCode != 400 || !strings.Contains(string(body), "Restraint-Why is given") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	if history := n.history(); len(history) != 1 {
		t.Errorf("%v", history)
	}
}

func TestAuditQuery(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	for _, query := range []string{"since=x", "since=-1", "limit=0", "limit=10001", "limit=x", "sinc=1", "since=2027-01-31"} {
		if status, body := n.do("GET", "/v1/audit?"+query, "", ""); status != 400 {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	resp, body := n.exchange(t, n.url, "GET", "/v1/audit?since=2&limit=1", nil, "")
	if resp.Header.Get("Link") != `</v1/audit?since=3&limit=1>; rel="next"` || !bytes.HasPrefix(body, []byte(`{"seq":2,`)) || bytes.Count(body, []byte("\n")) != 1 {
		t.Errorf("%v %s", resp.Header, body)
	}
	if status, body := n.do("GET", "/v1/audit?since=2099-01-01T00:00:00Z", "", ""); status != 200 || len(body) != 0 {
		t.Errorf("%d %s", status, body)
	}
}

// Many changes at once: each is on the record, with its outcome, under -race.
func TestRecordConcurrently(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	const workers, each = 8, 6
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := range each {
				user := fmt.Sprintf(`{"user":{"id":"u-%d-%d"},"personalisation":false}`, w, i)
				if status, body := n.do("POST", "/v1/users/preferences", "application/json", user); status != 200 {
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	running.Wait()
	entries := since(n.recorded(t), audit.PersonPreferences)
	people := map[string]int{}
	for _, e := range entries {
		people[e.People[0]]++
	}
	if len(entries) != 2*workers*each || len(people) != workers*each {
		t.Errorf("%d entries of %d people", len(entries), len(people))
	}
	n.stop()
	if r := n.verified(t); r.FaultsTotal != 0 || r.UnfinishedTotal != 0 {
		t.Errorf("%+v", r)
	}
}

// What /v1/status and the metrics say of the record.
func TestAuditStatus(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	var status struct {
		Audit struct {
			Newest      uint64
			Owed        int
			SigningKey  string `json:"signing_key"`
			Error       *string
			Unsupported json.RawMessage
		}
	}
	n.must(200, "GET", "/v1/status", "", "", &status)
	own, _ := n.heads(t)
	if status.Audit.Newest != own.Seq || status.Audit.SigningKey != own.Key || status.Audit.Owed != 0 || status.Audit.Error != nil || own.Check() != nil {
		t.Errorf("%+v, head %+v", status, own)
	}
	if n.metric("restraint_audit_writable") != 1 || n.metric("restraint_audit_newest") != float64(own.Seq) || n.metric("restraint_audit_owed") != 0 {
		t.Error("metrics")
	}
}
