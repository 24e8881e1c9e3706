// Package certtest makes authorities and certificates for tests.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates. It serves one goroutine.
type Authority struct {
	Pool *x509.CertPool // it alone
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

// Certificate is what an authority issued. Its Leaf is set.
type Certificate struct {
	tls.Certificate
	CA, Cert, Key string // PEM files: the authority's certificate, this one, and its key
}

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{Pool: x509.NewCertPool(), key: newKey(t)}
	template := a.template(time.Hour, "authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert = sign(t, template, template, &a.key.PublicKey, a.key)
	a.Pool.AddCert(a.cert)
	return a
}

// Issue is IssueTo a folder of its own.
func (a *Authority) Issue(t testing.TB, good time.Duration, name string) Certificate {
	t.Helper()
	return a.IssueTo(t, t.TempDir(), good, name)
}

// IssueTo makes a certificate for a name or address, good for so long (below 0: no more),
// for servers and callers, and writes it to DIR/cert.pem, its key to DIR/key.pem and the
// authority's to DIR/ca.pem, over what is there.
func (a *Authority) IssueTo(t testing.TB, dir string, good time.Duration, name string) Certificate {
	t.Helper()
	key := newKey(t)
	leaf := sign(t, a.template(good, name), a.cert, &key.PublicKey, a.key)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{
		Certificate: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		CA:          write(t, dir, "ca.pem", "CERTIFICATE", a.cert.Raw),
		Cert:        write(t, dir, "cert.pem", "CERTIFICATE", leaf.Raw),
		Key:         write(t, dir, "key.pem", "PRIVATE KEY", secret),
	}
}

func (a *Authority) template(good time.Duration, name string) *x509.Certificate {
	a.last++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(good),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{name}
	}
	return c
}

func sign(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t testing.TB, dir, name, kind string, der []byte) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
