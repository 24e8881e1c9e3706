package replica

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// check returns everything that is wrong with the settings, by the names that the configuration has for them.
func (o *BrokerOptions) check() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrBrokerOptions}, args...)...))
	}
	if o.Replicas < 1 || o.Replicas > 5 {
		fault("nats.replicas %d: write 1, 3 or 5", o.Replicas)
	}
	if o.SyncInterval < leastSync || o.SyncInterval > mostSync {
		fault("nats.sync_interval %s: write a time from %s to %s", o.SyncInterval, leastSync, mostSync)
	}
	for _, name := range o.AcceptGaps {
		if !gapNames.MatchString(name) {
			fault("ready.accept_gap %q: not the name of a gap: copy it from the detail of stream_events or stream_refusals at /readyz", name)
		}
	}
	if len(o.URLs) == 0 {
		if o.Dir == "" {
			fault("no directory for the embedded server: name one, or set nats.urls")
		}
		if o.Replicas > 1 {
			fault("nats.replicas %d: the embedded server keeps one copy: set nats.urls, or leave it out", o.Replicas)
		}
		return errors.Join(faults...)
	}
	for _, address := range o.URLs {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || strings.Contains(address, ",") {
			fault("nats.urls %q: not the address of one NATS server: write nats://host:4222 or tls://host:4222", withoutPassword(address))
		}
	}
	if o.CredentialsFile != "" {
		if err := checkCredentials(o.CredentialsFile); err != nil {
			fault("nats.credentials_file %q: %w: give a file with a user's JWT and seed, as nsc writes it", o.CredentialsFile, err)
		}
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			err = errors.New("no certificate in it")
		}
		if err != nil {
			fault("nats.tls.ca %q: %w: give a PEM file of the authority that signed the servers' certificates", o.CA, err)
		}
	}
	switch {
	case o.Cert != "" && o.Key == "":
		fault("nats.tls.cert %q: a certificate without its key: set nats.tls.key too", o.Cert)
	case o.Key != "" && o.Cert == "":
		fault("nats.tls.key %q: a key without its certificate: set nats.tls.cert too", o.Key)
	case o.Cert != "":
		if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
			fault("nats.tls.cert %q, nats.tls.key %q: %w: give a certificate and its key as PEM files", o.Cert, o.Key, err)
		}
	}
	return errors.Join(faults...)
}

// withoutPassword hides what stands before the last @, which can be a password also where the address is no URL.
func withoutPassword(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	if scheme, _, ok := strings.Cut(address[:at], "://"); ok {
		return scheme + "://***" + address[at:]
	}
	return "***" + address[at:]
}

// checkCredentials reads the file as a connection will.
func checkCredentials(file string) error {
	var o nats.Options
	if err := nats.UserCredentials(file)(&o); err != nil {
		return err
	}
	if _, err := o.UserJWT(); err != nil {
		return err
	}
	_, err := o.SignatureCB([]byte("nonce"))
	return err
}
