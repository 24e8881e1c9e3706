package client_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/certtest"
	"restraint/edge/client"
)

// secureNode is a node with a certificate for a name; mutual, it asks callers for one of
// the same authority.
func secureNode(t testing.TB, a *certtest.Authority, name string, mutual bool) *testNode {
	t.Helper()
	issued := a.Issue(t, time.Hour, name)
	files := edge.CertificateFiles{Cert: issued.Cert, Key: issued.Key}
	if mutual {
		files.ClientCA = issued.CA
	}
	certificates, err := edge.ReadCertificates(files)
	if err != nil {
		t.Fatal(err)
	}
	return startNode(t, "127.0.0.1:0", func(o *edge.Options) { o.Certificates = certificates })
}

var shoes = &client.Request{User: client.User{ID: "u-1"}, Candidates: []client.Candidate{{Campaign: "shoes"}}}

// A node with TLS is asked over connections that are kept, and new ones use its session
// again; beside it, one without.
func TestSecureNode(t *testing.T) {
	mine := certtest.New(t)
	n, plain := secureNode(t, mine, "127.0.0.1", false), startNode(t, "127.0.0.1:0", nil)
	var handshakes, resumed atomic.Int32
	config := &tls.Config{RootCAs: mine.Pool, VerifyConnection: func(s tls.ConnectionState) error {
		handshakes.Add(1)
		if s.DidResume {
			resumed.Add(1)
		}
		return nil
	}}
	c := newClient(t, func(o *client.Options) { o.TLS = config }, "https://"+n.Addr())
	for range 20 {
		decide(t, c, shoes)
	}
	if _, err := c.Report(t.Context(), client.Event{Type: client.Impression, ID: "i-1", User: client.User{ID: "u-1"}, Campaign: "shoes"}); err != nil {
		t.Error(err)
	}
	if handshakes.Load() != 2 || resumed.Load() != 1 {
		t.Errorf("%d handshakes for one connection of decides and one of reports, %d of a session that was known", handshakes.Load(), resumed.Load())
	}
	both := newClient(t, func(o *client.Options) { o.TLS = config }, "https://"+n.Addr(), plain.Addr())
	for range 10 {
		decide(t, both, shoes)
	}
	if config.ClientSessionCache != nil || config.ServerName != "" {
		t.Error("the caller's configuration was changed")
	}
	n.stop()
	for range 4 {
		decide(t, both, shoes)
	}
}

// A node that asks for a certificate is shown one.
func TestMutualTLS(t *testing.T) {
	mine := certtest.New(t)
	n := secureNode(t, mine, "127.0.0.1", true)
	pair := mine.Issue(t, time.Hour, "ad-server").Certificate
	c := newClient(t, func(o *client.Options) {
		o.TLS = &tls.Config{RootCAs: mine.Pool, Certificates: []tls.Certificate{pair}}
	}, "https://"+n.Addr())
	for range 5 {
		decide(t, c, shoes)
	}
}

// What cannot be believed is not asked, says what to mend, and shows nothing, whatever
// OnFailure says; another node is asked in its place.
func TestUntrusted(t *testing.T) {
	mine, other := certtest.New(t), certtest.New(t)
	n, elsewhere, asks := secureNode(t, mine, "127.0.0.1", false), secureNode(t, mine, "node.example", false), secureNode(t, mine, "127.0.0.1", true)
	plain := startNode(t, "127.0.0.1:0", nil)
	foreign := other.Issue(t, time.Hour, "ad-server").Certificate
	old := expired(t, mine)
	trusting := &tls.Config{RootCAs: mine.Pool}
	for name, c := range map[string]struct {
		addr   string
		config *tls.Config
		says   string
	}{
		"another authority":          {n.Addr(), &tls.Config{RootCAs: other.Pool}, "give that authority in Options.TLS.RootCAs"},
		"the machine's authorities":  {n.Addr(), nil, "give that authority in Options.TLS.RootCAs"},
		"another name":               {elsewhere.Addr(), trusting, `not for "127.0.0.1"`},
		"expired":                    {old, trusting, "renew it on the node"},
		"no TLS":                     {plain.Addr(), trusting, "without https://"},
		"no certificate where asked": {asks.Addr(), trusting, "Options.TLS.Certificates"},
		"a certificate of another":   {asks.Addr(), &tls.Config{RootCAs: mine.Pool, Certificates: []tls.Certificate{foreign}}, "Options.TLS.Certificates"},
		"an old protocol":            {n.Addr(), &tls.Config{RootCAs: mine.Pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "refuses the connection"},
	} {
		show := func(o *client.Options) { o.TLS, o.OnFailure = c.config, client.Show }
		asking := newClient(t, show, "https://"+c.addr)
		a, err := asking.Decide(t.Context(), shoes)
		if e := fails(t, a, err, 1, false, client.Untrusted); e.Sent || !strings.Contains(e.Error(), c.says) || e.Addr != "https://"+c.addr {
			t.Errorf("%s: sent %v, %v", name, e.Sent, e)
		}
		if name != "an old protocol" && name != "another authority" && name != "the machine's authorities" { // there, no other could be believed either
			decide(t, newClient(t, show, "https://"+c.addr, plain.Addr()), shoes)
		}
	}
	if named := newClient(t, func(o *client.Options) {
		o.TLS = &tls.Config{RootCAs: mine.Pool, ServerName: "node.example"}
	}, "https://"+elsewhere.Addr()); named != nil {
		decide(t, named, shoes)
	}
	a, err := newClient(t, nil, n.Addr()).Decide(t.Context(), shoes)
	if e := fails(t, a, err, 1, false, client.BadRequest); !strings.Contains(e.Error(), "https://") {
		t.Errorf("plain HTTP to a node with TLS: %v", e)
	}
}

// expired is a listener that shows a certificate whose time is over: a node would not
// start with it.
func expired(t *testing.T, a *certtest.Authority) (addr string) {
	t.Helper()
	pair := a.Issue(t, -time.Hour, "127.0.0.1").Certificate
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).HandshakeContext(context.Background()) // which the client ends
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// A node that hangs in its handshake costs no more than the deadline.
func TestHandshakeHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newClient(t, func(o *client.Options) { o.Timeout = 20 * time.Millisecond }, "https://"+l.Addr().String())
	a, err := c.Decide(t.Context(), shoes)
	fails(t, a, err, 1, false, client.Timeout)
}

// Options that do not fit together are faults.
func TestSecureOptions(t *testing.T) {
	for addr, says := range map[string]string{
		"127.0.0.1:8080": "no address is of a node with TLS", "https://": "is not the address of a node", "https://127.0.0.1": "is not the address of a node",
		"https://a:1/path": "is not the address of a node", "https://unix:/a": "is not the address of a node", "HTTPS://a:1": "is not the address of a node",
	} {
		if _, err := client.New(client.Options{Addrs: []string{addr}, TLS: new(tls.Config)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
