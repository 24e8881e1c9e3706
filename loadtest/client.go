package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	maxAnswerBytes = 1 << 20
	// attempts of one request: a decide without hold changes nothing, and an
	// event carries its identity, so both may be sent again.
	attempts = 6
	maxWait  = 5 * time.Second // between two of them, whatever Retry-After says
)

// node is the HTTP side of one node. For concurrent use.
type node struct {
	addr    string // as given, for messages
	host    fasthttp.HostClient
	key     string
	timeout time.Duration
	refused atomic.Pointer[net.OpError] // what the node said over TLS of a connection, in the place of an answer
}

// heeding is a connection that tells its node of an alert of TLS, which fasthttp takes for
// the end of the connection: a node says in one that it wants another certificate.
type heeding struct {
	net.Conn
	node *node
}

func (c heeding) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		c.node.refused.Store(alert)
	}
	return n, err
}

// newNode takes host:port, http://host:port, https://host:port or unix:/path, and how to
// speak TLS, nil for not at all; it does no I/O.
func newNode(addr, key string, secure *tls.Config, timeout time.Duration, connections int) (*node, error) {
	n := &node{addr: addr, key: key, timeout: timeout}
	network, target := "tcp", strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(addr, "http://"), secureScheme), "/")
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, target = "unix", path
		if path == "" {
			return nil, fmt.Errorf("read address %q: want unix:/path", addr)
		}
	} else if _, _, err := net.SplitHostPort(target); err != nil {
		return nil, fmt.Errorf("read address %q: %w (want host:port or unix:/path)", addr, err)
	}
	host := target
	if network == "unix" {
		host = "localhost:80"
	}
	n.host = fasthttp.HostClient{
		Addr:                host,
		Name:                "restraint-replay",
		DialTimeout:         n.dial(network, target, secure),
		DialDualStack:       true,
		MaxConns:            connections,
		MaxConnWaitTimeout:  timeout,
		MaxConnDuration:     0,
		MaxIdleConnDuration: 30 * time.Second,
		ConnPoolStrategy:    fasthttp.LIFO,
		ReadBufferSize:      8 << 10,
		WriteBufferSize:     16 << 10,
		ReadTimeout:         timeout,
		WriteTimeout:        timeout,
		MaxResponseBodySize: maxAnswerBytes,

		MaxIdemponentCallAttempts:     1, // send does it, and can be cancelled
		RetryIfErr:                    func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
		NoDefaultUserAgentHeader:      false,
		DisableHeaderNamesNormalizing: false,
		DisablePathNormalizing:        true,
		IsTLS:                         false, // dialTarget speaks it
		SecureErrorLogMessage:         true,
		StreamResponseBody:            false,
	}
	return n, nil
}

func (n *node) dial(network, target string, secure *tls.Config) fasthttp.DialFuncWithTimeout {
	return func(string, time.Duration) (net.Conn, error) {
		c, err := dialTarget(network, target, secure, n.timeout)
		if err != nil || secure == nil {
			return c, err
		}
		return heeding{c, n}, nil
	}
}

func (n *node) close() { n.host.CloseIdleConnections() }

// call is one request and its answer, used again and again by one worker.
type call struct {
	node *node
	req  *fasthttp.Request
	resp *fasthttp.Response
}

func (n *node) newCall() *call {
	return &call{n, fasthttp.AcquireRequest(), fasthttp.AcquireResponse()}
}

func (c *call) release() {
	fasthttp.ReleaseRequest(c.req)
	fasthttp.ReleaseResponse(c.resp)
}

// send sends until the node takes it, at most attempts times, and returns the
// status and the body, which is valid until the next call. A busy node (503,
// 429) is waited for, and so is one that is away for a moment.
func (c *call) send(ctx context.Context, method, path, contentType string, body []byte) (status int, answer []byte, err error) {
	wait := 10 * time.Millisecond
	for try := 1; ; try++ {
		status, answer, err = c.once(method, path, contentType, body)
		switch {
		case err != nil:
			err = fmt.Errorf("%s %s at %q: %w: %w", method, path, c.node.addr, ErrUnreachable, err)
		case status == fasthttp.StatusServiceUnavailable || status == fasthttp.StatusTooManyRequests:
			err = fmt.Errorf("%s %s at %q: %w: status %d after %d attempts, %q", method, path, c.node.addr, ErrNode, status, try, parseProblem(answer))
			if s, perr := strconv.Atoi(string(c.resp.Header.Peek("Retry-After"))); perr == nil && s > 0 {
				wait = min(time.Duration(min(s, 60))*time.Second, maxWait)
			}
		case status == fasthttp.StatusUnauthorized || status == fasthttp.StatusForbidden:
			return status, answer, fmt.Errorf("%s %s at %q: %w: status %d, give a key with the roles bid and ops with --key or RESTRAINT_KEY", method, path, c.node.addr, ErrKey, status)
		default:
			return status, answer, nil
		}
		if try == attempts {
			return status, answer, err
		}
		if !sleep(ctx, wait) {
			return 0, nil, context.Cause(ctx)
		}
		wait = min(2*wait, maxWait)
	}
}

// once sends one time.
func (c *call) once(method, path, contentType string, body []byte) (int, []byte, error) {
	c.req.Reset()
	c.resp.Reset()
	c.req.Header.SetMethod(method)
	c.req.SetRequestURI(path)
	c.req.Header.SetHost("localhost")
	if contentType != "" {
		c.req.Header.SetContentType(contentType)
		c.req.SetBodyRaw(body)
	}
	if c.node.key != "" {
		c.req.Header.Set("Authorization", "Bearer "+c.node.key)
	}
	if err := c.node.host.DoTimeout(c.req, c.resp, c.node.timeout); err != nil {
		if alert := c.node.refused.Swap(nil); alert != nil {
			err = alert
		}
		return 0, nil, mended(err)
	}
	return c.resp.StatusCode(), c.resp.Body(), nil
}

// sleep is false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// check asks whether the node can take a replay.
func (n *node) check(ctx context.Context) error {
	c := n.newCall()
	defer c.release()
	status, body, err := c.once(fasthttp.MethodGet, "/readyz", "", nil)
	switch {
	case err != nil:
		return fmt.Errorf("reach node at %q: %w: %w; start one with: restraint serve --clock=request", n.addr, ErrUnreachable, err)
	case status != fasthttp.StatusOK && status != fasthttp.StatusNotFound:
		return fmt.Errorf("GET /readyz at %q: %w: status %d, %q", n.addr, ErrNotReady, status, clip200(body))
	case status == fasthttp.StatusNotFound:
		return fmt.Errorf("GET /readyz at %q: %w: status 404; is this the admin listener (default 127.0.0.1:8081)? It serves the bid paths too", n.addr, ErrNode)
	}
	status, body, err = c.send(ctx, fasthttp.MethodGet, "/v1/status", "", nil)
	switch {
	case err != nil:
		return err
	case status == fasthttp.StatusNotFound:
		return fmt.Errorf("GET /v1/status at %q: %w: status 404; give the admin listener (default 127.0.0.1:8081), it serves the bid paths too", n.addr, ErrNode)
	case status != fasthttp.StatusOK:
		return fmt.Errorf("GET /v1/status at %q: %w: status %d, %q", n.addr, ErrNode, status, clip200(body))
	}
	clock, err := parseClock(body)
	if err != nil {
		return fmt.Errorf("GET /v1/status at %q: %w: %w", n.addr, ErrNode, err)
	}
	if clock != "request" {
		return fmt.Errorf("node at %q: %w (its clock is %q), so it would judge old rows by today; start it with: restraint serve --clock=request", n.addr, ErrClock, clock)
	}
	return nil
}
