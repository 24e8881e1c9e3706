package edge_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/edge/shared/sharedtest"
)

// basisPolicy has a list of each kind, with its source and its basis.
const basisPolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
third_party_lists: allow
lists:
  customers: {id: [user.id], source: first_party, basis: contract}
  bought: {id: [user.id], source: third_party, basis: consent given to the seller}
  left: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
  orders: {id: [user.id], items: true, source: first_party, basis: contract}
campaigns:
  welcome: {advertiser: acme, purpose: acquisition, suppress: [customers, bought]}
`

// Where a list is from and on what basis it is used stand wherever a list is named to
// those who answer for it.
func TestListsSayTheirBasis(t *testing.T) {
	n := startNode(t, "", basisPolicy, nil)
	type said struct{ List, Kind, Source, Basis string }
	want := map[string]said{
		"customers": {"customers", "suppression", "first_party", "contract"},
		"bought":    {"bought", "suppression", "third_party", "consent given to the seller"},
		"left":      {"left", "opt_out", "first_party", "objection"},
		"orders":    {"orders", "suppression", "first_party", "contract"},
	}
	for name := range want {
		path, body := "/v1/lists/"+name+"?id=user.id", "c\nu-1\n"
		if name == "orders" {
			path, body = path+"&item_column=i&column=c", "c,i\nu-1,sku-1\n"
		} else {
			path += "&column=c"
		}
		n.must(201, "PUT", path, "text/csv", body, nil)
	}
	compare := func(where string, got []said) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: %+v", where, got)
		}
		for _, l := range got {
			if l != want[l.List] {
				t.Errorf("%s: %+v, want %+v", where, l, want[l.List])
			}
		}
	}
	var all struct{ Lists []said }
	n.must(200, "GET", "/v1/lists", "", "", &all)
	compare("GET /v1/lists", all.Lists)
	var each []said
	for name := range want {
		var one said
		n.must(200, "GET", "/v1/lists/"+name, "", "", &one)
		each = append(each, one)
	}
	compare("GET /v1/lists/{name}", each)
	var held struct {
		Lists       []said
		NotSearched []said `json:"not_searched"`
	}
	n.must(200, "POST", "/v1/users/lookup", "application/json", `{"user":{"id":"u-1"}}`, &held)
	compare("look-up", append(held.Lists, held.NotSearched...))

	// What the policy declares no more is still held, and of nobody's basis.
	n.must(200, "PUT", "/v1/policy", "application/yaml", "markets: [{name: everywhere, require: none}]\ncampaigns: {}", nil)
	held.Lists, held.NotSearched = nil, nil
	n.must(200, "POST", "/v1/users/lookup", "application/json", `{"user":{"id":"u-1"}}`, &held)
	if len(held.Lists) != 3 || len(held.NotSearched) != 1 {
		t.Errorf("after the policy: %+v", held)
	}
	for _, l := range append(held.Lists, held.NotSearched...) {
		if l != (said{List: l.List}) {
			t.Errorf("after the policy: %+v", l)
		}
	}
}

// boughtPolicy has a third party's list without the line that would allow it.
var boughtPolicy = strings.Replace(basisPolicy, "third_party_lists: allow\n", "", 1)

// A third party's list is refused however the policy comes: put, tried, gone back to from
// the versions on disk, or shared by the cluster. With the permission in writing it is taken.
func TestThirdPartyListsAreRefused(t *testing.T) {
	const fault = "a third-party list is refused"
	n := startNode(t, "", testPolicy, nil)
	for _, policy := range []string{boughtPolicy, strings.Replace(basisPolicy, "third_party_lists: allow", "third_party_lists: refuse", 1)} {
		n.refused(t, 400, "PUT", "/v1/policy", "application/yaml", policy, fault, "third_party_lists: allow")
		n.refused(t, 400, "PUT", "/v1/policy?dry_run=1", "application/yaml", policy, fault)
	}
	for _, missing := range []string{"source: third_party, ", ", basis: contract", ", basis: objection"} {
		n.refused(t, 400, "PUT", "/v1/policy", "application/yaml", strings.Replace(basisPolicy, missing, "", 1), "is missing")
	}
	inForce(t, 1, testPolicy, n)
	n.must(200, "PUT", "/v1/policy", "application/yaml", basisPolicy, nil)
	n.must(200, "PUT", "/v1/policy", "application/yaml", testPolicy, nil)
	n.must(200, "POST", "/v1/policy/rollback?version=2", "", "", nil) // allowed in that text's own words
	inForce(t, 4, basisPolicy, n)
	n.must(200, "PUT", "/v1/policy", "application/yaml", testPolicy, nil)

	// An older version on disk that no put would have taken.
	n.stop()
	file := filepath.Join(n.dir, "policies", "00000002.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var version map[string]any
	if err := json.Unmarshal(text, &version); err != nil {
		t.Fatal(err)
	}
	version["text"], version["sha256"] = boughtPolicy, policyDocument(2, boughtPolicy).SHA256
	if err := os.WriteFile(file, []byte(encode(t, version)), 0o600); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, n.dir, testPolicy, nil)
	n.refused(t, 400, "POST", "/v1/policy/rollback?version=2", "", "", fault)
	n.refused(t, 400, "POST", "/v1/policy/rollback?version=2&dry_run=1", "", "", fault)
	inForce(t, 5, testPolicy, n)
}

// A cluster's document with a third party's list is ignored on every node, and said.
func TestThirdPartyListsAreRefusedFromTheCluster(t *testing.T) {
	s := sharedtest.New()
	nodes, _ := cluster(t, s, testPolicy, testPolicy)
	inForce(t, 1, testPolicy, nodes...)
	s.Write("policy", policyDocument(9, boughtPolicy).packed(t))
	for i, n := range nodes {
		eventually(t, fmt.Sprintf("node %d ignores it", i), func() bool { return n.metric("restraint_policy_documents_ignored_total") == 1 })
	}
	inForce(t, 1, testPolicy, nodes...)
	nodes[1].stop()
	if !strings.Contains(nodes[1].log.String(), "a third-party list is refused") {
		t.Errorf("the log does not say why: %s", nodes[1].log)
	}
	nodes[0].refused(t, 400, "PUT", "/v1/policy", "application/yaml", boughtPolicy, "a third-party list is refused")
	s.Write("policy", policyDocument(10, basisPolicy).packed(t))
	inForce(t, 10, basisPolicy, nodes[0])
}
