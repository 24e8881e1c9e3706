package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// issueOwn writes a certificate for 127.0.0.1 that is its own authority, and its key, to
// dir.
func issueOwn(t *testing.T, dir string, number int64) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// The commands talk to a node that has TLS and asks for certificates, are told what they
// lack, and SIGHUP puts a new certificate in force.
func TestTLS(t *testing.T) {
	dir, theirs := t.TempDir(), t.TempDir()
	cert, key := issueOwn(t, dir, 1)
	own, ownKey := issueOwn(t, theirs, 2)
	s := startServed(t, dir, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", own)
	addr := strings.TrimPrefix(s.url, "http://")
	inProcess(t, nil, "", "lists", "--addr", addr, "--ca", cert, "--cert", own, "--cert-key", ownKey).must(t, 0, "")
	inProcess(t, nil, "", "lists", "--addr", "https://"+addr, "--ca", cert, "--cert", own, "--cert-key", ownKey).must(t, 0, "")
	inProcess(t, nil, "", "lists", "--addr", addr).must(t, 1, "this listener speaks TLS: use https://")
	inProcess(t, nil, "", "lists", "--addr", addr, "--ca", cert).must(t, 1, "it may ask for a certificate of an authority that it knows (--cert, --cert-key)")
	inProcess(t, nil, "", "lists", "--addr", addr, "--ca", own, "--cert", own, "--cert-key", ownKey).must(t, 1, "cannot be believed", "give --ca")
	inProcess(t, nil, "", "lists", "--addr", addr, "--ca", key).must(t, 2, "--ca", "there is no certificate in it")
	inProcess(t, nil, "", "lists", "--addr", addr, "--cert", own).must(t, 2, "give a certificate and its key")

	theirOwn := []string{"--ca", cert, "--cert", own, "--cert-key", ownKey}
	inProcess(t, nil, "", append([]string{"audit", "show", "--addr", addr}, theirOwn...)...).must(t, 0, "node.started")
	inProcess(t, nil, "", append([]string{"audit", "verify", "--data", filepath.Join(dir, "data"), "--peer", addr}, theirOwn...)...).must(t, 0, "the record is whole")

	issueOwn(t, dir, 3)
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.wait(t, "certificates in force")
	inProcess(t, nil, "", "lists", "--addr", addr, "--ca", cert, "--cert", own, "--cert-key", ownKey).must(t, 0, "")
	if err := os.Truncate(cert, 0); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.wait(t, "certificates not reloaded, those in force stay")

	plain := startServed(t, t.TempDir())
	inProcess(t, nil, "", "lists", "--addr", strings.Replace(plain.url, "http:", "https:", 1)).must(t, 1, "has no TLS: write http://")
}

// The load test and a replay go to a node with TLS that asks for certificates; what does
// not fit is said before anything is measured, with the flag that mends it.
func TestLoadAndReplayOverTLS(t *testing.T) {
	dir, theirs := t.TempDir(), t.TempDir()
	cert, key := issueOwn(t, dir, 1)
	own, ownKey := issueOwn(t, theirs, 2)
	policy := writeFile(t, "p.yaml", cappedPolicy)
	serve := func(more ...string) string {
		s := startServed(t, t.TempDir(), append(more, "--policy", policy)...)
		return strings.TrimPrefix(s.url, "http://")
	}
	secure := []string{"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", own}
	addr, replayed := serve(secure...), serve(append(secure, "--clock=request")...)
	shown := []string{"--ca", cert, "--cert", own, "--cert-key", ownKey}
	load := func(addr string, more ...string) result {
		args := []string{"load", "--addr", addr, "--admin", addr, "--duration", "200ms", "--warm-up", "0s", "--timeout", "20s", "--closed", "--connections", "2"}
		return inProcess(t, nil, "", append(args, more...)...)
	}
	log := writeFile(t, "log.csv", "t,u,c\n1800000000,ann,shoes\n1800000001,ann,shoes\n")
	replay := func(addr string, more ...string) result {
		args := []string{"replay", "--addr", addr, "--time-column", "t", "--time-format", "unix", "--user-column", "u", "--campaign-column", "c", log}
		return inProcess(t, nil, "", append(args, more...)...)
	}
	for _, scheme := range []string{"", "https://"} {
		load(scheme+addr, shown...).must(t, 0, "over TLS: latencies have the sealing and opening on both sides")
		replay(scheme+replayed, append(shown, "--run", "r"+scheme)...).must(t, 0, "impressions in the log")
	}
	plain := serve()
	for name, run := range map[string]func(string, ...string) result{"load": load, "replay": replay} {
		run(addr, "--ca", cert).must(t, 1, "(--cert, --cert-key)")
		run(addr, "--ca", own, "--cert", own, "--cert-key", ownKey).must(t, 1, "give --ca with the authority of the node's certificate")
		run(strings.Replace(addr, "127.0.0.1", "localhost", 1), shown...).must(t, 1, "write a name that is in the node's certificate as the address")
		run(plain, "--ca", cert).must(t, 1, "without https://")
		run(addr, "--ca", key).must(t, 2, "there is no certificate in it")
		if r := run(addr); r.code != 1 || !strings.Contains(r.stderr, "https://") {
			t.Errorf("%s without TLS to a node that has it: %d %s", name, r.code, r.stderr)
		}
	}
}
