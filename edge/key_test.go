package edge_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"restraint/edge/access"
)

// A key is told what it may do and how fast, and nothing of others; without keys everybody
// has every role.
func TestKeyItself(t *testing.T) {
	type answer struct {
		Needed     bool
		ID, Client string
		Roles      []string
		Rate       int
	}
	ask := func(n *node, k *keyed, client string) (a answer) {
		t.Helper()
		resp, body := n.exchange(t, n.url, "GET", "/v1/key", k.bearer(client), "")
		if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" || json.Unmarshal(body, &a) != nil {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return a
	}
	k := startKeyed(t, testPolicy, nil)
	made := k.add(t, access.Key{Client: "both", Roles: access.Ops | access.Privacy, Rate: 100, Burst: 200})
	k.gate.Replace(k.file)
	if got, want := ask(k.node, k, "both"), (answer{true, made.ID, "both", []string{"privacy", "ops"}, 100}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := ask(k.node, k, "bid"); !reflect.DeepEqual(got.Roles, []string{"bid"}) || got.Rate != 0 {
		t.Errorf("%+v", got)
	}
	if got := ask(startNode(t, "", testPolicy, nil), k, ""); got.Needed || got.ID != "" || len(got.Roles) != 5 {
		t.Errorf("without keys: %+v", got)
	}
}
