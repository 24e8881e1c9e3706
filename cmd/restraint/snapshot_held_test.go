package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const snapshotPolicy = `
markets: [{name: all, require: none}]
sources: [user.id]
lists:
  customers: {id: [user.id], source: first_party, basis: contract, exact: true}
  adds: {id: [user.id], source: first_party, basis: contract}
  orders: {id: [user.id], items: true, source: first_party, basis: contract}
  deleted: {id: [user.id], source: first_party, basis: contract}
dial_back: {window: 24h, min_shown: 2, min_people: 1, hides_per_10k: 1000, factor: 0.5, pause_at: 9000}
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 1, within: 24h}], suppress: [customers, adds, deleted]}
  bought: {advertiser: acme, purchased: {item: 90d, lists: [orders]}}
  annoying: {advertiser: other, caps: [{per: campaign, limit: 10, within: 24h}]}
`

// held is a node that holds something of every kind, and what it says of it.
type held struct {
	*served
	dir string
}

func (h held) secret() string { return filepath.Join(h.dir, "data", "secret") }

// fillNode makes a node hold something of every kind.
func fillNode(t *testing.T, s *served, dir string) held {
	t.Helper()
	must := func(want int, method, path, contentType, body string) {
		t.Helper()
		if status, answer := s.send(t, method, path, contentType, body); status != want && status != 202 { // 202: the others are asked
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	event := func(user, about string) {
		t.Helper()
		s.mustAccept(t, fmt.Sprintf(`{"user":{"id":%q},%s}`, user, about))
	}
	if status, answer := s.putPolicy(t, snapshotPolicy); status != 200 {
		t.Fatalf("put policy: %d %s", status, answer)
	}
	must(200, "PUT", "/v1/policy?pilot=50", "application/yaml", strings.Replace(snapshotPolicy, "limit: 1,", "limit: 2,", 1))
	event("full", `"type":"impression","id":"1","campaign":"shoes"`)
	event("full", `"type":"impression","id":"2","campaign":"shoes"`)
	event("hid", `"type":"hide","campaign":"shoes"`)
	event("buyer", `"type":"purchase","advertiser":"acme","item":"sku-1"`)
	event("d-1", `"type":"impression","campaign":"annoying"`)
	event("d-2", `"type":"impression","campaign":"annoying"`)
	event("d-1", `"type":"complaint","campaign":"annoying"`)
	must(200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"out"},"personalisation":false}`)
	event("gone", `"type":"impression","campaign":"shoes"`)
	must(200, "POST", "/v1/users/erase", "application/json", `{"user":{"id":"gone"},"keep_opt_out":false}`)
	must(201, "PUT", "/v1/lists/customers", "text/plain", "c-1\nc-2\nc-3\n")
	must(200, "PUT", "/v1/lists/customers?force", "text/plain", "c-2\nc-3\nc-4\n")
	must(200, "POST", "/v1/lists/customers/add", "text/plain", "c-5\n")
	must(200, "POST", "/v1/lists/customers/remove", "text/plain", "c-2\n")
	must(201, "PUT", "/v1/lists/deleted", "text/plain", "x-1\n")
	must(204, "DELETE", "/v1/lists/deleted", "", "")
	must(200, "POST", "/v1/lists/adds/add", "text/plain", "a-1\n")
	must(201, "PUT", "/v1/lists/orders?id=user.id&column=u&item_column=i", "text/csv", "u,i\no-1,sku-9\n")
	return held{s, dir}
}

// lowered says whether the campaign that somebody complained about is dialled back.
func (h held) lowered(t *testing.T) bool {
	t.Helper()
	_, dialled := h.get(t, "/v1/dial-back")
	return strings.Contains(dialled, `"level":"lowered"`)
}

// says is what a node answers to questions about everything that fillNode made, without what time changes.
func (h held) says(t *testing.T) string {
	t.Helper()
	var said []string
	for _, ask := range []struct{ user, campaign, item string }{
		{"full", "shoes", ""},
		{"hid", "shoes", ""},
		{"out", "shoes", ""},
		{"new", "shoes", ""},
		{"gone", "shoes", ""},
		{"c-1", "shoes", ""},
		{"c-2", "shoes", ""},
		{"c-3", "shoes", ""},
		{"c-4", "shoes", ""},
		{"c-5", "shoes", ""},
		{"a-1", "shoes", ""},
		{"x-1", "shoes", ""},
		{"buyer", "bought", "sku-1"},
		{"buyer", "bought", "sku-2"},
		{"o-1", "bought", "sku-9"},
		{"o-1", "bought", "sku-8"},
	} {
		_, body := h.post(t, "/v1/decide", fmt.Sprintf(`{"user":{"id":%q},"candidates":[{"campaign":%q,"item":%q}]}`, ask.user, ask.campaign, ask.item))
		var a struct {
			Policy    int
			Decisions []struct {
				Show   bool
				Reason string
			}
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Decisions) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		said = append(said, fmt.Sprintf("%s %s %v %s by %d", ask.user, ask.campaign, a.Decisions[0].Show, a.Decisions[0].Reason, a.Policy))
	}
	_, pilot := h.get(t, "/v1/policy/pilot")
	said = append(said, "pilot "+regexp.MustCompile(`"percent":\d+`).FindString(pilot))
	_, gone := h.post(t, "/v1/users/lookup", `{"user":{"id":"gone"}}`)
	said = append(said, "gone "+regexp.MustCompile(`"erased_until":\d+`).FindString(gone)+regexp.MustCompile(`"exposures":\[[^\]]*`).FindString(gone))
	return strings.Join(said, "\n")
}

// restraint runs the real program.
func restraint(t *testing.T, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the code says it
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}
