package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// How long each row of the table goes on: longer for figures that are to be published.
//
//	go test ./cmd/restraint -run '^TestAbuse$' -v -abuse-for 3s
var abuseFor = flag.Duration("abuse-for", 400*time.Millisecond, "how long each attack of TestAbuse goes on")

const (
	// abuseConnections is limits.connections of the nodes.
	abuseConnections = 400
	// abuseMemory is how far the peak of a node's resident memory may lie above where it was
	// before. It is the sum of what is allowed on purpose: the bodies in hand (256 MiB),
	// connections, and the window of a zstd upload (128 MiB), with the collector's headroom.
	abuseMemory = 640 << 20
)

// abused is a node in a process of its own that the test attacks, with a key for each role.
type abused struct {
	*served
	name       string
	bid, admin string // host:port
	tls        *tls.Config
	keys       map[string]string
	before     vitals
}

// attack is one row of the table.
type attack struct {
	name  string // what it is called, and how it is done
	conns int    // at once
	run   func(a *attempt)
	// check says what is wrong with what came of it; nil: the answers are not looked at.
	check func(a *attempt) string
	// refuses: what is attacked is a limit of the whole node, so the well-behaved client may
	// be told 503 with Retry-After.
	refuses bool
}

// attempt is an attack under way.
type attempt struct {
	t     testing.TB
	node  *abused
	row   *attack
	until time.Time

	answers  [6]atomic.Int64 // by class of status; 0: the connection was closed without one
	requests atomic.Int64
	mu       sync.Mutex
	said     map[int]string // an answer by its status
	notes    []string       // what the attack itself found wrong
}

// on says whether the attack goes on.
func (a *attempt) on() bool { return time.Now().Before(a.until) }

// met notes an answer.
func (a *attempt) met(status int, body string) {
	a.answers[status/100].Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said == nil {
		a.said = map[int]string{}
	}
	if _, known := a.said[status]; !known {
		a.said[status] = body
	}
}

// wrong notes something that must not be.
func (a *attempt) wrong(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.notes) < 5 {
		a.notes = append(a.notes, fmt.Sprintf(format, args...))
	}
}

// each runs do on as many goroutines as the row has connections.
func (a *attempt) each(do func(i int)) {
	var running sync.WaitGroup
	for i := range a.row.conns {
		running.Go(func() { do(i) })
	}
	running.Wait()
}

// ask sends a request to the admin listener with the key of a client.
func (n *abused) ask(t testing.TB, method, path, client, contentType string, body []byte) (int, string) {
	t.Helper()
	c := n.dial(t, n.admin)
	defer c.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
		method, path, n.keys[client], cmp.Or(contentType, "application/json"), len(body))
	b.Write(body)
	if _, err := c.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	status, said, err := c.answer()
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, said
}

const abusePolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
lists:
  customers: {id: [user.id, email_sha256], source: first_party, basis: contract}
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 3, within: 24h}, {per: creative, limit: 9, within: 24h}, {per: item, limit: 9, within: 24h}]}
  welcome: {advertiser: acme, purpose: acquisition, suppress: [customers]}
`

// startAbused starts a node with keys; secure: with TLS.
func startAbused(t *testing.T, name string, secure bool, args ...string) *abused {
	t.Helper()
	dir := t.TempDir()
	n := &abused{name: name, keys: map[string]string{}}
	file := filepath.Join(dir, "keys")
	for _, role := range []string{"bid", "crm", "privacy", "ops", "metrics"} {
		n.keys[role], _ = newKey(t, file, "--client", role, "--role", role)
	}
	n.keys["slow"], _ = newKey(t, file, "--client", "slow", "--role", "bid", "--rate", "50")
	args = append(args, "--keys-file", file, "--policy", writeFile(t, "policy.yaml", abusePolicy), "--limits-connections", strconv.Itoa(abuseConnections))
	if secure {
		cert, key := issueOwn(t, dir, 1)
		text, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(err)
		}
		n.tls = &tls.Config{RootCAs: x509.NewCertPool()}
		n.tls.RootCAs.AppendCertsFromPEM(text)
		args = append(args, "--tls-cert", cert, "--tls-key", key)
	}
	n.served = startServed(t, dir, args...)
	n.admin, n.bid = strings.TrimPrefix(n.url, "http://"), n.listen
	if status, said := n.ask(t, "PUT", "/v1/lists/customers?id=user.id", "crm", "text/plain", []byte("member\n")); status != 201 {
		t.Fatalf("%d %s", status, said)
	}
	go func() { // nobody reads its log any more
		for range n.lines {
		}
	}()
	return n
}

// ends sends SIGTERM and wants a clean end.
func (n *abused) ends(t *testing.T) {
	t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-n.exited:
		if err != nil {
			t.Errorf("%s: after SIGTERM: %v", n.name, err)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("%s does not end after SIGTERM", n.name)
	}
}

// outcome is what one row came to.
type outcome struct {
	attack   *attack
	attempt  *attempt
	beside   *bystander
	rss      int64
	duration time.Duration
}

// attacked runs attacks one after the other, each with a well-behaved client beside it.
func (n *abused) attacked(t *testing.T, rows []*attack) (outcomes []*outcome) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { outcomes = append(outcomes, n.attackedBy(t, row)) })
	}
	return outcomes
}

func (n *abused) attackedBy(t *testing.T, row *attack) *outcome {
	n.alone(t)
	beside := besides(t, n)
	a := &attempt{t: t, node: n, row: row, until: time.Now().Add(*abuseFor)}
	began := time.Now()
	row.run(a)
	o := &outcome{attack: row, attempt: a, beside: beside, duration: time.Since(began)}
	beside.end()
	o.rss = n.vitals(t).rss
	if failed := beside.failed(); failed > 0 || beside.refused.Load() > 0 && !row.refuses {
		t.Errorf("of the well-behaved client %d requests failed and %d were refused: %s", failed, beside.refused.Load(), beside.why())
	}
	if beside.answered() == 0 {
		t.Error("the well-behaved client asked nothing")
	}
	for _, note := range a.notes {
		t.Error(note)
	}
	if row.check != nil {
		if wrong := row.check(a); wrong != "" {
			t.Errorf("%s\nanswers: %s", wrong, a.seen())
		}
	}
	return o
}

// seen is one answer of each status.
func (a *attempt) seen() string {
	var b strings.Builder
	for status, body := range a.said {
		fmt.Fprintf(&b, "%d %.300s\n", status, body)
	}
	return b.String()
}

// printOutcomes logs the table.
func printOutcomes(t *testing.T, outcomes []*outcome) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-58s %5s %8s | %22s | %7s %8s %8s %8s %7s | %s\n", "attack", "conns", "requests", "answered 2xx 4xx 5xx", "beside", "p50", "p99", "max", "refused", "resident")
	for _, o := range outcomes {
		q := o.beside.quantiles()
		fmt.Fprintf(&b, "%-58s %5d %8d | %8d %8d %4d | %7d %8s %8s %8s %7d | %d MiB\n", o.attack.name, o.attack.conns, o.attempt.requests.Load(),
			o.attempt.answers[2].Load(), o.attempt.answers[4].Load(), o.attempt.answers[5].Load(),
			o.beside.answered(), micro(q[0]), micro(q[1]), micro(q[2]), o.beside.refused.Load(), o.rss>>20)
	}
	t.Log(b.String())
}

func micro(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// TestAbuse attacks real nodes, each a process of its own, over raw sockets, one attack after
// the other, while a well-behaved client asks each of them a thousand times a second. No
// request of that client fails, nothing panics, memory stays within a bound, and goroutines
// and sockets are back where they were. How long the client waited is logged, not judged.
func TestAbuse(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc to read the memory of a process from")
	}
	nats, _ := startNats(t)
	plain, secure, joined := startAbused(t, "plain", false), startAbused(t, "TLS", true), startAbused(t, "NATS", false, "--nats-urls", nats)
	nodes := []*abused{plain, secure, joined}
	for _, n := range nodes {
		n.before = n.vitals(t)
	}
	var outcomes []*outcome
	// What waits for limits of 10 seconds takes no processor: other nodes are attacked meanwhile.
	var running sync.WaitGroup
	var slow []*outcome
	running.Go(func() { slow = plain.attacked(t, []*attack{slowAttack()}) })
	outcomes = append(outcomes, secure.attacked(t, tlsAttacks())...)
	outcomes = append(outcomes, joined.attacked(t, natsAttacks(nats))...)
	running.Wait()
	outcomes = append(outcomes, plain.attacked(t, slices.Concat(quietRows(), connectionAttacks(), requestAttacks(), bodyAttacks(), callerAttacks()))...)
	printOutcomes(t, slices.Concat(slow, outcomes))
	for _, n := range nodes {
		n.recovered(t)
		n.ends(t)
	}
}

// Each attack stands in the table of the security page.
func TestAbusePage(t *testing.T) {
	page := pageOf(t, "security.md")
	for _, row := range slices.Concat([]*attack{slowAttack()}, tlsAttacks(), natsAttacks(""), quietRows(), connectionAttacks(), requestAttacks(), bodyAttacks(), callerAttacks()) {
		if !strings.Contains(page, "\n| "+row.name+" | ") {
			t.Errorf("%q is not in the table of deploy/security.md", row.name)
		}
	}
}
