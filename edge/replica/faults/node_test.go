package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a node may take for anything that must come some time. Nothing is measured by it.
const patience = 30 * time.Second

// node is one node under test, a process of its own.
type node struct {
	process
	url    string // of the admin listener, which serves the bid paths too
	client *http.Client
}

// newNode makes a node with a folder of its own under dir; it is not started. flags go to serve.
func newNode(t testing.TB, dir, name string, flags ...string) *node {
	t.Helper()
	home := filepath.Join(dir, name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	policyFile := filepath.Join(home, "policy.yaml")
	if err := os.WriteFile(policyFile, []byte(suitePolicy("")), 0o600); err != nil {
		t.Fatal(err)
	}
	admin := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	n := &node{
		process: process{name: name, dir: home},
		url:     "http://" + admin,
		client:  &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16, MaxIdleConns: 16}},
	}
	n.argv = append([]string{
		program, "serve", "--node", name, "--data", n.data(), "--policy", policyFile,
		"--listen", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--admin-listen", admin, "--snapshot-every", "1s", "--drain-wait", "0s",
	}, flags...)
	t.Cleanup(func() {
		n.end()
		n.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, n.tail())
		}
	})
	return n
}

func (n *node) data() string { return filepath.Join(n.dir, "data") }

// start starts the node and waits until it is ready.
func (n *node) start(t testing.TB) {
	t.Helper()
	n.startAnswering(t)
	n.awaitReady(t)
}

// awaitReady polls /readyz.
func (n *node) awaitReady(t testing.TB) {
	t.Helper()
	deadline, body := time.Now().Add(patience), ""
	for time.Now().Before(deadline) {
		if !n.process.running() {
			t.Fatalf("%s ended: %v\n%s", n.name, n.state, n.tail())
		}
		status, b, err := n.do(http.MethodGet, "/readyz", "", "")
		if err == nil && status == http.StatusOK {
			return
		}
		body = b
		pause()
	}
	t.Fatalf("%s is not ready after %v: %s\n%s", n.name, patience, body, n.tail())
}

// startAnswering starts the node and waits until it answers at all, ready or not.
func (n *node) startAnswering(t testing.TB) {
	t.Helper()
	before := 0
	if len(n.pids) > 0 {
		before = n.pid()
	}
	n.launch(t)
	if n.pid() == before {
		t.Fatalf("%s has the process id it had: it was not started again", n.name)
	}
	until(t, n.name+" answers", func() bool {
		if !n.process.running() {
			t.Fatalf("%s ended: %v\n%s", n.name, n.state, n.tail())
		}
		status, _, err := n.do(http.MethodGet, "/healthz", "", "")
		return err == nil && status == http.StatusOK
	})
}

// condition is one line of /readyz.
type condition struct {
	Name   string
	Ready  bool
	Detail string
}

// ready is what /readyz says.
func (n *node) ready(t testing.TB) (ready bool, unmet []condition) {
	t.Helper()
	_, body, err := n.do(http.MethodGet, "/readyz", "", "")
	var answer struct {
		Ready      bool
		Conditions []condition
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), &answer)
	}
	if err != nil {
		t.Fatalf("readyz of %s: %v %s", n.name, err, body)
	}
	for _, c := range answer.Conditions {
		if !c.Ready {
			unmet = append(unmet, c)
		}
	}
	return answer.Ready, unmet
}

// do sends one request, and waits for its answer as long as an ad server would. An error that wraps errNotSent means that nothing was sent.
func (n *node) do(method, path, contentType, body string) (status int, answer string, err error) {
	return n.doBy(n.client, method, path, contentType, body)
}

// doPatiently waits as long as somebody who changes a policy would.
func (n *node) doPatiently(method, path, contentType, body string) (status int, answer string, err error) {
	return n.doBy(&http.Client{Timeout: patience, Transport: n.client.Transport}, method, path, contentType, body)
}

func (n *node) doBy(client *http.Client, method, path, contentType, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, n.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			err = errors.Join(errNotSent, err)
		}
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

var errNotSent = errors.New("not sent")

// decision is one of an answer.
type decision struct {
	Campaign string
	Show     bool
	Reason   string
	Checks   []struct {
		Rule, Per string
		Count     *int
		Unknown   bool
	}
}

// decided is an answer to a decide.
type decided struct {
	Token     string
	Decisions []decision
}

func (d *decision) verdict() verdict {
	v := verdict{show: d.Show, reason: d.Reason, count: -1}
	for _, c := range d.Checks {
		if c.Rule == "cap" && c.Count != nil {
			v.count, v.full = *c.Count, c.Unknown
		}
	}
	return v
}

// decide asks; more goes into the request beside user and candidates.
func (n *node) decide(user, candidates, more string) (d decided, err error) {
	body := fmt.Sprintf(`{"user":{"id":%q},"candidates":[%s]%s}`, user, candidates, more)
	status, answer, err := n.do(http.MethodPost, "/v1/decide?explain=1", "application/json", body)
	if err != nil {
		return d, err
	}
	if status != http.StatusOK {
		return d, fmt.Errorf("decide: %d %s", status, answer)
	}
	return d, json.NewDecoder(bytes.NewReader([]byte(answer))).Decode(&d)
}

// read asks about everything that the checks look at.
func (n *node) read(user string) (r reading, err error) {
	candidates, of := questions()
	d, err := n.decide(user, candidates, "")
	if err != nil {
		return r, err
	}
	if len(d.Decisions) != len(of) {
		return r, fmt.Errorf("%d decisions on %d candidates", len(d.Decisions), len(of))
	}
	r = reading{node: n.name, user: user, verdicts: map[string]verdict{}}
	for i := range of {
		r.verdicts[of[i]] = d.Decisions[i].verdict()
	}
	return r, nil
}

// mustPut puts and wants it done.
func (n *node) mustPut(t testing.TB, path, contentType, body string) {
	t.Helper()
	status, answer, err := n.do(http.MethodPut, path, contentType, body)
	if err != nil || status/100 != 2 {
		t.Fatalf("PUT %s to %s: %d %s %v", path, n.name, status, answer, err)
	}
}
