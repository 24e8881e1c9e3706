package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"restraint/edge/certtest"
)

// natsPassword is in nats.urls, and so may be nowhere else.
const natsPassword = "hunter2-faults"

// newSecured starts a cluster whose NATS servers ask for a certificate, also one another, and for a user and a password.
func newSecured(t *testing.T, servers int) (c *cluster, ours *certtest.Authority) {
	t.Helper()
	ours = certtest.New(t)
	server, node := filesOf(ours.Issue(t, time.Hour, "127.0.0.1")), filesOf(ours.Issue(t, time.Hour, "127.0.0.1"))
	block := fmt.Sprintf("tls { ca_file: %q, cert_file: %q, key_file: %q, verify: true, timeout: 5 }\n", server.ca, server.cert, server.key)
	return newClusterOf(t, clusterOptions{
		servers: servers, routes: block,
		config:  block + fmt.Sprintf("authorization { user: edge, password: %q }\n", natsPassword),
		address: "tls://edge:" + natsPassword + "@",
		flags:   node.flags(),
	}), ours
}

// Nodes and NATS servers that prove to one another who they are, and speak TLS: as without, also over lost connections and a killed server.
func TestNATSOverTLS(t *testing.T) {
	c, _ := newSecured(t, 3)
	conn, err := net.DialTimeout("tcp4", c.broker.addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if info, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(info, `"tls_verify":true`) || !strings.Contains(info, `"auth_required":true`) {
		t.Fatalf("the server asks for nothing: %q %v", info, err)
	}
	c.during(t, func() {
		reset := 0
		for range rounds(9, 50) {
			c.awaitMore(t, 20)
			reset += c.proxies[c.random.IntN(len(c.proxies))].resetAll()
		}
		for _, p := range c.proxies { // whichever servers the nodes have chosen
			reset += p.resetAll()
		}
		if reset == 0 {
			t.Error("no connection was reset")
		}
		c.withoutLeader(t, eventsStream, func() {})
	})
	c.verify(t)
	c.awaitCopies(t)
	c.neverTold(t, c.nodes...)
	c.summary(t)
}

// neverTold asserts that a node says the password neither in its log nor where it can be asked.
func (c *cluster) neverTold(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		said, err := os.ReadFile(n.logFile())
		if err != nil || len(said) == 0 {
			t.Fatalf("the log of %s: %d bytes, %v", n.name, len(said), err)
		}
		for _, path := range []string{"/readyz", "/v1/status", "/metrics"} {
			if _, answer, err := n.do(http.MethodGet, path, "", ""); err == nil {
				said = append(said, answer...)
			}
		}
		if bytes.Contains(said, []byte(natsPassword)) {
			t.Errorf("%s tells the password of NATS", n.name)
		}
	}
}

// What a node shows the NATS server, or asks of it, is wrong: it is not ready, and says which setting it is. With the right files in the
// same places it is ready without a restart.
func TestNATSRefusesNode(t *testing.T) {
	c, ours := newSecured(t, 1)
	right, foreign := filesOf(ours.Issue(t, time.Hour, "127.0.0.1")), filesOf(certtest.New(t).Issue(t, time.Hour, "127.0.0.1"))
	for name, wrong := range map[string]struct {
		certificate
		address, mend string
	}{
		"authority":           {certificate{foreign.ca, right.cert, right.key}, "", "nats.tls.ca"},
		"foreign certificate": {certificate{right.ca, foreign.cert, foreign.key}, "", "nats.tls.cert"},
		"old certificate":     {filesOf(ours.Issue(t, -time.Hour, "127.0.0.1")), "", "nats.tls.cert"},
		"no certificate":      {certificate{ca: right.ca}, "", "nats.tls.cert"},
		"no authority":        {certificate{cert: right.cert, key: right.key}, "", "nats.tls.ca"},
		"password":            {right, "tls://edge:wrong@", "user and password in nats.urls"},
		"nobody":              {right, "tls://", "user and password in nats.urls"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{} // of this node alone, so that they can be mended
			here := certificate{mine(t, wrong.ca, files, right.ca), mine(t, wrong.cert, files, right.cert), mine(t, wrong.key, files, right.key)}
			n := c.refused(t, strings.ReplaceAll(name, " ", "-"), wrong.mend, wrong.address, here.flags())
			if wrong.address != "" || wrong.ca == "" || wrong.cert == "" {
				return // a setting, which is read at the start
			}
			for name, content := range files {
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			n.awaitReady(t)
		})
	}
	c.during(t, func() { c.awaitMore(t, 50) })
	c.verify(t)
	c.summary(t)
}

// mine copies a file into a folder of its own and notes what is right in its place; "" stays so.
func mine(t *testing.T, name string, mended map[string]string, right string) string {
	t.Helper()
	if name == "" {
		return ""
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
	with, err := os.ReadFile(right)
	if err != nil {
		t.Fatal(err)
	}
	mended[to] = string(with)
	return to
}

// refused starts a node that NATS does not take, at an address ("": the right one) and with flags in place of the cluster's. The node says
// so with the words of the mend, in its log and to whoever asks, and is not ready.
func (c *cluster) refused(t *testing.T, name, mend, address string, flags []string) *node {
	t.Helper()
	kept := c.options
	defer func() { c.options = kept }()
	c.options.flags = flags
	if address != "" {
		c.options.address = address
	}
	n := c.newNode(t, name)
	n.startAnswering(t)
	until(t, name+" says what is wrong", func() bool {
		ready, unmet := n.ready(t)
		if ready {
			t.Fatalf("%s is ready", name)
		}
		for _, u := range unmet {
			if u.Name == "stream_refusals" && strings.Contains(u.Detail, mend) {
				return true
			}
		}
		return false
	})
	if n.logged(mend) == 0 {
		t.Errorf("the log of %s does not say what to do:\n%s", name, n.tail())
	}
	c.neverTold(t, n)
	return n
}

// A server that takes users by their credentials, as nsc makes them.
func TestNATSCredentials(t *testing.T) {
	conf, err := os.ReadFile("../testdata/nats/operator.conf")
	if err != nil {
		t.Fatal(err)
	}
	right, err := filepath.Abs("../testdata/nats/user.creds")
	if err != nil {
		t.Fatal(err)
	}
	c := newClusterOf(t, clusterOptions{
		config: string(regexp.MustCompile(`(?m)^listen:.*$`).ReplaceAll(conf, nil)), flags: []string{"--nats-credentials-file", right},
	})
	c.refused(t, "nobody", "nats.credentials_file", "", nil)
	credentials, err := os.ReadFile(right)
	if err != nil {
		t.Fatal(err)
	}
	// The last signature of the user's token, of another key.
	at := regexp.MustCompile(`\.[A-Za-z0-9_-]{80,}\n`).FindIndex(credentials)
	if at == nil {
		t.Fatal("no token in the credentials")
	}
	forged := bytes.Clone(credentials)
	forged[at[0]+10] ^= 1
	file := filepath.Join(t.TempDir(), "forged.creds")
	if err := os.WriteFile(file, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	n := c.refused(t, "forged", "nats.credentials_file", "", []string{"--nats-credentials-file", file})
	if err := os.WriteFile(file, credentials, 0o600); err != nil {
		t.Fatal(err)
	}
	n.awaitReady(t)
	c.during(t, func() { c.awaitMore(t, 50) })
	c.verify(t)
	c.summary(t)
}

// Settings that cannot work end a start with 2, and name the key and the file.
func TestNATSSettings(t *testing.T) {
	scenario(t)
	dir := t.TempDir()
	absent := filepath.Join(dir, "absent.pem")
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--nats-tls-ca", absent}, "nats.tls.ca " + fmt.Sprintf("%q", absent)},
		{[]string{"--nats-tls-ca", empty}, "nats.tls.ca " + fmt.Sprintf("%q", empty)},
		{[]string{"--nats-credentials-file", absent}, "nats.credentials_file"},
		{[]string{"--nats-tls-cert", empty, "--nats-tls-key", empty}, "nats.tls.cert"},
		{[]string{"--nats-tls-cert", empty}, "set nats.tls.key too"},
		{[]string{"--nats-max-age", "11s"}, "the least is 12s"},
		{[]string{"--nats-max-age", "12s", "--snapshot-every", "2s"}, "nats.max_age"},
	} {
		n := newNode(t, dir, fmt.Sprintf("wrong-%d", i), append([]string{"--nats-urls", "nats://127.0.0.1:1"}, c.flags...)...)
		n.launch(t)
		until(t, "the end of a start that cannot work", func() bool { return !n.running() })
		if code := n.cmd.ProcessState.ExitCode(); code != 2 || n.logged(c.want) == 0 {
			t.Errorf("%q: code %d, want 2 and %q in\n%s", c.flags, code, c.want, n.tail())
		}
	}
}
