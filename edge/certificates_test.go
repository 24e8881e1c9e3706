package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/certtest"
)

func filesIn(dir string, clients bool) edge.CertificateFiles {
	f := edge.CertificateFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if clients {
		f.ClientCA = filepath.Join(dir, "ca.pem")
	}
	return f
}

// Both listeners speak TLS, with what the files say at the time of the connection; a
// connection that is open goes on.
func TestCertificates(t *testing.T) {
	mine, dir := certtest.New(t), t.TempDir()
	first := mine.IssueTo(t, dir, time.Hour, "127.0.0.1").Leaf.SerialNumber
	certificates, err := edge.ReadCertificates(filesIn(dir, false))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	plain := startNode(t, "", leastPolicy, func(o *edge.Options) { o.Certificates, o.Listen = certificates, "unix:"+socket })
	local := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	if r, err := local.Get("http://node/v1/decide?user=u&campaign=a"); err != nil || r.StatusCode != 200 {
		t.Errorf("over a unix socket: %v %v", r, err)
	}
	plain.stop()
	n := startNode(t, "", leastPolicy, func(o *edge.Options) { o.Certificates = certificates })
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: mine.Pool}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	ask := func(addr string) (number *big.Int) {
		t.Helper()
		r, err := client.Post("https://"+addr+"/v1/decide", "application/json", strings.NewReader(`{"user":{"id":"u"},"candidates":[{"campaign":"a"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 || !bytes.Contains(body, []byte(`"show":true`)) {
			t.Fatalf("%s: %d %s %v", addr, r.StatusCode, body, err)
		}
		return r.TLS.PeerCertificates[0].SerialNumber
	}
	for _, addr := range []string{n.running.Addr(), n.running.AdminAddr()} {
		if ask(addr).Cmp(first) != 0 {
			t.Errorf("%s shows another certificate", addr)
		}
	}
	// Files that are wrong change nothing; a new certificate is shown to new connections.
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := certificates.Reload(); err == nil || !strings.Contains(err.Error(), "cert.pem") || ask(n.running.Addr()).Cmp(first) != 0 {
		t.Errorf("a certificate that cannot be read: %v", err)
	}
	second := mine.IssueTo(t, dir, time.Hour, "127.0.0.1").Leaf.SerialNumber
	if err := certificates.Reload(); err != nil {
		t.Fatal(err)
	}
	if ask(n.running.Addr()).Cmp(first) != 0 {
		t.Error("an open connection was ended")
	}
	transport.CloseIdleConnections()
	if ask(n.running.Addr()).Cmp(second) != 0 {
		t.Error("a new connection is shown the certificate of before")
	}
}

// leastPolicy is the least policy.
const leastPolicy = "markets: [{name: all, require: none}]\ncampaigns: {a: {advertiser: acme}}\n"

// Callers without a certificate of the authority do not reach a handler.
func TestClientCertificates(t *testing.T) {
	mine, foreign, dir := certtest.New(t), certtest.New(t), t.TempDir()
	pair := mine.IssueTo(t, dir, time.Hour, "127.0.0.1").Certificate
	stranger := foreign.Issue(t, time.Hour, "127.0.0.1").Certificate
	certificates, err := edge.ReadCertificates(filesIn(dir, true))
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "", leastPolicy, func(o *edge.Options) { o.Certificates = certificates })
	for _, c := range []struct {
		name  string
		shown []tls.Certificate
		in    bool
	}{{"none", nil, false}, {"of another authority", []tls.Certificate{stranger}, false}, {"of the authority", []tls.Certificate{pair}, true}} {
		shown := new(tls.Certificate)
		if c.shown != nil {
			shown = &c.shown[0]
		}
		config := &tls.Config{RootCAs: mine.Pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		for _, addr := range []string{n.running.Addr(), n.running.AdminAddr()} {
			r, err := client.Get("https://" + addr + "/v1/decide?user=u&campaign=a")
			if err == nil {
				r.Body.Close()
			}
			if (err == nil) != c.in {
				t.Errorf("a certificate %s: %v", c.name, err)
			}
		}
	}
	// Who speaks plain HTTP is told.
	r, err := http.Get("http://" + n.running.Addr() + "/v1/decide?user=u&campaign=a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err != nil || r.StatusCode != 400 || !bytes.Contains(body, []byte("https://")) {
		t.Errorf("plain HTTP: %d %s %v", r.StatusCode, body, err)
	}
}

// What is wrong with the files is named.
func TestCertificateFaults(t *testing.T) {
	mine, dir := certtest.New(t), t.TempDir()
	for _, c := range []struct {
		name  string
		spoil func()
		says  string
	}{
		{"expired", func() { mine.IssueTo(t, dir, -time.Minute, "127.0.0.1") }, "cert.pem\": it expired on "},
		{"no key", func() { os.Remove(filepath.Join(dir, "key.pem")) }, "key.pem"},
		{"another's key", func() {
			other := t.TempDir()
			mine.IssueTo(t, other, time.Hour, "127.0.0.1")
			os.Rename(filepath.Join(other, "key.pem"), filepath.Join(dir, "key.pem"))
		}, "does not match"},
		{"no authority", func() { os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600) }, "there is no certificate in it"},
		{"authority missing", func() { os.Remove(filepath.Join(dir, "ca.pem")) }, "tls.client_ca"},
	} {
		mine.IssueTo(t, dir, time.Hour, "127.0.0.1")
		c.spoil()
		if got, err := edge.ReadCertificates(filesIn(dir, true)); err == nil || !strings.Contains(err.Error(), c.says) || got != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
