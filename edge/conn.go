package edge

import (
	"net"

	"github.com/valyala/fasthttp"
)

// watchedListener gives connections that remember how they ended.
type watchedListener struct{ net.Listener }

// Accept returns the next connection, watched.
func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: c}, nil
}

// watchedConn remembers that reading from it ended or failed. fasthttp takes a
// chunked body whose connection ends where the next chunk is due for a whole one; a
// whole one never reads to the end of the connection.
type watchedConn struct {
	net.Conn
	ended bool // set by the goroutine that reads
}

// Read reads from the connection.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.ended = true
	}
	return n, err
}

// cutShort says whether the connection ended before the body of a request did.
func cutShort(ctx *fasthttp.RequestCtx) bool {
	c, ok := ctx.Conn().(*watchedConn)
	return ok && c.ended
}
