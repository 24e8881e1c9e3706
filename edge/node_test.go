package edge_test

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
	"restraint/edge/identity"
)

// testPolicy is the policy of most tests: small limits, one market, nothing
// required.
const testPolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
lists:
  customers: {id: [user.id, email_sha256], source: first_party, basis: contract}
  orders: {id: [user.id], items: true, source: first_party, basis: contract}
campaigns:
  shoes:
    advertiser: acme
    caps: [{per: campaign, limit: 3, within: 24h}]
  single:
    advertiser: acme
    caps: [{per: campaign, limit: 1, within: 1h}, {per: advertiser, limit: 4, within: day}]
  welcome:
    advertiser: acme
    purpose: acquisition
    suppress: [customers]
  after-purchase:
    advertiser: acme
    purchased: {item: 90d, category: 30d, lists: [orders]}
`

// node is a running node and its log.
type node struct {
	t    *testing.T
	url  string // of the admin listener, which serves everything
	bid  string
	dir  string
	log  *bytes.Buffer
	stop func()

	running *edge.Node
}

// startNode starts a node in dir (a new one for "") and stops it with the test.
func startNode(t *testing.T, dir, policy string, change func(*edge.Options)) *node {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	secret, _, err := identity.OpenSecret(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: dir, log: new(bytes.Buffer)}
	o := edge.Options{
		Name: "test", Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Dir: dir, Secret: secret,
		Caps:        caps.Options{Memory: 16 << 20, RefusalMemory: 8 << 20},
		MaxRejected: 0.01, MaxShrink: 0.5, MaxUpload: 64 << 20, Connections: 1000,
		FirstPolicy: []byte(policy), FirstPolicyName: "test", Version: "test",
		Log: slog.New(slog.NewJSONHandler(n.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	running, err := edge.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- running.Run(ctx) }()
	n.running = running
	n.url, n.bid = "http://"+running.AdminAddr(), "http://"+running.Addr()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// do sends a request and returns status and body.
func (n *node) do(method, path, contentType, body string) (int, []byte) {
	n.t.Helper()
	req, err := http.NewRequest(method, n.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		n.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return n.roundTrip(n.t, req)
}

func (n *node) roundTrip(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// must is do where anything but the status is fatal; v, if not nil, gets the body.
func (n *node) must(status int, method, path, contentType, body string, v any) {
	n.t.Helper()
	got, answer := n.do(method, path, contentType, body)
	if got != status {
		n.t.Fatalf("%s %s: %d, want %d\n%.2000s\n%.2000s", method, path, got, status, body, answer)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			n.t.Fatalf("%s %s: %v\n%s", method, path, err, answer)
		}
	}
}

// answer is what decide answers.
type answer struct {
	ID        string     `json:"id"`
	Policy    int        `json:"policy"`
	Token     string     `json:"token"`
	Decisions []decision `json:"decisions"`
	Show      []int      `json:"show"`
}

type decision struct {
	Campaign   string           `json:"campaign"`
	Show       bool             `json:"show"`
	Reason     string           `json:"reason"`
	RetryAfter uint32           `json:"retry_after"`
	Because    string           `json:"because"`
	Checks     []map[string]any `json:"checks"`
}

// requestClock makes a node take the time from the requests.
func requestClock(o *edge.Options) { o.RequestClock = true }

func (n *node) decide(body string) (a answer) {
	n.t.Helper()
	n.must(200, "POST", "/v1/decide?explain=1", "application/json", body, &a)
	return a
}

// event reports one event that must be accepted.
func (n *node) event(body string) {
	n.t.Helper()
	var a struct{ Accepted int }
	n.must(202, "POST", "/v1/events", "application/json", body, &a)
	if a.Accepted != 1 {
		n.t.Fatalf("event not accepted: %s", body)
	}
}
