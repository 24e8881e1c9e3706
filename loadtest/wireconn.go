package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Bounds of an answer. A node's longest is 500 decisions with tokens and names.
const (
	maxHeadBytes = 16 << 10
	firstBuffer  = 8 << 10
)

// errMalformed: what came is not an HTTP/1.1 answer, or over the bounds.
var errMalformed = errors.New("not an HTTP answer")

// errClosed: the connection ended before the answer had begun or was whole.
var errClosed = errors.New("the connection was closed")

// wireConn is one connection on which one request is under way at a time. It reads
// as little of HTTP/1.1 as a load generator needs, and takes nothing for an answer
// that net/http would not. Not for concurrent use.
type wireConn struct {
	conn net.Conn
	buf  []byte // what has come; from 0, one answer
	n    int    // bytes in it
	body []byte // of a chunked answer
}

// wireAnswer is one answer. Its body is valid until the next request.
type wireAnswer struct {
	status int
	bytes  int // all in
	body   []byte
	close  bool // the connection is of no more use
}

func newWireConn(c net.Conn) *wireConn {
	return &wireConn{conn: c, buf: make([]byte, firstBuffer)}
}

// send writes a whole request. The deadline is for it and its answer.
func (c *wireConn) send(request []byte, timeout time.Duration) error {
	c.n = 0
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(request)
	return err
}

// receive reads the answer to the request sent last.
func (c *wireConn) receive() (a wireAnswer, err error) {
	c.n = 0
	for {
		head, err := c.readHead()
		if err != nil {
			return a, err
		}
		h, err := parseHead(c.buf[:head])
		switch {
		case err != nil:
			return a, err
		case h.status == 101:
			return a, fmt.Errorf("%w: it switches protocols", errMalformed)
		case h.status < 200: // the answer is still to come
			c.n = copy(c.buf, c.buf[head:c.n])
			continue
		}
		return c.readBody(head, &h)
	}
}

// readHead reads up to the empty line and returns the position after it.
func (c *wireConn) readHead() (int, error) {
	looked := 0
	for {
		if i := bytes.Index(c.buf[looked:c.n], []byte("\r\n\r\n")); i >= 0 && looked+i+4 <= maxHeadBytes {
			return looked + i + 4, nil
		}
		if looked = max(0, c.n-3); c.n >= maxHeadBytes {
			return 0, fmt.Errorf("%w: its head is over %d bytes", errMalformed, maxHeadBytes)
		}
		if err := c.fill(c.n + 1); err != nil {
			return 0, err
		}
	}
}

// fill reads until at least n bytes have come.
func (c *wireConn) fill(n int) error {
	if n > len(c.buf) {
		c.buf = append(c.buf, make([]byte, max(n, 2*len(c.buf))-len(c.buf))...)
	}
	for c.n < n {
		k, err := c.conn.Read(c.buf[c.n:])
		c.n += k
		if c.n >= n {
			return nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the latter without TLS saying so
				return errClosed
			}
			return err
		}
	}
	return nil
}

// readBody reads the body behind the head, which ends at head.
func (c *wireConn) readBody(head int, h *wireHead) (wireAnswer, error) {
	a := wireAnswer{status: h.status, close: h.close}
	switch {
	case h.status == 204 || h.status == 304:
		a.body = c.buf[head:head]
	case h.chunked:
		end, err := c.readChunks(head)
		if err != nil {
			return a, err
		}
		a.body, head = c.body, end
	case h.length < 0:
		return a, fmt.Errorf("%w: it does not say how long it is", errMalformed)
	case h.length > maxAnswerBytes:
		return a, fmt.Errorf("%w: its body has %d bytes, over %d", errMalformed, h.length, maxAnswerBytes)
	default:
		if err := c.fill(head + h.length); err != nil {
			return a, err
		}
		a.body = c.buf[head : head+h.length]
		head += h.length
	}
	if c.n > head {
		return a, fmt.Errorf("%w: more came than the answer", errMalformed)
	}
	a.bytes = head
	return a, nil
}

// readChunks reads a chunked body into c.body and returns where it ends.
func (c *wireConn) readChunks(at int) (end int, err error) {
	c.body = c.body[:0]
	for {
		line, after, err := c.readLine(at)
		if err != nil {
			return 0, err
		}
		size, ok := parseChunkSize(line)
		if !ok {
			return 0, fmt.Errorf("%w: chunk size %.20q", errMalformed, line)
		}
		at = after
		if size == 0 {
			break
		}
		if len(c.body)+size > maxAnswerBytes || at+size > 2*maxAnswerBytes {
			return 0, fmt.Errorf("%w: its body is over %d bytes", errMalformed, maxAnswerBytes)
		}
		if err := c.fill(at + size + 2); err != nil {
			return 0, err
		}
		if c.buf[at+size] != '\r' || c.buf[at+size+1] != '\n' {
			return 0, fmt.Errorf("%w: a chunk does not end where it said", errMalformed)
		}
		c.body = append(c.body, c.buf[at:at+size]...)
		at += size + 2
	}
	line, after, err := c.readLine(at)
	if err == nil && len(line) > 0 {
		err = fmt.Errorf("%w: it has trailers", errMalformed)
	}
	return after, err
}

// readLine returns the line at at, without its end, and the position after it.
func (c *wireConn) readLine(at int) (line []byte, after int, err error) {
	for {
		if i := bytes.Index(c.buf[at:c.n], crlf); i >= 0 {
			return c.buf[at : at+i], at + i + 2, nil
		}
		if c.n-at > 100 {
			return nil, 0, fmt.Errorf("%w: a chunk's size line is over 100 bytes", errMalformed)
		}
		if err := c.fill(c.n + 1); err != nil {
			return nil, 0, err
		}
	}
}
