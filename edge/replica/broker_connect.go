package replica

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// connect makes the two connections. They are closed by close, also where it fails.
func (b *broker) connect() (err error) {
	if b.publish, err = b.link("publish"); err != nil {
		return err
	}
	b.read, err = b.link("read")
	return err
}

// link begins a connection. Figures without a reason beside them were measured to bring a connection back soonest.
func (b *broker) link(use string) (*nats.Conn, error) {
	l := &link{b: b, use: use, closed: make(chan struct{})}
	o := nats.GetDefaultOptions()
	o.Name = "restraint " + b.options.Node + " " + use
	o.Servers = b.options.URLs
	o.NoRandomize = true             // the nearest is first
	o.IgnoreDiscoveredServers = true // addresses that servers tell of may not be reached from here
	o.RetryOnFailedConnect = true
	o.AllowReconnect = true
	o.MaxReconnect = -1                                  // for ever
	o.IgnoreAuthErrorAbort = true                        // a credential that is mended works without a restart of the node
	o.CustomReconnectDelayCB = func(int) time.Duration { // after all servers have been tried
		l.refused()
		return 100*time.Millisecond + rand.N(20*time.Millisecond)
	}
	o.ReconnectBufSize = -1 // the outbox is the buffer
	o.Timeout = time.Second
	o.PingInterval = time.Second // with two pings out: a server that stands still is left after 3 s, not after minutes
	o.MaxPingsOut = 2
	o.FlusherTimeout = 2 * time.Second // bounds how long a publish waits for a full socket
	o.ConnectedCB = func(*nats.Conn) { l.up() }
	o.ReconnectedCB = func(*nats.Conn) { l.up() }
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { l.down(err) }
	o.ReconnectErrCB = func(_ *nats.Conn, err error) { l.failed(err) }
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { l.failed(err) }
	o.ClosedCB = func(*nats.Conn) { close(l.closed) }
	if b.embedded != nil {
		o.Servers = []string{nats.DefaultURL} // not dialled
		o.InProcessServer = b.embedded
	} else {
		o.SkipHostLookup = true // the dialer does it, within its time
		o.CustomDialer = &lateDialer{refuse: int64(len(o.Servers)), dialer: net.Dialer{Timeout: o.Timeout}}
	}
	for _, set := range b.security() {
		if err := set(&o); err != nil {
			return nil, err
		}
	}
	conn, err := o.Connect()
	if err != nil {
		return nil, err
	}
	l.conn.Store(conn)
	if conn.IsConnected() {
		l.state.CompareAndSwap(linkNew, linkUp) // its callback comes a little later
	}
	b.links = append(b.links, l)
	return conn, nil
}

func (b *broker) security() (options []nats.Option) {
	o := &b.options
	if len(o.URLs) == 0 {
		return nil
	}
	if o.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(o.CredentialsFile))
	}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	return options
}

// lateDialer refuses the first calls, one for each server. The library makes those while it holds up its caller, and the next ones from
// a goroutine of its own.
type lateDialer struct {
	refuse int64
	calls  atomic.Int64
	dialer net.Dialer
}

var errLater = errors.New("not tried yet")

// Dial is what the library calls.
func (d *lateDialer) Dial(network, address string) (net.Conn, error) {
	if d.calls.Add(1) <= d.refuse {
		return nil, errLater
	}
	return d.dialer.Dial(network, address)
}
