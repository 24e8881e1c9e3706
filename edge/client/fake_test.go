package client_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// fake is a node that answers as it is told.
type fake struct {
	net.Listener
	addr     string
	requests chan string // the body of each request that came
	running  sync.WaitGroup
	stopped  chan struct{}

	mu    sync.Mutex
	conns []net.Conn
}

// startFake starts a node that reads each request and then has answer write to its
// connection; false closes that.
func startFake(t testing.TB, answer func(f *fake, c net.Conn, body string) bool) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Listener: l, addr: l.Addr().String(), requests: make(chan string, 10_000), stopped: make(chan struct{})}
	f.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.running.Go(func() { f.serve(c, answer) })
		}
	})
	t.Cleanup(func() {
		close(f.stopped)
		l.Close()
		f.hangUp()
		f.running.Wait()
	})
	return f
}

func (f *fake) serve(c net.Conn, answer func(*fake, net.Conn, string) bool) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		f.requests <- string(body)
		if !answer(f, c, string(body)) {
			return
		}
	}
}

// hangUp closes all connections.
func (f *fake) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

// asked is how many requests came since the last call.
func (f *fake) asked() int {
	n := 0
	for {
		select {
		case <-f.requests:
			n++
		default:
			return n
		}
	}
}

// says answers every request alike, on a connection that stays.
func says(status int, header, body string) func(*fake, net.Conn, string) bool {
	text := fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
	return writes(text, true)
}

// writes answers every request with that text, as it is.
func writes(text string, stays bool) func(*fake, net.Conn, string) bool {
	return func(_ *fake, c net.Conn, _ string) bool {
		_, err := io.WriteString(c, text)
		return err == nil && stays
	}
}

// hangs answers nothing until the end.
func hangs(f *fake, _ net.Conn, _ string) bool {
	<-f.stopped
	return false
}

// shows is the answer to requests for the campaigns a and b, of which b is shown.
const shows = `{"policy":3,"decisions":[{"campaign":"a","show":false,"reason":"cap","retry_after":60},{"campaign":"b","show":true}]}` + "\n"

// refusing is an address where nobody listens.
func refusing(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// problem is an RFC 9457 body.
func problem(detail string) string {
	return strings.ReplaceAll(`{"type":"about:blank","title":"x","status":0,"detail":"DETAIL","errors":[{"field":"f","detail":"d"}]}`, "DETAIL", detail)
}

// exampleNode is a node for the example: it skips the first candidate, shows the second,
// and takes every event. It lives as long as the process.
func exampleNode() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/decide", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"policy":12,"token":"t","decisions":[{"campaign":"brand-x","show":false,"reason":"skip"},{"campaign":"spring-shoes","show":true}]}`)
	})
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"accepted":1,"rejected":[]}`)
	})
	go func() { _ = http.Serve(l, mux) }()
	return l.Addr().String()
}
