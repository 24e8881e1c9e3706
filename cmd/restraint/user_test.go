package main

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A look-up is readable, and the identifier is in the body only.
func TestUserShow(t *testing.T) {
	addr, last := fakeNode(t, 200, "application/json", `{"held":true,"erased_until":1793500180,
		"exposures":[{"per":"campaign","name":"shoes","channel":"email","at":[1793500200,1793500000],"dropped_until":1793400000},{"per":"other","tag":"8f2e11a0","at":[1793500000]}],
		"holds":[{"per":"all","since":1793500000,"until":1793500060}],
		"purchases":[{"per":"advertiser","name":"acme","bought":1793500000}],
		"hidden_campaigns":[{"campaign":"shoes","at":1793500000,"until":1801276001}],
		"lists":[{"list":"customers"},{"list":"left","kind":"opt_out","source":"first_party","basis":"objection"}],"not_searched":[{"list":"orders","detail":"a list of orders"}],
		"preferences":{"personalisation":false,"hidden_advertisers":["acme","b"],"hidden_topics":["war"],"pause_until":1793600000,"unnamed":2,
			"opt_out_lists":[{"list":"left","kind":"opt_out"},{"list":"torn","detail":"its key file cannot be read"}]}}`)
	r := inProcess(t, nil, "", "user", "show", "--addr", addr, "--source", "uidapi.com", "--id", "secret-1")
	r.must(t, 0, "erased", "up to 2026-11-01 02:29:40 UTC", "shown", "campaign shoes, in email", "2 times, last 2026-11-01 02:30:00 UTC, first kept 2026-11-01 02:26:40 UTC; older ones dropped up to",
		"other (tag 8f2e11a0)", "held", "bought", "advertiser acme", "returned -", "hid", "on the list", "customers ", "left ", "opt out, first party, basis: objection", "not searched", "a list of orders",
		"personalisation: no (opted out)\nhidden advertisers: acme, b\nhidden topics: war\nhidden, and not named by the policy in force: 2\n"+
			"opted out by the list left, whatever is said here: its owner can take the person off it\nwhether the list torn opts the person out cannot be said: its key file cannot be read\npaused until 2026-11-02 06:13:20 UTC\n")
	if last.method != "POST" || last.path != "/v1/users/lookup" || last.query != "" || strings.Contains(r.stdout, "secret-1") {
		t.Errorf("asked %+v, printed %s", last, r.stdout)
	}
	if last.body != `{"user":{"eids":[{"source":"uidapi.com","uids":[{"id":"secret-1"}]}]}}` {
		t.Errorf("body %s", last.body)
	}
	addr, last = fakeNode(t, 200, "application/json", `{"held":false,"preferences":{"personalisation":true}}`)
	inProcess(t, nil, " secret-2\n", "user", "show", "--addr", addr, "--source", "ifa", "--id", "-").must(t, 0, "nothing is held about this identifier\npersonalisation: yes\n")
	if last.body != `{"device":{"ifa":"secret-2"}}` {
		t.Errorf("body %s", last.body)
	}
	inProcess(t, nil, "", "user", "show", "--addr", addr, "--id", "u", "--json").must(t, 0, `{"held":false`)
}

func TestUserOptOut(t *testing.T) {
	for command, want := range map[string]bool{"opt-out": false, "opt-in": true} {
		addr, last := fakeNode(t, 200, "application/json", `{"personalisation":true}`)
		inProcess(t, nil, "", "user", command, "--addr", addr, "--id", "u-1").must(t, 0, "personalisation: yes\n")
		var body struct {
			User            map[string]string
			Personalisation *bool
		}
		if err := json.Unmarshal([]byte(last.body), &body); err != nil || last.path != "/v1/users/preferences" || body.Personalisation == nil || *body.Personalisation != want ||
			!reflect.DeepEqual(body.User, map[string]string{"id": "u-1"}) {
			t.Errorf("%s: %+v, %v", command, last, err)
		}
	}
}

func TestUserWrong(t *testing.T) {
	addr, last := fakeNode(t, 503, problemJSON, `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"refusals full"}`)
	for _, command := range []string{"show", "erase", "opt-out", "opt-in"} {
		inProcess(t, nil, "", "user", command, "--addr", addr).must(t, 2, "--id is missing")
		inProcess(t, nil, "  \n", "user", command, "--addr", addr, "--id", "-").must(t, 2, "--id is missing")
		if last.path != "" {
			t.Fatalf("%s asked the node without an identifier", command)
		}
	}
	for _, wrong := range []string{"secret-4\nsecret-5\n", "secret-6\xff"} {
		r := inProcess(t, nil, wrong, "user", "erase", "--addr", addr, "--id", "-")
		if r.must(t, 2, "--id is not one identifier"); last.path != "" || strings.Contains(r.stdout+r.stderr, "secret") {
			t.Errorf("%q: asked %+v, printed %s", wrong, last, r.stderr)
		}
	}
	inProcess(t, nil, "", "user", "erase", "--addr", addr, "--id", "u", "--receipt", "R").must(t, 2, "leave out --id")
	for _, command := range []string{"show", "erase", "opt-out", "opt-in"} {
		r := inProcess(t, nil, "", "user", command, "--addr", addr, "--id", "secret-3")
		r.must(t, 1, "refusals full")
		if strings.Contains(r.stdout+r.stderr, "secret-3") {
			t.Errorf("%s repeats the identifier: %s", command, r.stderr)
		}
	}
	inProcess(t, nil, "", "user").must(t, 2, "show")
}

// An erasure of which a part failed is no success, also where it is printed as it is.
func TestUserEraseFailedList(t *testing.T) {
	answer := `{"receipt":"R","erased_until":1793500180,"done":true,"opt_out_kept":false,"lists":[{"list":"customers","state":"failed","detail":"send the erasure again"}]}`
	for _, flags := range [][]string{nil, {"--json"}} {
		addr, _ := fakeNode(t, 200, "application/json", answer)
		r := inProcess(t, nil, "", append([]string{"user", "erase", "--addr", addr, "--id", "u"}, flags...)...)
		r.must(t, 1, "customers", "send the erasure again")
	}
}

// Two real nodes and a real NATS: what one is told, the other knows, and the receipt says so.
func TestUserOverACluster(t *testing.T) {
	url, stopNats := startNats(t)
	dir := t.TempDir()
	a := startServed(t, dir, "--node", "a", "--nats-urls", url)
	b := startServed(t, t.TempDir(), "--node", "b", "--nats-urls", url, "--secret-file", filepath.Join(dir, "data", "secret"))
	user := func(s *served, args ...string) result {
		t.Helper()
		r := inProcess(t, nil, "", append(append([]string{"user"}, args...), "--addr", s.url)...)
		if r.code != 0 {
			t.Fatalf("user %v: %+v", args, r)
		}
		return r
	}
	shown := func(s *served, want ...string) {
		t.Helper()
		s.until(t, func() bool {
			r := user(s, "show", "--id", "u-1")
			for _, w := range want {
				if !strings.Contains(r.stdout, w) {
					return false
				}
			}
			return true
		})
	}
	if status, answer := a.send(t, "PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "u-1\nu-2\n"); status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	a.mustAccept(t, `{"type":"impression","user":{"id":"u-1"},"campaign":"spring-shoes"}`)
	shown(b, "campaign spring-shoes", "1 time", "on the list")
	user(b, "opt-out", "--id", "u-1")
	shown(a, "personalisation: no")
	if _, answer := a.get(t, "/v1/decide?user=u-1&campaign=spring-shoes"); !strings.Contains(answer, `"opted_out"`) {
		t.Errorf("%s", answer)
	}
	user(a, "opt-in", "--id", "u-1")
	shown(b, "personalisation: yes")

	r := user(a, "erase", "--id", "u-1", "--wait", "20s")
	r.must(t, 0, "the person stays opted out", "list acme-customers: kept", "node a", "node b", "applied", "every node has it")
	shown(b, "erased", "personalisation: no", "on the list")
	if r := user(b, "show", "--id", "u-1"); strings.Contains(r.stdout, "spring-shoes") {
		t.Errorf("not forgotten: %s", r.stdout)
	}
	user(b, "erase", "--id", "u-1", "--forget-opt-out", "--wait", "20s").must(t, 0, "no opt-out is kept", "list acme-customers: removed", "every node has it")
	for _, s := range []*served{a, b} {
		s.until(t, func() bool {
			r := user(s, "show", "--id", "u-1")
			return strings.Contains(r.stdout, "personalisation: yes") && !strings.Contains(r.stdout, "acme-customers")
		})
	}
	shown(a, "erased")
	shown(b, "erased")

	_, receipt, _ := strings.Cut(r.stdout, "receipt ")
	receipt, _, _ = strings.Cut(receipt, "\n")
	user(b, "erase", "--receipt", receipt).must(t, 0, "every node has it")
	stopNats()
	r = user(a, "erase", "--receipt", receipt, "--wait", "0s")
	r.must(t, 0, "NATS cannot be reached", "not every node has it yet")
}

// until polls until the condition holds.
func (s *served) until(t *testing.T, holds func() bool) {
	t.Helper()
	ticker, deadline := time.NewTicker(10*time.Millisecond), time.Now().Add(20*time.Second)
	defer ticker.Stop()
	for !holds() {
		if <-ticker.C; time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}
