package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A connection to a node that takes nothing any more is closed at once: TLS would say so
// first, and wait for seconds, which the call does not have.
func TestSecureCloseWaitsForNobody(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() {
			config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, SessionTicketsDisabled: true}
			_ = tls.Server(theirs, config).Handshake()
		}()
		secure, err := handshake(t.Context(), ours, &tls.Config{InsecureSkipVerify: true}, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		n := &node{slots: make(chan struct{}, 1)}
		n.slots <- struct{}{}
		begun := time.Now()
		n.drop(&conn{Conn: secure})
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("it waited for %v", waited)
		}
		if _, err := ours.Write([]byte("x")); err == nil {
			t.Error("it is open")
		}
	})
}
