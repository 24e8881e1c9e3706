package loadtest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// secureNode is a node for load tests with TLS, and who is to be believed.
func secureNode(t *testing.T) (f *loadNode, config *tls.Config) {
	f = newLoadNode(t)
	secure := httptest.NewTLSServer(f)
	t.Cleanup(secure.Close)
	f.server = secure
	config = &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(secure.Certificate())
	return f, config
}

// A load over TLS measures the same as one without, and its report says that it was one.
func TestLoadOverTLS(t *testing.T) {
	f, config := secureNode(t)
	o := f.options()
	o.Config.Addr, o.Admin, o.TLS = f.server.URL, f.server.URL, config
	r, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests.Good == 0 || len(r.Errors) > 0 {
		t.Errorf("%+v, errors %+v", r.Requests, r.Errors)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "over TLS") {
		t.Errorf("notes %q", r.Notes)
	}
	o.TLS = nil
	if _, err := Load(t.Context(), o); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "--ca") {
		t.Errorf("without its authority: %v", err)
	}
	if config.ServerName != "" || config.ClientSessionCache != nil {
		t.Error("the caller's configuration was changed")
	}
}

// A generator that was the bottleneck says what TLS had to do with it, where it had.
func TestSealingIsSaid(t *testing.T) {
	for addr, want := range map[string]bool{"https://127.0.0.1:1": true, "127.0.0.1:1": false} {
		r := &Report{Config: LoadConfig{Addr: addr}, Generator: Generator{Lag: Percentiles{P99US: 9e3, MeanUS: 5e3}, CPUUSPerRequest: 41.2}}
		r.Latency.Corrected.P99US = 10e3
		r.Requests.Offered, r.Requests.Started, r.Requests.Completed, r.Requests.Good = 1000, 900, 900, 900
		r.judge(nil)
		if len(r.Validity.Reasons) != 2 {
			t.Fatalf("%q", r.Validity.Reasons)
		}
		for _, reason := range r.Validity.Reasons {
			if !strings.Contains(reason, "bottleneck") || strings.Contains(reason, "took 41 us of its processor time") != want {
				t.Errorf("%s: %q", addr, reason)
			}
		}
	}
}

// A target that hangs in its handshake costs the time of a request, and one that ends
// without saying so has closed.
func TestHandshakeHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := dialTarget("tcp", l.Addr().String(), securedFor("127.0.0.1", nil), 20*time.Millisecond); failureOf(err) != failureTimeout {
		t.Errorf("%v", err)
	}
	f, config := secureNode(t)
	c, err := dialTarget("tcp", strings.TrimPrefix(f.server.URL, secureScheme), securedFor("127.0.0.1", config), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f.server.CloseClientConnections()
	w := newWireConn(c)
	err = w.send([]byte("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"), time.Minute)
	if err == nil {
		_, err = w.receive()
	}
	if failureOf(err) != failureClosed {
		t.Errorf("a connection that was cut: %v", err)
	}
}
