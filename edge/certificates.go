package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// CertificateFiles are PEM files: the certificate of the listeners with those between
// it and its authority, its key, and, unless "", the authorities of callers'
// certificates.
type CertificateFiles struct{ Cert, Key, ClientCA string }

// Certificates are what the listeners show callers and ask of them, read from files.
// Read again, they are in force from the next connection on. Safe for concurrent use.
type Certificates struct {
	files   CertificateFiles
	inForce atomic.Pointer[tls.Config]
	expires atomic.Int64 // Unix seconds
}

// ReadCertificates reads the files. An error names the file and how to mend it.
func ReadCertificates(files CertificateFiles) (*Certificates, error) {
	c := &Certificates{files: files}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. On an error what was in force stays.
func (c *Certificates) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("tls.cert %q, tls.key %q: %w: give a certificate and its key as PEM files", c.files.Cert, c.files.Key, err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("tls.cert %q: it expired on %s: get a new one, and send SIGHUP to a node that runs", c.files.Cert, pair.Leaf.NotAfter.UTC().Format(time.DateTime))
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	if c.files.ClientCA != "" {
		pem, err := os.ReadFile(c.files.ClientCA)
		config.ClientCAs = x509.NewCertPool()
		if err == nil && !config.ClientCAs.AppendCertsFromPEM(pem) {
			err = errors.New("there is no certificate in it")
		}
		if err != nil {
			return fmt.Errorf("tls.client_ca %q: %w: give a PEM file of the authorities of callers' certificates", c.files.ClientCA, err)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	c.inForce.Store(config)
	c.expires.Store(pair.Leaf.NotAfter.Unix())
	return nil
}

// config is that of a listener.
func (c *Certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.inForce.Load(), nil },
	}
}

// Expires is when the listeners' certificate does.
func (c *Certificates) Expires() time.Time { return time.Unix(c.expires.Load(), 0) }
