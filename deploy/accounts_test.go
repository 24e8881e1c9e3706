package deploy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// natsServers starts three servers from nats/cluster, with certificates of dir, and
// returns their addresses.
func natsServers(t *testing.T, dir string) (servers []*running, addrs []string) {
	t.Helper()
	free := freeAddrs(t, 6)
	var routes []string
	for _, addr := range free[3:] {
		routes = append(routes, fmt.Sprintf("%q", "nats-route://"+addr))
	}
	config, err := filepath.Abs("nats/cluster/server.conf")
	if err != nil {
		t.Fatal(err)
	}
	issue(t, dir, "server", "127.0.0.1", "server.restraint")
	for i := range 3 {
		servers = append(servers, start(t, t.TempDir(), []string{
			fmt.Sprintf("NATS_NAME=nats-%d", i+1), "NATS_LISTEN=" + free[i], "NATS_CLUSTER=" + free[3+i], "NATS_STORE=" + t.TempDir(),
			"NATS_ROUTES=[" + strings.Join(routes, ", ") + "]",
			"NATS_CA=" + filepath.Join(dir, "ca.pem"), "NATS_CERT=" + filepath.Join(dir, "server.pem"), "NATS_KEY=" + filepath.Join(dir, "server-key.pem"),
		}, "nats", "--config", config))
	}
	for _, s := range servers {
		poll(t, "a server is ready", func() bool { return strings.Contains(s.logged(), "Server is ready") })
	}
	return servers, free[:3]
}

// natsClient speaks the protocol of NATS clients as far as asking needs.
type natsClient struct {
	net.Conn
	read  *bufio.Reader
	inbox string
}

// dialNATS returns an error where the server does not let the certificate in.
func dialNATS(addr string, secure *tls.Config, inbox string) (*natsClient, error) {
	plain, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = plain.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := bufio.NewReaderSize(plain, 16<<10).ReadString('\n'); err != nil { // INFO, before TLS
		return nil, err
	}
	c := &natsClient{Conn: tls.Client(plain, secure), inbox: inbox}
	c.read = bufio.NewReader(c.Conn)
	if _, err := fmt.Fprintf(c, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\nSUB %s.* 1\r\nPING\r\n", inbox); err != nil {
		return nil, err
	}
	said, err := c.until("PONG")
	if err == nil && strings.Contains(said, "-ERR") {
		err = fmt.Errorf("%s", said)
	}
	return c, err
}

// until reads to a line with that beginning.
func (c *natsClient) until(begin string) (said string, err error) {
	for {
		line, err := c.read.ReadString('\n')
		said += line
		if err != nil {
			return said, fmt.Errorf("%w, after %q", err, said)
		}
		if strings.HasPrefix(line, begin) {
			return said, nil
		}
	}
}

// ask sends a request and returns the server's answer or refusal.
func (c *natsClient) ask(t *testing.T, subject, body string) string {
	t.Helper()
	if _, err := fmt.Fprintf(c, "PUB %s %s.1 %d\r\n%s\r\n", subject, c.inbox, len(body), body); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := c.read.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(line, "-ERR"):
			return line
		case strings.HasPrefix(line, "MSG"), strings.HasPrefix(line, "HMSG"):
			answer, err := c.read.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
	}
}

// Nodes work with what a node may do, and nothing more: events, refusals, holds, lists,
// policies, erasures, copies of snapshots. Nobody takes the place of another.
func TestAccounts(t *testing.T) {
	pki := filepath.Join(t.TempDir(), "pki")
	servers, addrs := natsServers(t, pki)
	for _, name := range []string{"node", "observer", "admin", "system", "stranger"} {
		issue(t, pki, name, "127.0.0.1", name+".restraint")
	}
	nodes := useNodes(t, pki, addrs)
	violations := func() (lines string) {
		for _, s := range servers {
			for line := range strings.Lines(s.logged()) {
				if strings.Contains(line, "iolation") {
					lines += line
				}
			}
		}
		return lines
	}
	if v := violations(); v != "" {
		t.Errorf("a node wants what its user may not do:\n%s", v)
	}

	mayAsk(t, pki, addrs[0])
	if !strings.Contains(violations(), "observer.restraint") {
		t.Error("violations are not logged as they are looked for above")
	}

	if _, err := dialNATS(addrs[0], secured(t, pki, "observer"), "_INBOX.spy"); err == nil || !strings.Contains(err.Error(), "Permissions Violation for Subscription") {
		t.Errorf("an observer listens to the inboxes of nodes: %v", err)
	}
	for _, who := range []string{"stranger", "server"} {
		if _, err := dialNATS(addrs[0], secured(t, pki, who), "_INBOX.x"); err == nil {
			t.Errorf("%s is let in", who)
		}
	}
	nobody := secured(t, pki, "node")
	nobody.Certificates = nil
	if _, err := dialNATS(addrs[0], nobody, "_INBOX.x"); err == nil {
		t.Error("somebody without a certificate is let in")
	}
	for _, n := range nodes {
		n.stop(t)
	}
	notARoute(t, pki)
}

// mayAsk sends requests as each user, and looks whether the server takes or refuses them.
func mayAsk(t *testing.T, pki, addr string) {
	t.Helper()
	const denied, stream = "Permissions Violation for Publish", "$JS.API.STREAM."
	for _, c := range []struct{ who, subject, body, want string }{
		{"node", stream + "INFO.RESTRAINT_EVENTS", "", `"subjects":["restraint.events.`},
		{"node", stream + "DELETE.RESTRAINT_EVENTS", "", denied},
		{"node", stream + "PURGE.RESTRAINT_REFUSALS", "", denied},
		{"node", stream + "UPDATE.RESTRAINT_REFUSALS", "{}", denied},
		{"node", stream + "MSG.DELETE.RESTRAINT_REFUSALS", `{"seq":1}`, denied},
		{"node", stream + "CREATE.OTHER", `{"name":"OTHER"}`, denied},
		{"observer", stream + "INFO.RESTRAINT_EVENTS", "", `"messages":`},
		{"observer", stream + "LIST", "", "KV_restraint-members"},
		{"observer", "restraint.events.0", "x", denied},
		{"observer", "restraint.holds", "x", denied},
		{"observer", "$KV.restraint.policy", "x", denied},
		{"observer", stream + "MSG.GET.RESTRAINT_EVENTS", `{"seq":1}`, denied},
		{"observer", stream + "DELETE.RESTRAINT_EVENTS", "", denied},
		{"observer", "$JS.API.CONSUMER.CREATE.RESTRAINT_EVENTS.x", "{}", denied},
		{"admin", stream + "INFO.RESTRAINT_EVENTS", "", `"messages":`},
		{"admin", stream + "DELETE.NONE", "", "stream not found"},
		{"system", "$SYS.REQ.SERVER.PING", "", `"name":"nats-`},
	} {
		inbox := "_INBOX." + c.who
		if c.who == "observer" {
			inbox = "_INBOX_observer"
		}
		conn, err := dialNATS(addr, secured(t, pki, c.who), inbox)
		if err != nil {
			t.Errorf("%s: %v", c.who, err)
			continue
		}
		if said := conn.ask(t, c.subject, c.body); !strings.Contains(said, c.want) {
			t.Errorf("%s, %s: %s, not %q", c.who, c.subject, said, c.want)
		}
		conn.Close()
	}
}

// notARoute starts a server with the certificate of a node: it does not become one of the cluster.
func notARoute(t *testing.T, pki string) {
	t.Helper()
	config, err := filepath.Abs("nats/cluster/server.conf")
	if err != nil {
		t.Fatal(err)
	}
	free := freeAddrs(t, 4)
	run := func(i int, cert string) *running {
		return start(t, t.TempDir(), []string{
			fmt.Sprintf("NATS_NAME=pair-%d", i), "NATS_LISTEN=" + free[i], "NATS_CLUSTER=" + free[2+i], "NATS_STORE=" + t.TempDir(),
			fmt.Sprintf("NATS_ROUTES=[%q]", "nats-route://"+free[2]),
			"NATS_CA=" + filepath.Join(pki, "ca.pem"), "NATS_CERT=" + filepath.Join(pki, cert+".pem"), "NATS_KEY=" + filepath.Join(pki, cert+"-key.pem"),
		}, "nats", "--config", config)
	}
	ours := run(0, "server")
	poll(t, "a server listens", func() bool { return strings.Contains(ours.logged(), "Listening for route connections") })
	run(1, "node")
	poll(t, "the route is refused", func() bool { return strings.Contains(ours.logged(), "authentication error") })
}

// useNodes starts two nodes, does all that nodes tell one another of, and starts a third that has missed it.
func useNodes(t *testing.T, pki string, addrs []string) (nodes []*running) {
	t.Helper()
	dir := t.TempDir()
	free := freeAddrs(t, 6)
	tlsURLs := "tls://" + strings.Join(addrs, ",tls://")
	run := func(i int) *running {
		return start(t, dir, nil, "serve", "--node", fmt.Sprintf("edge-%d", i+1), "--listen", free[i], "--admin-listen", free[3+i],
			"--data", fmt.Sprintf("data-%d", i+1), "--secret-file", "secret", "--nats-urls", tlsURLs, "--nats-replicas", "3",
			"--nats-tls-ca", filepath.Join(pki, "ca.pem"), "--nats-tls-cert", filepath.Join(pki, "node.pem"), "--nats-tls-key", filepath.Join(pki, "node-key.pem"),
			"--snapshot-every", "1s", "--nats-max-age", "12s")
	}
	c := &caller{Client: http.Client{Timeout: 10 * time.Second}}
	admin := func(i int) string { return "http://" + free[3+i] }
	isReady := func(i int) func() bool {
		return func() bool { status, _ := c.do("GET", admin(i)+"/readyz", "", ""); return status == 200 }
	}
	nodes = append(nodes, run(0))
	poll(t, "the first node is ready", isReady(0))
	nodes = append(nodes, run(1))
	poll(t, "the second node is ready", isReady(1))
	for _, r := range []struct {
		method, path, kind, body string
		status                   int
	}{
		{"POST", "/v1/events", "application/json", `{"type":"impression","user":{"id":"u-1"},"campaign":"spring-shoes","creative":"c-1","item":"sku-9"}`, 202},
		{"POST", "/v1/events", "application/json", `{"type":"hide","user":{"id":"u-2"},"campaign":"spring-shoes"}`, 202},
		{"POST", "/v1/decide", "application/json", `{"user":{"id":"u-3"},"candidates":[{"campaign":"spring-shoes"}],"want":1,"hold":true}`, 200},
		{"PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "u-4\n", 201},
		{"POST", "/v1/lists/acme-customers/add?id=user.id", "text/plain", "u-5\n", 200},
		{"POST", "/v1/users/erase", "application/json", `{"user":{"id":"u-9"}}`, 200},
	} {
		if status, said := c.do(r.method, admin(0)+r.path, r.kind, r.body); status != r.status && !(r.status == 200 && status == 202) {
			t.Errorf("%s %s: %d %s", r.method, r.path, status, said)
		}
	}
	skips := func(i int, user, reason string) func() bool {
		return func() bool {
			_, said := c.do("POST", admin(i)+"/v1/decide", "application/json", `{"user":{"id":"`+user+`"},"candidates":[{"campaign":"spring-shoes","item":"sku-9"},{"campaign":"welcome-acme"}]}`)
			return strings.Contains(said, `"reason":"`+reason+`"`)
		}
	}
	told := func(i int) {
		for user, reason := range map[string]string{"u-1": "spacing", "u-2": "hidden", "u-4": "suppressed", "u-5": "suppressed"} {
			poll(t, fmt.Sprintf("node %d: %s is %s", i+1, user, reason), skips(i, user, reason))
		}
	}
	told(1)
	poll(t, "a copy of a snapshot", func() bool {
		return strings.Contains(nodes[0].logged()+nodes[1].logged(), "copied the snapshot for other nodes")
	})
	conn, err := dialNATS(addrs[0], secured(t, pki, "observer"), "_INBOX_observer")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	poll(t, "the events are older than NATS keeps them", func() bool {
		return strings.Contains(conn.ask(t, "$JS.API.STREAM.INFO.RESTRAINT_EVENTS", ""), `"messages":0,`)
	})
	third := run(2)
	nodes = append(nodes, third)
	poll(t, "the third node is ready", isReady(2))
	if !strings.Contains(third.logged(), "took the snapshot of another node") {
		t.Error("the third node did not need a copy: the test shows less than it says")
	}
	told(2)
	return nodes
}

// The nodes know how often the servers sync their files.
func TestSyncInterval(t *testing.T) {
	of := regexp.MustCompile(`(?m)^  sync_interval: (\S+)$`).FindStringSubmatch(read(t, "nats/cluster/server.conf"))
	if of == nil {
		t.Fatal("server.conf does not say")
	}
	config := filepath.Join(t.TempDir(), "restraint.yaml")
	if err := os.WriteFile(config, []byte(readManifests(t).configs["restraint"].Data["restraint.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{config, abs(t, "systemd/restraint.yaml")} {
		if got := printed(t, nil, "--config", file)["nats.sync_interval"]; got != of[1] {
			t.Errorf("%s: nats.sync_interval %s, the servers have %s", file, got, of[1])
		}
	}
}
