package loadtest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// secureScheme is what the address of a target with TLS begins with.
const secureScheme = "https://"

// securedFor is how to speak TLS to a target called by a host name: with a copy of what the
// caller gave, which remembers sessions.
func securedFor(host string, given *tls.Config) *tls.Config {
	config := new(tls.Config)
	if given != nil {
		config = given.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	config.DynamicRecordSizingDisabled = true // a request is one write, as without TLS
	return config
}

// dialTarget connects, over TLS where there is a configuration, all within the time.
func dialTarget(network, address string, config *tls.Config, timeout time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(timeout)
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil || config == nil {
		return c, err
	}
	secure := tls.Client(c, config)
	if err = c.SetDeadline(deadline); err == nil {
		err = secure.Handshake()
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return secure, nil
}

// mended adds to a failure of TLS how to mend it, in the flags of the commands.
func mended(err error) error {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		alert    *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: give --ca with the authority of the node's certificate", err)
	case errors.As(err, &hostname):
		return fmt.Errorf("%w: write a name that is in the node's certificate as the address", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w: renew the node's certificate, or correct this machine's clock", err)
	case errors.As(err, new(tls.RecordHeaderError)):
		return fmt.Errorf("%w: the node does not speak TLS; write its address without https://, and leave --ca and --cert out", err)
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("%w: the node may ask for a certificate of an authority that it knows (--cert, --cert-key)", err)
	}
	return err
}

// overTLS says whether the requests of a report went over TLS.
func (r *Report) overTLS() bool { return strings.HasPrefix(r.Config.Addr, secureScheme) }

// sealing is what TLS has to do with a generator that was the bottleneck; "" without TLS.
func (r *Report) sealing() string {
	if !r.overTLS() {
		return ""
	}
	return fmt.Sprintf(" (over TLS it seals and opens all that it sends and receives: with that, a request took %.0f us of its processor time)", r.Generator.CPUUSPerRequest)
}
