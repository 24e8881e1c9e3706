package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
)

// Every connection has the time limits of a request, without a timer for each: what
// it is waiting for, and since when, is one word of memory that it writes as it
// goes, and a patrol looks at all of them four times a second. A limit is so late by
// at most a quarter of a second. fasthttp's own limits set a timer of the runtime
// four times a request, which is a tenth of what answering one costs.
const patrolEvery = 250 * time.Millisecond

// What a connection does: the low bits of its state. The rest is the tick since
// which.
const (
	connBusy    = iota // nothing that is limited: the node works, or a deadline was set
	connIdle           // waits for the first byte of a request; ended, it is closed without an answer
	connReads          // waits for the rest of a request
	connWrites         // waits for the caller to take the answer
	connExpired        // the patrol ended it
	connNew            // waits for the first byte of a request, and was never served
	connShakes         // has not ended the handshake of TLS
	connBits    = 3
)

// patrolled are the connections of one listener.
type patrolled struct {
	net.Listener
	failed *vm.Counter   // connections that could not be taken
	shook  *vm.Counter   // TLS handshakes that failed
	tick   atomic.Uint64 // patrols so far
	turns  atomic.Uint64 // how often somebody waited who sends before answers come
	places

	mu          sync.Mutex
	connections map[*watchedConn]struct{}
}

// patrol watches the connections of a listener, of which most have a place at once; turned
// counts those that had none.
func patrol(l net.Listener, most int, failed, shook, turned *vm.Counter) *patrolled {
	return &patrolled{Listener: l, failed: failed, shook: shook, places: places{most: most, turned: turned}, connections: make(map[*watchedConn]struct{})}
}

// passing are the failures to take a connection that say nothing of the listener: no
// file or memory for one more, or a caller that is gone already (accept(2)). fasthttp
// would stop listening, and the node end, when callers hold as many connections as the
// process may have files.
var passing = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO, syscall.EPERM}

// acceptAgain is how long after such a failure the next connection is taken. Chosen.
const acceptAgain = 50 * time.Millisecond

// Accept returns the next connection, watched. Those for which there is no room even to be
// told so are closed.
func (l *patrolled) Accept() (net.Conn, error) {
	for {
		c, err := l.accept()
		if err != nil {
			return nil, err
		}
		w := &watchedConn{Conn: c, listener: l, fresh: true}
		w.secure, _ = c.(*tls.Conn)
		if l.admit(w) {
			return w, nil
		}
		l.turnAway(w)
	}
}

func (l *patrolled) accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	for slices.ContainsFunc(passing, func(e syscall.Errno) bool { return errors.Is(err, e) }) {
		l.failed.Inc()
		time.Sleep(acceptAgain) // a listener that is closed meanwhile says so then
		c, err = l.Listener.Accept()
	}
	return c, err
}

// run patrols until stop is closed.
func (l *patrolled) run(stop <-chan struct{}) {
	ticker := time.NewTicker(patrolEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			l.pass()
		}
	}
}

// pass ends every wait that is over its limit.
func (l *patrolled) pass() {
	now := l.tick.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	limits := &limitOf
	if l.full() {
		limits = &limitFull
	}
	for c := range l.connections {
		c.expire(now, limits)
	}
}

// watchedConn is a connection with the time limits of requests. Whoever sets a
// deadline on it for reading has that one instead, until the answer is written. It
// also remembers that reading from it ended or failed: fasthttp takes a chunked body
// whose connection ends where the next chunk is due for a whole one; a whole one
// never reads to the end of the connection.
//
// One goroutine reads and writes; the patrol looks at state.
type watchedConn struct {
	net.Conn
	listener *patrolled
	state    atomic.Uint64 // what it does, and since when

	secure *tls.Conn // until its handshake is done; nil without TLS

	began    uint64 // tick of the first byte of this request
	fresh    bool   // no byte of the next request has come
	served   bool   // a request of its was not refused
	placed   bool   // it has a place; under the lock of the listener
	deadline bool   // one was set for reading
	ended    bool
	same     bool // nothing was read since the last request
	ahead    int  // requests that came before the answer to the one before them
}

// connLimits is how many patrols a connection may do something.
type connLimits [1 << connBits]uint64

var limitOf = connLimits{
	connIdle:   uint64(idleTimeout / patrolEvery),
	connReads:  uint64(bidReadTimeout / patrolEvery),
	connWrites: uint64(bidWriteTimeout / patrolEvery),
	connNew:    uint64(idleTimeout / patrolEvery),
	connShakes: uint64(bidReadTimeout / patrolEvery),
}

// expire ends what the connection does if that is over its limit.
func (c *watchedConn) expire(now uint64, limits *connLimits) {
	state := c.state.Load()
	what, since := state&(1<<connBits-1), state>>connBits
	if what == connBusy || what == connExpired || now-since <= limits[what] {
		return
	}
	if !c.state.CompareAndSwap(state, connExpired) {
		return // it went on at this moment
	}
	past := time.Unix(1, 0)
	if what == connWrites {
		_ = c.Conn.SetWriteDeadline(past)
	} else {
		_ = c.Conn.SetReadDeadline(past)
	}
}

// Read reads from the connection.
func (c *watchedConn) Read(b []byte) (n int, err error) {
	if c.secure != nil && !c.handshake() {
		c.ended = true
		return 0, io.EOF // nobody has asked anything
	}
	switch {
	case c.deadline:
		n, err = c.Conn.Read(b)
	case c.fresh:
		state := c.listener.tick.Load()<<connBits | connIdle
		if !c.served {
			state = state - connIdle + connNew
		}
		c.state.Store(state)
		n, err = c.Conn.Read(b)
		if err = c.done(state, err); errors.Is(err, os.ErrDeadlineExceeded) {
			err = io.EOF // nobody has asked anything: no answer
		}
		c.fresh, c.began = n == 0, c.listener.tick.Load()
	default:
		state := c.began<<connBits | connReads
		c.state.Store(state)
		n, err = c.Conn.Read(b)
		err = c.done(state, err)
	}
	if err != nil {
		c.ended = true
	}
	c.same = false
	return n, err
}

// handshake has the time of a request. Who speaks plain HTTP is told so in it.
func (c *watchedConn) handshake() bool {
	state := c.listener.tick.Load()<<connBits | connShakes
	c.state.Store(state)
	err := c.done(state, c.secure.Handshake())
	c.secure = nil
	if err == nil {
		return true
	}
	c.listener.shook.Inc()
	if plain := new(tls.RecordHeaderError); errors.As(err, plain) && plain.Conn != nil {
		_ = plain.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = plain.Conn.Write([]byte(plainHTTP))
	}
	return false
}

// plainHTTP is the answer to what is not TLS.
const plainHTTP = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n" +
	`{"type":"about:blank","title":"Bad Request","status":400,"detail":"this listener speaks TLS: use https://"}` + "\n"

// goOn begins 100 Continue, which asks for the body of a request and answers nothing.
var goOn = []byte("HTTP/1.1 100 ")

// Write writes to the connection. Before the handshake of TLS there is nobody to write to:
// fasthttp does so only as it takes a connection for which it has no worker, and would wait.
func (c *watchedConn) Write(b []byte) (int, error) {
	if c.secure != nil {
		return 0, net.ErrClosed
	}
	state := c.listener.tick.Load()<<connBits | connWrites
	c.state.Store(state)
	n, err := c.Conn.Write(b)
	err = c.done(state, err)
	if bytes.HasPrefix(b, goOn) {
		return n, err // the request goes on, and so does its time
	}
	c.fresh = true
	if c.deadline && err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	return n, err
}

// done ends a wait; the patrol may have ended it before.
func (c *watchedConn) done(state uint64, err error) error {
	if !c.state.CompareAndSwap(state, connBusy) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// SetReadDeadline sets a deadline in the place of the limits; the zero time gives
// the limits back.
func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.deadline = !t.IsZero()
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection, and then gives its place back: over TLS it may wait for seconds
// for a caller who takes nothing, and is one of the connections that there is room for.
func (c *watchedConn) Close() error {
	defer c.listener.leave(c)
	return c.Conn.Close()
}

// cutShort says whether the connection ended before the body of a request did. Whatever
// else wraps a connection goes beneath the patrol: over it, the end of a list that was
// cut off would be taken for its end.
func cutShort(ctx *fasthttp.RequestCtx) bool { return watchedOf(ctx).ended }

// watchedOf is the connection of a request.
func watchedOf(ctx *fasthttp.RequestCtx) *watchedConn {
	c, ok := ctx.Conn().(*watchedConn)
	if !ok {
		panic("BUG: a request on a connection that is not watched")
	}
	return c
}
