package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Timeouts and sizes of the servers. Chosen: an ad server answers its own caller
// within 100 ms or so, a list upload may take as long as a slow line needs.
const (
	headerBytes     = 16 << 10 // longest request line and headers
	bidReadTimeout  = 10 * time.Second
	bidWriteTimeout = 10 * time.Second
	idleTimeout     = 2 * time.Minute
	uploadTimeout   = 6 * time.Hour // where Options.UploadTime is not given
	drainTimeout    = 10 * time.Second
	keepAlive       = time.Minute // of silence, after which TCP asks whether the caller is still there
)

// server is one listener with its fasthttp server.
type server struct {
	listener *patrolled
	http     *fasthttp.Server
	network  string
	stopped  atomic.Bool
}

// listen binds both listeners.
func (n *Node) listen() error {
	var err error
	if n.bid, err = n.newServer(n.options.Listen, n.serveBid, bidLimits); err != nil {
		return fmt.Errorf("listen for bids: %w; is another node running? Choose another address with listen", err)
	}
	if n.admin, err = n.newServer(n.options.AdminListen, n.serveAdmin, n.adminLimits); err != nil {
		n.bid.listener.Close()
		return fmt.Errorf("listen for admin: %w; is another node running? Choose another address with admin.listen", err)
	}
	return nil
}

// newServer binds addr. limits gives the body size and time of a path, before its
// body is read.
func (n *Node) newServer(addr string, handler fasthttp.RequestHandler, limits func(path []byte) fasthttp.RequestConfig) (*server, error) {
	network, address := "tcp", addr
	if path, unix := strings.CutPrefix(addr, "unix:"); unix {
		network, address = "unix", path
		if err := removeStaleSocket(path); err != nil {
			return nil, err
		}
	}
	config := net.ListenConfig{KeepAlive: keepAlive}
	listener, err := config.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	if n.options.Certificates != nil && network == "tcp" {
		listener = tls.NewListener(listener, n.options.Certificates.config())
	}
	s := &server{listener: patrol(listener, n.options.Connections, n.metrics.notAccepted, n.metrics.handshakesFailed, n.metrics.turnedAway), network: network}
	s.http = &fasthttp.Server{
		Handler:                            n.guard(handler),
		ErrorHandler:                       n.transportError,
		HeaderReceived:                     n.headerReceived(limits),
		Name:                               "",
		Concurrency:                        waiting(n.options.Connections) + 1, // the listener lets no more in
		ReadBufferSize:                     headerBytes,
		WriteBufferSize:                    16 << 10,
		ReadTimeout:                        0, // these three are watchedConn's
		WriteTimeout:                       0,
		IdleTimeout:                        0,
		MaxConnsPerIP:                      0, // one ad server may hold them all
		MaxRequestsPerConn:                 0,
		MaxIdleWorkerDuration:              2 * time.Second, // goroutines of a flood that is over
		TCPKeepalive:                       false,           // the listener's: fasthttp does not see the TCP connection
		TCPKeepalivePeriod:                 0,
		MaxRequestBodySize:                 decideBytes,
		SleepWhenConcurrencyLimitsExceeded: 0,
		DisableKeepalive:                   false,
		ReduceMemoryUsage:                  false,
		GetOnly:                            false,
		DisablePreParseMultipartForm:       true,
		LogAllErrors:                       false,
		SecureErrorLogMessage:              true,
		DisableHeaderNamesNormalizing:      false,
		NoDefaultServerHeader:              true,
		NoDefaultDate:                      true,
		NoDefaultContentType:               true,
		KeepHijackedConns:                  false,
		CloseOnShutdown:                    true,
		StreamRequestBody:                  true, // a declared length costs nothing before its bytes come
		Logger:                             quietLogger{n.log},
	}
	return s, nil
}

func (s *server) addr() string {
	if s.network == "unix" {
		return "unix:" + s.listener.Addr().String()
	}
	return s.listener.Addr().String()
}

// serve answers until shutdown.
func (s *server) serve() error {
	err := s.http.Serve(s.listener)
	if s.stopped.Load() {
		return nil // closing the listener ended it
	}
	return err
}

// shutdown waits for what is in flight; silent connections are cut at the
// deadline.
func (s *server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	// Serve may not have begun; fasthttp would not know of the listener then.
	s.stopped.Store(true)
	s.listener.Close()
	err := s.http.ShutdownWithContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// headerReceived sets the limits of a path. It closes the connection after a request
// whose end others could see elsewhere (request smuggling): a chunked one, since
// fasthttp takes one with a Content-Length beside it, one that has a body where none
// belongs, and one with a header that goes on in the next line (obs-fold, RFC 9112,
// section 5.2), which others take for two.
//
// The long time of an upload is for those who may upload: fasthttp waits for the first
// bytes of a body before it asks a handler.
func (n *Node) headerReceived(limits func(path []byte) fasthttp.RequestConfig) func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
	return func(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
		if length := h.ContentLength(); length == -1 || length > 0 && !h.IsPost() && !h.IsPut() || folded(h.RawHeaders()) {
			h.SetConnectionClose()
		}
		path, _, _ := bytes.Cut(h.RequestURI(), []byte("?"))
		of := limits(path)
		if of.ReadTimeout > bidReadTimeout && !n.mayUpload(h) {
			return bidLimits(path)
		}
		return of
	}
}

// folded says whether a line of the headers goes on in the next.
func folded(headers []byte) bool {
	for {
		end := bytes.IndexByte(headers, '\n')
		if end < 0 || end+1 == len(headers) {
			return false
		}
		if headers = headers[end+1:]; headers[0] == ' ' || headers[0] == '\t' {
			return true
		}
	}
}

// guard turns a panic of a handler into a 500 for that one request, counts the
// answer, and is the one exit of every request. What a handler leaves unread of a
// body is never served as the next request.
func (n *Node) guard(handler fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		conn := watchedOf(ctx)
		conn.inTurn()
		defer func() {
			if r := recover(); r != nil {
				n.panicked(n.logOf(ctx), r, debug.Stack()).send(ctx)
			}
			if unread(ctx) {
				linger(ctx)
			}
			if n.draining.Load() {
				ctx.SetConnectionClose() // the caller's next request goes to another node
			}
			if c := n.metrics.responses[ctx.Response.StatusCode()/100]; c != nil && !saysNotReady(ctx) {
				c.Inc()
			}
			conn.same = true
			conn.served = conn.served || ctx.Response.StatusCode() < fasthttp.StatusBadRequest
		}()
		if !conn.listener.place(conn) {
			p := newProblem(fasthttp.StatusServiceUnavailable, "all connections are taken (limits.connections); try again")
			p.retryAfter = 1
			p.send(ctx)
			ctx.SetConnectionClose()
			return
		}
		handler(ctx)
	}
}

// saysNotReady says whether an answer has the status of a failure since that is what was
// asked for. Somebody asks every second, and would make of a node that is not ready one that fails.
func saysNotReady(ctx *fasthttp.RequestCtx) bool {
	return ctx.Response.StatusCode() == fasthttp.StatusServiceUnavailable && string(ctx.Path()) == "/readyz"
}

// unread says whether a body may not have been read to its end. It does not wait:
// reading nothing from a body that has ended says so. Of a chunked one that would wait
// for the next chunk; it ends its connection anyway.
func unread(ctx *fasthttp.RequestCtx) bool {
	body, length := ctx.RequestBodyStream(), ctx.Request.Header.ContentLength()
	if body == nil || length == 0 {
		return false
	}
	if length < 0 {
		return true
	}
	_, err := body.Read(nil)
	return err == nil
}

// transportError answers what never became a request.
func (n *Node) transportError(ctx *fasthttp.RequestCtx, err error) {
	p := newProblem(fasthttp.StatusBadRequest, "the request could not be read")
	var tooLong *fasthttp.ErrSmallBuffer
	var netErr net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = newProblem(fasthttp.StatusRequestEntityTooLarge, "the body is over the limit of this path")
	case errors.As(err, &tooLong):
		p = newProblem(fasthttp.StatusRequestHeaderFieldsTooLarge, "request line and headers are over "+strconv.Itoa(headerBytes)+" bytes")
	case errors.As(err, &netErr) && netErr.Timeout():
		p = newProblem(fasthttp.StatusRequestTimeout, "the request did not come within its time")
	}
	ctx.SetConnectionClose()
	p.send(ctx)
	n.metrics.responses[4].Inc()
}

// loopbackOnly refuses an address that others can reach: without keys the node
// answers everybody.
func loopbackOnly(addr string) error {
	if strings.HasPrefix(addr, "unix:") {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: %w; write host:port or unix:/path", addr, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen address %q: without keys a node serves loopback only; use 127.0.0.1, ::1 or unix:/path, or give it keys (keys_file)", addr)
}

// removeStaleSocket removes a socket that nobody listens on any more.
func removeStaleSocket(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil // nothing there, or a file that Listen will name
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("socket %q: another process listens on it", path)
	}
	return os.Remove(path)
}

// quietLogger takes fasthttp's own messages, which are about broken connections,
// to the debug level.
type quietLogger struct{ log *slog.Logger }

func (l quietLogger) Printf(format string, args ...any) {
	l.log.Debug("http", "message", fmt.Sprintf(format, args...))
}
