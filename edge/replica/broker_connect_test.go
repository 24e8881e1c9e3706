package replica

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"restraint/edge/certtest"
)

// authority is what an authority issued for 127.0.0.1.
type authority struct{ certtest.Certificate }

func newAuthority(t *testing.T) authority {
	t.Helper()
	return authority{certtest.New(t).Issue(t, time.Hour, "127.0.0.1")}
}

// serve makes a server ask for certificates of the authority.
func (a authority) serve(t *testing.T) func(*server.Options) {
	t.Helper()
	pool := x509.NewCertPool()
	text, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return func(o *server.Options) {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{a.Certificate.Certificate}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
		o.TLSTimeout = 5
	}
}

func TestBrokerTLS(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	_, address := natsServer(t, ours.serve(t))
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}, CA: ours.CA, Cert: ours.Cert, Key: ours.Key})
	soon(t, "connection", b.connected)
	ensured(t, b)
	for name, c := range map[string]struct {
		o    BrokerOptions
		mend string
	}{
		"another authority":   {BrokerOptions{CA: other.CA, Cert: ours.Cert, Key: ours.Key}, "nats.tls.ca"},
		"no authority":        {BrokerOptions{Cert: ours.Cert, Key: ours.Key}, "nats.tls.ca"},
		"another certificate": {BrokerOptions{CA: ours.CA, Cert: other.Cert, Key: other.Key}, "nats.tls.cert"},
		"no certificate":      {BrokerOptions{CA: ours.CA}, "nats.tls.cert"},
	} {
		c.o.URLs = []string{address}
		b, _ := testBroker(t, c.o)
		soon(t, name, func() bool { err := b.problem(); return err != nil && strings.Contains(err.Error(), c.mend) })
		if b.connected() {
			t.Errorf("%s: connected", name)
		}
	}
}

// A password that is refused is a reason, and goes on being tried.
func TestBrokerRefused(t *testing.T) {
	s, address := natsServer(t, func(o *server.Options) { o.Username, o.Password = "edge", "right" })
	address = strings.TrimPrefix(address, "nats://")
	var log logged
	b, _ := testBroker(t, BrokerOptions{URLs: []string{"nats://edge:wr0ng@" + address}, Log: log.log()})
	soon(t, "a reason", func() bool {
		return strings.Contains(b.problem().Error(), "nats.credentials_file, or user and password")
	})
	soon(t, "some more attempts", func() bool {
		v, err := s.Varz(nil)
		return err == nil && v.TotalConnections > 8
	})
	if b.publish.IsClosed() || b.read.IsClosed() {
		t.Error("it gave up")
	}
	if strings.Contains(log.String(), "wr0ng") {
		t.Error("the password is in the log")
	}
	if n := strings.Count(log.String(), "Authorization"); n > 4 {
		t.Errorf("%d lines for one reason:\n%s", n, log.String())
	}
	b, _ = testBroker(t, BrokerOptions{URLs: []string{"nats://edge:right@" + address}})
	soon(t, "connection", b.connected)
}

// TLS is asked for and the server has none.
func TestBrokerWithoutTLS(t *testing.T) {
	_, address := natsServer(t, nil)
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}, CA: newAuthority(t).CA})
	soon(t, "a reason", func() bool { return strings.Contains(b.problem().Error(), "leave nats.tls out") })
}

// Credentials of an operator's account are taken, and asked for.
func TestBrokerCredentials(t *testing.T) {
	_, address := natsServer(t, func(o *server.Options) {
		from, err := server.ProcessConfigFile("testdata/nats/operator.conf")
		if err != nil {
			t.Fatal(err)
		}
		from.JetStream, from.StoreDir, from.NoSigs, from.NoLog = true, o.StoreDir, true, true
		*o = *from
	})
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}, CredentialsFile: "testdata/nats/user.creds"})
	soon(t, "connection", b.connected)
	ensured(t, b)
	b, _ = testBroker(t, BrokerOptions{URLs: []string{address}})
	soon(t, "a reason", func() bool {
		return strings.Contains(b.problem().Error(), "nats.credentials_file, or user and password")
	})
}

// Settings that can never work are told at once, all of them, by their names.
func TestBrokerSettings(t *testing.T) {
	a := newAuthority(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	urls := []string{"nats://127.0.0.1:4222"}
	for _, c := range []struct {
		o     BrokerOptions
		wants []string
	}{
		{BrokerOptions{}, []string{"no directory"}},
		{BrokerOptions{Dir: "x", Replicas: 3}, []string{"nats.replicas 3", "set nats.urls"}},
		{BrokerOptions{URLs: urls, Replicas: 6}, []string{"nats.replicas 6"}},
		{BrokerOptions{URLs: []string{"http://a"}}, []string{`nats.urls "http://a"`}},
		{BrokerOptions{URLs: []string{"nats://"}}, []string{`nats.urls "nats://"`}},
		{BrokerOptions{URLs: []string{"nats://a:1,nats://b:1"}}, []string{"one NATS server"}},
		{BrokerOptions{URLs: []string{"nats://me:secret@a:x"}}, []string{`nats.urls "nats://***@a:x"`}},
		{BrokerOptions{URLs: urls, CredentialsFile: empty + ".not"}, []string{"nats.credentials_file", "no such file"}},
		{BrokerOptions{URLs: urls, CredentialsFile: empty}, []string{"nats.credentials_file", "nsc"}},
		{BrokerOptions{URLs: urls, CA: empty}, []string{"nats.tls.ca", "no certificate"}},
		{BrokerOptions{URLs: urls, CA: empty + ".not"}, []string{"nats.tls.ca", "no such file"}},
		{BrokerOptions{URLs: urls, Cert: a.Cert}, []string{"nats.tls.cert", "set nats.tls.key"}},
		{BrokerOptions{URLs: urls, Key: a.Key}, []string{"nats.tls.key", "set nats.tls.cert"}},
		{BrokerOptions{URLs: urls, Cert: a.Key, Key: a.Cert}, []string{"nats.tls.cert", "PEM"}},
		{BrokerOptions{URLs: urls, Cert: a.Cert, Key: newAuthority(t).Key}, []string{"nats.tls.cert", "does not match"}},
		{BrokerOptions{URLs: []string{"x", "y"}, CA: empty, Key: a.Key}, []string{`"x"`, `"y"`, "nats.tls.ca", "nats.tls.key"}},
	} {
		b, err := openBroker(c.o)
		if err == nil {
			b.close()
		}
		if !errors.Is(err, ErrBrokerOptions) {
			t.Errorf("%+v: %v", c.o, err)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("a password in: %v", err)
		}
	}
}
