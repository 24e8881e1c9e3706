package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// secureScheme is what the address of a node with TLS begins with.
const secureScheme = "https://"

// securedBy is how a client speaks TLS to the nodes with TLS among its addresses: with a
// copy of what the caller gave, which remembers sessions. Nil: none has it.
func (o *Options) securedBy() *tls.Config {
	secured := 0
	for _, addr := range o.Addrs {
		if strings.HasPrefix(addr, secureScheme) {
			secured++
		}
	}
	if secured == 0 {
		return nil
	}
	config := new(tls.Config)
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(secured)
	}
	config.DynamicRecordSizingDisabled = true // a request goes out at once, not in pieces of a packet
	return config
}

// forNode is the configuration for the node at host:port.
func forNode(config *tls.Config, addr string) *tls.Config {
	if config.ServerName != "" {
		return config
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		panic("BUG: an address that was not checked: " + addr)
	}
	host, _, _ = strings.Cut(host, "%") // the zone of an IPv6 address is this machine's
	config = config.Clone()
	config.ServerName = host
	return config
}

// handshake speaks TLS on a new connection, within the time to deadline.
func handshake(ctx context.Context, c net.Conn, config *tls.Config, deadline time.Time) (*tls.Conn, error) {
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

// untrusted says what to mend where err is that the node cannot be believed, or does not
// believe this client; "" where it is something else.
func untrusted(err error) string {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		alert        *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		return "the node's certificate is of an authority that is not known here: give that authority in Options.TLS.RootCAs"
	case errors.As(err, &hostname):
		return fmt.Sprintf("the node's certificate is not for %q: write a name that is in it as the address, or Options.TLS.ServerName", hostname.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the node's certificate has expired, or is of a time to come: renew it on the node, or correct the clock of this machine"
	case errors.As(err, &verification):
		return "the node's certificate cannot be believed"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "the node does not speak TLS: write its address without https://"
	case errors.As(err, &alert) && alert.Op == "remote error":
		return "the node refuses the connection: it may ask for a certificate of an authority that it knows (Options.TLS.Certificates)"
	}
	return ""
}
