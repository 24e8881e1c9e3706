package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Verdict is what a client answers when no node does.
type Verdict uint8

// Skip shows nothing; Show shows every candidate, uncapped, as far as want goes.
const (
	Skip Verdict = iota
	Show
)

// Defaults of Options, and the most addresses. Chosen: a bid has 100 ms or so in all; a
// report is acknowledged by a disk.
const (
	DefaultTimeout       = 50 * time.Millisecond
	DefaultReportTimeout = time.Second
	DefaultConnections   = 256
	MaxAddrs             = 64
)

// Options are how a client is made.
type Options struct {
	// Addrs are the bid listeners of the nodes: host:port, https://host:port for one with
	// TLS, or unix:/path. Calls are spread over them.
	Addrs []string
	// TLS is how nodes with TLS are spoken to: their authority in RootCAs, and what to show
	// a node that asks for a certificate in Certificates. Nil: the authorities of this
	// machine, and no certificate. It is copied, with the name in the address as ServerName where
	// it has none, and sessions are used again. A certificate that changes while the client
	// lives is what GetClientCertificate is for; for other authorities make another client.
	TLS *tls.Config
	// Key is sent with each request; empty for nodes without keys.
	Key string
	// Timeout is the longest that Decide may take, ReportTimeout that of Report and
	// Release, all attempts together. 0: the defaults.
	Timeout, ReportTimeout time.Duration
	// OnFailure is the verdict when no node decides; the package says when.
	OnFailure Verdict
	// Connections bounds the connections to each node, of decides and of reports each.
	// When all are in use, a call waits for one until its deadline. 0: the default.
	Connections int
}

// Client asks nodes. Safe for concurrent use.
type Client struct {
	options Options
	decides *route
	reports *route
	calls   sync.Pool    // of *call
	closed  atomic.Bool  //
	running sync.RWMutex // held for reading by each call
}

// New makes a client. It does no I/O: nodes may be away. The error names every option
// that is wrong.
func New(o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.ReportTimeout == 0 {
		o.ReportTimeout = DefaultReportTimeout
	}
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c, config := &Client{options: o}, o.securedBy()
	c.calls.New = func() any { return new(call) }
	c.decides = newRoute(&o, config, "/v1/decide", "application/json", o.Timeout, maxDecideAnswer)
	c.reports = newRoute(&o, config, "/v1/events", "application/x-ndjson", o.ReportTimeout, maxReportAnswer)
	return c, nil
}

func (o *Options) check() error {
	var faults []error
	if len(o.Addrs) == 0 || len(o.Addrs) > MaxAddrs {
		faults = append(faults, fmt.Errorf("option Addrs: %d given; give 1 to %d, such as 127.0.0.1:8080 or unix:/run/restraint.sock", len(o.Addrs), MaxAddrs))
	}
	if o.TLS != nil && o.securedBy() == nil {
		faults = append(faults, errors.New("option TLS: no address is of a node with TLS: write https://host:port"))
	}
	seen := map[string]bool{}
	for _, addr := range o.Addrs {
		if err := checkAddr(addr); err != nil {
			faults = append(faults, err)
		}
		if seen[addr] {
			faults = append(faults, fmt.Errorf("option Addrs: %q is given twice", addr))
		}
		seen[addr] = true
	}
	if strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		faults = append(faults, errors.New("option Key: holds blanks or other characters that no key has"))
	}
	if o.Timeout < 0 || o.ReportTimeout < 0 {
		faults = append(faults, fmt.Errorf("options Timeout %v, ReportTimeout %v: must not be negative", o.Timeout, o.ReportTimeout))
	}
	if o.OnFailure > Show {
		faults = append(faults, fmt.Errorf("option OnFailure: %d is neither Skip nor Show", o.OnFailure))
	}
	if o.Connections < 0 {
		faults = append(faults, fmt.Errorf("option Connections: %d must not be negative", o.Connections))
	}
	if len(faults) > 0 {
		return fmt.Errorf("make client: %w", errors.Join(faults...))
	}
	return nil
}

func checkAddr(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("option Addrs: %q: write unix:/path", addr)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(addr, secureScheme))
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" || strings.ContainsFunc(host, notHost) {
		return fmt.Errorf("option Addrs: %q is not the address of a node: write host:port, https://host:port or unix:/path", addr)
	}
	return nil
}

// notHost says whether r can stand in no host: names, IPv4 and IPv6 with a zone.
func notHost(r rune) bool {
	return !(r == '.' || r == '-' || r == '_' || r == ':' || r == '%' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

// Close refuses further calls, waits for those under way, which is no longer than their
// deadline, and closes all connections. It may be called twice.
func (c *Client) Close() {
	c.closed.Store(true)
	c.running.Lock()
	defer c.running.Unlock()
	c.decides.close()
	c.reports.close()
}

// enter begins a call; false once Close was called. It never waits.
func (c *Client) enter() bool { return !c.closed.Load() && c.running.TryRLock() }
