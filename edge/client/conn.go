package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// idleTime is after how long an unused connection is not used again: nodes close theirs
// after two minutes. readBytes bounds the head of an answer. Chosen.
const (
	idleTime  = time.Minute
	readBytes = 4 << 10
)

// conn is a connection to a node, used by one call at a time.
type conn struct {
	net.Conn
	reader *bufio.Reader
	raw    syscall.RawConn
	peek   func(fd uintptr) bool // made once, so that looking allocates nothing
	quiet  bool                  // what peek found
	used   bool                  // an answer has come on it
	last   time.Time             // when that was
}

// dial connects within the time to deadline, over TLS where there is a configuration.
func dial(ctx context.Context, addr string, config *tls.Config, deadline time.Time) (*conn, error) {
	network := "tcp"
	if path, unix := strings.CutPrefix(addr, "unix:"); unix {
		network, addr = "unix", path
	}
	dialer := net.Dialer{Deadline: deadline, KeepAlive: time.Minute}
	c, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	made := &conn{Conn: c}
	if config != nil {
		if made.Conn, err = handshake(ctx, c, config, deadline); err != nil {
			c.Close()
			return nil, err
		}
	}
	made.reader = bufio.NewReaderSize(made.Conn, readBytes)
	if s, ok := c.(syscall.Conn); ok {
		if made.raw, err = s.SyscallConn(); err != nil {
			c.Close()
			return nil, err
		}
	}
	made.peek = func(fd uintptr) bool {
		made.quiet = quiet(fd)
		return true
	}
	return made, nil
}

// alive says whether an idle connection can take a request: it has not been closed, and
// nothing has come on it that nobody asked for, which would be taken for the answer. Under
// TLS nodes send nothing between answers but that they close.
func (c *conn) alive() bool {
	if c.reader.Buffered() > 0 {
		return false
	}
	if c.raw == nil {
		return true
	}
	c.quiet = false
	return c.raw.Read(c.peek) == nil && c.quiet
}

// Close closes the connection at once. TLS would tell the node first, and wait up to five
// seconds for one that takes nothing.
func (c *conn) Close() error {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		return secure.NetConn().Close()
	}
	return c.Conn.Close()
}

// errTrailing is for bytes after an answer.
var errTrailing = errors.New("more bytes than the answer has")

// outcome is how far an exchange came.
type outcome struct {
	sent     bool // bytes of the request may have reached the node
	answered bool // bytes of an answer have come
}

// exchange sends a request and reads its answer, at most maxBody bytes of it, within the
// deadline that was set.
func (c *conn) exchange(request []byte, response *fasthttp.Response, maxBody int) (outcome, error) {
	if n, err := c.Write(request); err != nil {
		return outcome{sent: n > 0}, err
	}
	if _, err := c.reader.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = errCut
		}
		return outcome{sent: true}, err
	}
	err := response.ReadLimitBody(c.reader, maxBody)
	if err == nil && c.reader.Buffered() > 0 {
		err = errTrailing
	}
	return outcome{sent: true, answered: true}, err
}

// errCut is for a connection that the node closed in the place of an answer.
var errCut = errors.New("the node closed the connection before it answered")

// isCut says whether a connection ended within an answer.
func isCut(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &op)
}
