package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"restraint/edge/identity"
)

// secretStatus is what a node says of the epochs of its secret.
type secretStatus struct {
	Secret struct {
		Active, Newest int
		Awaits         []string
	}
}

func (s *served) epochs(t *testing.T) (st secretStatus) {
	t.Helper()
	_, answer := s.get(t, "/v1/status")
	if err := json.Unmarshal([]byte(answer), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// within polls until it holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); !holds(); <-tick.C {
		if time.Since(since) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// rotating is three nodes with a folder and a secret file each, and people who see ads all the time.
type rotating struct {
	t     *testing.T
	url   string // of NATS
	dirs  []string
	mu    sync.Mutex
	nodes []*served // nil: it is not running
	acked [5]atomic.Int64
	next  atomic.Int64
}

const rotatingPolicy = `timezone: UTC
markets: [{name: all, require: none}]
lists:
  customers: {id: [user.id], source: first_party, basis: contract, exact: true}
campaigns:
  shoes: {advertiser: acme, purpose: acquisition, caps: [{per: campaign, limit: 255, within: 24h}]}
  twice: {advertiser: acme, purpose: acquisition, caps: [{per: campaign, limit: 2, within: 24h}]}
  only: {advertiser: acme, purpose: acquisition, suppress: [customers]}
`

func (c *rotating) secret(i int) string { return filepath.Join(c.dirs[i], "secret") }

func (c *rotating) start(i int) *served {
	c.t.Helper()
	s := startServed(c.t, c.dirs[i], "--node", fmt.Sprint("n", i), "--nats-urls", c.url, "--secret-file", "secret", "--snapshot-every", "1s")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i] = s
	return s
}

func (c *rotating) copySecret(from, to int) {
	c.t.Helper()
	b, err := os.ReadFile(c.secret(from))
	if err == nil {
		err = os.WriteFile(c.secret(to), b, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// see reports impressions of people one after the other until stop is closed, each to whichever node takes it.
func (c *rotating) see(stop <-chan struct{}) {
	for {
		n := c.next.Add(1)
		user := n % int64(len(c.acked))
		event := fmt.Sprintf(`{"type":"impression","id":"i-%d","user":{"id":"seen-%d"},"campaign":"shoes"}`, n, user)
		for try := n; ; try++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond): // about 150 a second: some thirty for each person before it ends
			}
			c.mu.Lock()
			s := c.nodes[int(try)%len(c.nodes)]
			c.mu.Unlock()
			if s == nil {
				continue
			}
			if status, err := s.try("/v1/events", event); err == nil && status == 202 {
				c.acked[user].Add(1)
				break
			}
		}
	}
}

// counts is how often each person saw the ad, as the node says.
func (c *rotating) counts(s *served) (all [5]int64) {
	c.t.Helper()
	for user := range all {
		_, body := s.post(c.t, "/v1/decide?explain=1", fmt.Sprintf(`{"user":{"id":"seen-%d"},"candidates":[{"campaign":"shoes"}]}`, user))
		if found := regexp.MustCompile(`"limit":255,"count":(\d+)`).FindStringSubmatch(body); found != nil {
			all[user], _ = strconv.ParseInt(found[1], 10, 64)
		}
	}
	return all
}

// Three nodes go over to another epoch one by one, under load, with a node killed in between: every impression that was acknowledged
// counts once on each, choices, lists and caps hold, also for a node that comes anew, tokens from before are good, and no file has a key
// in clear any more.
func TestSecretRotatesUnderLoad(t *testing.T) {
	url, _ := startNats(t)
	c := &rotating{t: t, url: url, nodes: make([]*served, 3)}
	for range 4 {
		c.dirs = append(c.dirs, t.TempDir())
	}
	root, _, err := identity.OpenSecret(c.secret(0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.nodes {
		if i > 0 {
			c.copySecret(0, i)
		}
		if c.start(i); i == 0 {
			if status, answer := c.nodes[0].putPolicy(t, rotatingPolicy); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
		}
	}
	untilAll(t, c.nodes, asks("nobody", "only"), "")
	token := c.before()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.see(stop)
	}()
	stopSeeing := sync.OnceFunc(func() { close(stop); <-ended })
	defer stopSeeing()
	c.goOver()
	c.after(token)
	c.kill(0) // after it, too
	c.start(0)
	c.copySecret(0, 3)
	c.mu.Lock()
	c.nodes = append(c.nodes, nil)
	c.mu.Unlock()
	c.start(3) // comes with nothing
	stopSeeing()
	c.agree()
	c.sealed(root)
	c.refuses(2)
}

// asks is a request for a decision.
func asks(user, campaign string) string {
	return fmt.Sprintf(`{"user":{"id":%q},"candidates":[{"campaign":%q}]}`, user, campaign)
}

func (c *rotating) must(node, want int, method, path, kind, body string) string {
	c.t.Helper()
	status, answer := c.nodes[node].send(c.t, method, path, kind, body)
	if status != want {
		c.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

func (c *rotating) kill(i int) {
	c.t.Helper()
	c.mu.Lock()
	killed := c.nodes[i]
	c.nodes[i] = nil
	c.mu.Unlock()
	if err := killed.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-killed.exited
}

// before is what people and their lists come to in epoch 0; it returns a token.
func (c *rotating) before() string {
	c.t.Helper()
	c.must(0, 201, "PUT", "/v1/lists/customers", "text/plain", "listed-1\nlisted-2\n")
	c.must(1, 200, "POST", "/v1/lists/customers/add", "text/plain", "listed-3\n")
	c.must(1, 200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"out-1"},"personalisation":false}`)
	c.must(2, 202, "POST", "/v1/events", "application/json", `{"type":"impression","id":"t-1","user":{"id":"capped"},"campaign":"twice"}`)
	var token struct{ Token string }
	answer := c.must(0, 200, "POST", "/v1/decide", "application/json", `{"user":{"id":"capped"},"want":1,"token":true,"candidates":[{"campaign":"twice"}]}`)
	if err := json.Unmarshal([]byte(answer), &token); err != nil || token.Token == "" {
		c.t.Fatal(answer)
	}
	return token.Token
}

// goOver gives the nodes the next epoch one by one.
func (c *rotating) goOver() {
	t := c.t
	t.Helper()
	if out, err := exec.Command(binary, "secret", "rotate", "--secret-file", c.secret(0)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hangUp := func(i int) {
		if err := c.nodes[i].cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangUp(0) // nobody writes in it yet, and it says for whom it waits
	within(t, "it waits for the others", func() bool {
		st := c.nodes[0].epochs(t).Secret
		return st.Newest == 1 && st.Active == 0 && strings.Join(st.Awaits, " ") == "n1 n2"
	})
	c.kill(1) // the second comes back with it
	c.copySecret(0, 1)
	c.start(1)
	if st := c.nodes[1].epochs(t).Secret; st.Active != 0 {
		t.Errorf("%+v before the last node has it", st)
	}
	c.copySecret(0, 2)
	hangUp(2)
	within(t, "all write in the epoch", func() bool {
		for _, s := range c.nodes {
			if s.epochs(t).Secret.Active != 1 {
				return false
			}
		}
		return true
	})
}

// after is what comes in the next epoch, by the token of before too.
func (c *rotating) after(token string) {
	c.t.Helper()
	c.must(2, 200, "POST", "/v1/lists/customers/add", "text/plain", "listed-4\n")
	c.must(1, 200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"out-2"},"personalisation":false}`)
	c.must(1, 204, "GET", "/v1/impression?t="+token+"&campaign=twice", "", "")
}

// agree waits until every node counts what was acknowledged, and asks for all that is to hold.
func (c *rotating) agree() {
	t := c.t
	t.Helper()
	var want [5]int64
	for i := range want {
		want[i] = c.acked[i].Load()
	}
	t.Logf("acknowledged by person: %v", want)
	for i, s := range c.nodes {
		within(t, fmt.Sprintf("node %d counts %v", i, want), func() bool {
			more := int64(0)
			for k, got := range c.counts(s) {
				if got < want[k] {
					return false
				}
				more += got - want[k]
			}
			if more > 1 { // the last may have been taken without its answer having come
				t.Fatalf("node %d counts %d more than were acknowledged", i, more)
			}
			return true
		})
	}
	for _, user := range []string{"listed-1", "listed-2", "listed-3", "listed-4"} {
		untilAll(t, c.nodes, asks(user, "only"), "suppressed")
	}
	untilAll(t, c.nodes, asks("nobody", "only"), "")
	untilAll(t, c.nodes, asks("capped", "twice"), "cap")
	for _, user := range []string{"out-1", "out-2"} {
		untilAll(t, c.nodes, asks(user, "shoes"), "opted_out")
	}
}

// sealed waits until no file of a node has a key of a person.
func (c *rotating) sealed(root identity.Secret) {
	t := c.t
	t.Helper()
	var keys [][16]byte
	for _, user := range []string{"listed-1", "listed-2", "listed-3", "listed-4", "out-1", "out-2", "capped", "seen-0", "seen-1", "seen-2", "seen-3", "seen-4"} {
		keys = append(keys, identity.NewHasher(root).Key("user.id", []byte(user)))
	}
	for i := range c.nodes {
		within(t, "no key of a person stands in a file of the node", func() bool {
			c.nodes[i].post(t, "/v1/events", `{"type":"impression","user":{"id":"seen-9"},"campaign":"shoes"}`) // so that there is a snapshot to take
			return len(filesWith(t, filepath.Join(c.dirs[i], "data"), keys)) == 0
		})
		if _, lists := c.nodes[i].get(t, "/v1/lists"); strings.Contains(lists, `"earlier_epoch":true`) {
			t.Errorf("node %d: %s", i, lists)
		}
	}
}

// refuses has a node start without the newest file, which is refused and told what it lacks, and then with it.
func (c *rotating) refuses(i int) {
	t := c.t
	t.Helper()
	c.nodes[i].stop(t)
	if err := os.WriteFile(c.secret(i), mustRoot(t, c.secret(0)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--node", fmt.Sprint("n", i), "--nats-urls", c.url, "--secret-file", "secret")
	refused.Dir = c.dirs[i]
	out, err := refused.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "the newest of its secret file is 0") {
		t.Errorf("without the epoch: %v, %s", err, out)
	}
	c.copySecret(0, i)
	c.start(i)
	untilAll(t, c.nodes[i:i+1], asks("out-1", "shoes"), "opted_out")
}

// mustRoot is the 32 bytes that a secret file was before it was rotated.
func mustRoot(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^0 ([0-9a-f]{64}) `).FindSubmatch(text)
	if found == nil {
		t.Fatal("no epoch 0 in the file")
	}
	var b []byte
	if _, err := fmt.Sscanf(string(found[1]), "%x", &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// filesWith are the files under a folder that have one of the keys, or a half of it.
func filesWith(t *testing.T, dir string, keys [][16]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, key := range keys {
			if bytes.Contains(b, key[:8]) || bytes.Contains(b, key[8:]) {
				found = append(found, path)
				break
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // replaced meanwhile
		t.Fatal(err)
	}
	return found
}
