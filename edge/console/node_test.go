package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/access"
	"restraint/edge/identity"
)

// evil is a name that would be an element, were it put in as markup.
const evil = `<img src=x onerror="document.title='pwned'">`

// testPolicy is a policy with something of everything that the page shows.
const testPolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
dial_back: {window: 24h, min_shown: 10, min_people: 1, hides_per_10k: 500, factor: 0.5, pause_at: 5000}
lists:
  customers: {id: [user.id], max_age: 48h, when_stale: skip, source: first_party, basis: contract}
  orders: {id: [user.id], items: true, exact: true, source: first_party, basis: contract}
  left: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 2, within: 24h}]}
  welcome: {advertiser: acme, purpose: acquisition, suppress: [customers]}
  '<img src=x onerror="document.title=''pwned''">': {advertiser: evil, caps: [{per: campaign, limit: 9, within: 1h}]}
`

// node is a running node.
type node struct {
	*testing.T
	dir   string
	admin string // address
	stop  func()

	keys map[string]string // by client, of a node with keys
	gate *access.Gate
}

// startNode starts a node that the test ends. change may be nil.
func startNode(t *testing.T, change func(*edge.Options)) *node {
	t.Helper()
	n := &node{T: t, dir: t.TempDir(), admin: "127.0.0.1:0"}
	n.start(change)
	return n
}

// start starts the node, again with what it had, at the address that it had.
func (n *node) start(change func(*edge.Options)) {
	n.Helper()
	secret, _, err := identity.OpenSecret(filepath.Join(n.dir, "secret"))
	if err != nil {
		n.Fatal(err)
	}
	o := edge.Options{
		Name: "edge-<b>1</b>", Listen: "127.0.0.1:0", AdminListen: n.admin, Dir: n.dir, Secret: secret,
		Caps: caps.Options{Memory: 8 << 20, RefusalMemory: 4 << 20}, MaxRejected: 0.01, MaxShrink: 0.5, MaxUpload: 1 << 20, Connections: 100,
		FirstPolicy: []byte(testPolicy), FirstPolicyName: "test", Version: "test", Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	running, err := edge.Open(o)
	if err != nil {
		n.Fatal(err)
	}
	n.admin = running.AdminAddr()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- running.Run(ctx) }()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			n.Errorf("run: %v", err)
		}
	}
	n.Cleanup(n.stop)
}

// withKeys gives the node a key for each role, one with all of them, and one that is slow.
func (n *node) withKeys(o *edge.Options) {
	n.Helper()
	file := access.New()
	n.keys = map[string]string{}
	for client, key := range map[string]access.Key{
		"bid": {Roles: access.Bid}, "crm": {Roles: access.CRM}, "privacy": {Roles: access.Privacy}, "ops": {Roles: access.Ops}, "metrics": {Roles: access.Metrics},
		"slow": {Roles: access.Ops, Rate: 1, Burst: 5},
	} {
		key.Client = client
		made, text, err := access.Make(key, time.Unix(1_790_000_000, 0))
		if err == nil {
			file, err = file.Add(made)
		}
		if err != nil {
			n.Fatal(err)
		}
		n.keys[client] = text
	}
	n.gate = access.NewGate(file)
	o.Keys = n.gate
}

func (n *node) console() string { return "http://" + n.admin + "/console" }

// call sends a request that must be answered with 2xx, and reads the JSON of the answer
// into v, if not nil.
func (n *node) call(method, path, body string, v any) {
	n.Helper()
	req, err := http.NewRequest(method, "http://"+n.admin+path, bytes.NewReader([]byte(body)))
	if err != nil {
		n.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "text/plain") // as a list is, and JSON may be
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		n.Fatalf("%s %s: %d %v %s", method, path, resp.StatusCode, err, answer)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			n.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

// event reports an event.
func (n *node) event(fields map[string]any) {
	n.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		n.Fatal(err)
	}
	n.call("POST", "/v1/events", string(body), nil)
}

// user is a person as events and requests name them.
func user(id string) map[string]any { return map[string]any{"id": id} }
