package replica

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
)

// withMend adds to why a connection does not stand what to do about it, where that can be told, by the names that the configuration has.
func withMend(err error) error {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		op        *net.OpError
	)
	mend := ""
	switch {
	case errors.As(err, &authority):
		mend = "set nats.tls.ca to the authority that signed the servers' certificates"
	case errors.As(err, &name):
		mend = "write in nats.urls a name that the server's certificate has, or give the server a certificate for this one"
	case errors.As(err, &invalid):
		mend = "give the server a certificate that is in force"
	case errors.As(err, &op) && op.Op == "remote error", errors.Is(err, nats.ErrTLS): // an alert, or closed before it was read
		mend = "the server may not accept this node's certificate, or the lack of one: set nats.tls.cert and nats.tls.key to one of an authority that it trusts, and that is in force"
	case errors.Is(err, nats.ErrSecureConnWanted):
		mend = "the server has no TLS: give it a certificate, or write nats:// in nats.urls and leave nats.tls out"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		mend = "the server does not accept who this node says it is: set nats.credentials_file, or user and password in nats.urls, to what the server has"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, mend)
}
