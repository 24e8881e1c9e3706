package loadtest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// canned is a connection on which bytes come, so many at a time, and then its end.
type canned struct {
	net.Conn
	text []byte
	each int
	end  error
}

func (c *canned) Read(b []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, c.end
	}
	n := copy(b[:min(len(b), c.each)], c.text)
	c.text = c.text[n:]
	return n, nil
}

func receive(text string, each int) (wireAnswer, error) {
	return newWireConn(&canned{text: []byte(text), each: each, end: io.EOF}).receive()
}

func TestReceive(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		text   string
		status int
		body   string
		close  bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false},
		{"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", 200, "hello", false},
		{"HTTP/1.1 204 No Content\r\n\r\n", 204, "", false},
		{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", 503, "", true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", true},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", 202, "{}", false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n", 200, "hello, world!!!", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, 200, long, false},
		{"HTTP/1.1 200 OK\r\nX-Long: " + long[:10_000] + "\r\nContent-Length: 0\r\n\r\n", 200, "", false},
	} {
		for _, each := range []int{1, 7, 1 << 20} {
			a, err := receive(c.text, each)
			if err != nil || a.status != c.status || string(a.body) != c.body || a.close != c.close {
				t.Errorf("%.60q in pieces of %d: %d, %d bytes, close %t, %v", c.text, each, a.status, len(a.body), a.close, err)
			}
		}
	}
}

func TestReceiveRefuses(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	for text, want := range map[string]error{
		"":                                  errClosed,
		"HTTP/1.1 200 OK\r\nContent-Len":    errClosed,
		ok + "Content-Length: 5\r\n\r\nhel": errClosed,
		ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel":         errClosed,
		"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n":              errMalformed,
		"HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n":            errMalformed,
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n":             errMalformed,
		"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n":            errMalformed,
		"HTTP/1.1 101 Switch\r\n\r\n":                             errMalformed,
		ok + "\r\nuntil the end":                                  errMalformed,
		ok + "Content-Length: -1\r\n\r\n":                         errMalformed,
		ok + "Content-Length: 1e3\r\n\r\n":                        errMalformed,
		ok + "Content-Length: 9999999\r\n\r\n":                    errMalformed,
		ok + "Content-Length: 99999999999999999999\r\n\r\n":       errMalformed,
		ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy":   errMalformed,
		ok + "Content-Length: 1\r\n\r\nxy":                        errMalformed,
		ok + "no colon\r\n\r\n":                                   errMalformed,
		ok + "Transfer-Encoding: gzip\r\n\r\n":                    errMalformed,
		ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n":            errMalformed,
		ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nxxx\r\n":     errMalformed,
		ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n":    errMalformed,
		ok + "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n":     errMalformed,
		ok + "X: " + strings.Repeat("x", maxHeadBytes) + "\r\n\r": errMalformed,
		"SSH-2.0-OpenSSH_9.2\r\n\r\n":                             errMalformed,
	} {
		if a, err := receive(text, 1<<20); !errors.Is(err, want) {
			t.Errorf("%.60q: %+v, %v, want %v", text, a, err, want)
		}
	}
}

func TestReceiveTimesOut(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	go io.Copy(io.Discard, there)
	c := newWireConn(here)
	err := c.send([]byte("GET / HTTP/1.1\r\n\r\n"), time.Millisecond)
	if err == nil { // on a busy machine the time is over before it is sent
		_, err = c.receive()
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestReceiveDoesNotAllocate(t *testing.T) {
	text := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n" + strings.Repeat("x", 500))
	lent := &canned{each: 1 << 20, end: io.EOF}
	c := newWireConn(lent)
	if n := testing.AllocsPerRun(100, func() {
		lent.text = text
		if _, err := c.receive(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes: no panic, no endless growth, and what is taken for an answer is the
// same answer to net/http.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.0 404 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, each uint8) {
		c := newWireConn(&canned{text: bytes.Clone(text), each: 1 + int(each), end: io.EOF})
		a, err := c.receive()
		if len(c.buf) > 4*maxAnswerBytes {
			t.Fatalf("a buffer of %d bytes", len(c.buf))
		}
		if err != nil {
			return
		}
		read := bufio.NewReader(bytes.NewReader(text))
		var r *http.Response
		for r == nil || r.StatusCode < 200 {
			if r, err = http.ReadResponse(read, nil); err != nil {
				t.Fatalf("taken for status %d, but net/http says: %v", a.status, err)
			}
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != a.status || !bytes.Equal(body, a.body) {
			t.Fatalf("status %d and %q, but to net/http %d and %q, %v", a.status, a.body, r.StatusCode, body, err)
		}
	})
}
