package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// readOnly is a connection from which something is read.
type readOnly struct {
	net.Conn
	io.Reader
}

func (r readOnly) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// readers are the same bytes as they may come: at once, and byte by byte.
func readers(text string) map[string]*wire {
	return map[string]*wire{
		"whole": {conn: readOnly{Reader: strings.NewReader(text)}, buffer: make([]byte, 8)},
		"bytes": {conn: readOnly{Reader: iotest.OneByteReader(strings.NewReader(text))}, buffer: make([]byte, 8)},
	}
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	for _, c := range []struct {
		read    answerReader
		answers []string
		bodies  []int
	}{
		{readHTTP, []string{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 202 Accepted\r\nA: b\r\nContent-Length: 0\r\nC: d\r\n\r\n"}, []int{3, 0}},
		{readRESP, []string{"*3\r\n$1\r\n5\r\n$-1\r\n$12\r\nab\r\n*9\r\n$3\r\n\r\n", ":20\r\n", "+OK\r\n", "*0\r\n", "*2\r\n*1\r\n:1\r\n:2\r\n"}, nil},
	} {
		for how, w := range readers(strings.Join(c.answers, "")) {
			for i, answer := range c.answers {
				n, err := c.read(w)
				if err != nil {
					t.Fatalf("%s: %q: %v", how, answer, err)
				}
				want := len(answer)
				if c.bodies != nil {
					want = c.bodies[i]
				}
				if n != want {
					t.Errorf("%s: %q is read as %d bytes, not %d", how, answer, n, want)
				}
			}
			if _, err := c.read(w); !errors.Is(err, io.EOF) {
				t.Errorf("%s: after the last: %v", how, err)
			}
		}
	}
}

func TestWrongAnswersAreRefused(t *testing.T) {
	for answer, read := range map[string]answerReader{
		"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx":       readHTTP,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n":       readHTTP,
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":         readHTTP,
		"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n": readHTTP,
		"-ERR no such command\r\n":                              readRESP,
		"*2\r\n:1\r\n-ERR x\r\n":                                readRESP,
		"$x\r\n":                                                readRESP,
		"\r\n":                                                  readRESP,
		"$99999999999\r\n":                                      readRESP,
	} {
		for how, w := range readers(answer) {
			if n, err := read(w); !errors.Is(err, errAnswer) {
				t.Errorf("%s: %q is read as %d bytes: %v", how, answer, n, err)
			}
		}
	}
	for cut, read := range map[string]answerReader{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab": readHTTP, "*2\r\n:1\r\n$3\r\nab": readRESP} {
		for how, w := range readers(cut) {
			if _, err := read(w); !errors.Is(err, io.EOF) {
				t.Errorf("%s: %q, which ends early: %v", how, cut, err)
			}
		}
	}
}

// served is an HTTP server in this process.
func served(t *testing.T, handler http.HandlerFunc) *target {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return &target{addr: s.Listener.Addr().String(), read: readHTTP, pid: os.Getpid()}
}

func TestLoop(t *testing.T) {
	asked := make(chan string, 100_000)
	s := served(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- string(body)
		io.WriteString(w, "12345")
	})
	for i := range 8 {
		s.requests = append(s.requests, postRequest("/", "text/plain", []byte{'0' + byte(i)}))
	}
	l, err := openLoop(t.Context(), s, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	total, seen := int64(0), map[string]bool{}
	for range 2 {
		got, err := l.run(t.Context(), 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if got.BodyBytes != 5 || got.PerSecond <= 0 || got.P50US <= 0 || got.P99US < got.P50US || got.P999US < got.P99US || got.CPUUS <= 0 {
			t.Errorf("%+v", got)
		}
		total += got.Requests
	}
	for range total {
		seen[<-asked] = true
	}
	if len(asked) != 0 || len(seen) != 8 {
		t.Errorf("%d requests more came than are counted; %d of 8 kinds", len(asked), len(seen))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := l.run(ctx, time.Hour); !errors.Is(err, stop) {
		t.Errorf("a run that was stopped: %v", err)
	}
}

func TestLoopFails(t *testing.T) {
	s := served(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	s.requests = [][]byte{postRequest("/", "text/plain", nil)}
	l, err := openLoop(t.Context(), s, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := l.run(t.Context(), time.Hour); !errors.Is(err, errAnswer) || !strings.Contains(err.Error(), "429") {
		t.Errorf("%v", err)
	}
	if _, err := openLoop(t.Context(), &target{addr: "127.0.0.1:1"}, 1); err == nil {
		t.Error("nobody listens there")
	}
}

// judged answers every candidate with the same verdict.
func judged(t *testing.T, verdict string) *node {
	t.Helper()
	s := served(t, func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Candidates []struct{ Campaign string } }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		decisions := strings.Repeat(`{"campaign":"c",`+verdict+`},`, len(asked.Candidates))
		fmt.Fprintf(w, `{"decisions":[%s]}`, strings.TrimSuffix(decisions, ","))
	})
	return &node{bid: s.addr}
}

// What is not the work that is claimed is not measured.
func TestFewCapsAreRefused(t *testing.T) {
	b := &bench{sizes: quickSizes()}
	s := shape{Name: "s", Candidates: 3}
	if _, err := b.askAll(t.Context(), judged(t, `"show":true`), s); !errors.Is(err, errAnswer) || !strings.Contains(err.Error(), "only 0.0 %") {
		t.Errorf("shows alone: %v", err)
	}
	if _, err := b.askAll(t.Context(), judged(t, `"nothing":true`), s); !errors.Is(err, errAnswer) || !strings.Contains(err.Error(), "0 verdicts") {
		t.Errorf("no verdicts: %v", err)
	}
	a, err := b.askAll(t.Context(), judged(t, `"show":false,"reason":"cap"`), s)
	if err != nil || a.capped != 1 || len(a.lengths) != b.sizes.Requests || a.lengths[0] != len(`{"decisions":[]}`)+3*len(`{"campaign":"c","show":false,"reason":"cap"}`)+2 {
		t.Errorf("%+v, %v", a.capped, err)
	}
}

// The bare handler answers with as many bytes as it is told.
func TestBareHandler(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: t.TempDir(), self: self}
	bare, err := b.startBare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer bare.stop(bareGrace)
	l, err := openLoop(t.Context(), &target{addr: bare.addr}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, n := range []int{0, 1, 1000, 60_000} {
		request := bytes.Replace(postRequest(nodePath, "application/json", []byte("{}")), []byte(nodePath), []byte(barePath(n)), 1)
		answer, err := l.wires[0].ask(request, readHTTP)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		if len(body) != n || !strings.Contains(head, "Content-Type: application/json") || strings.Contains(head, "Date") {
			t.Errorf("%d bytes, want %d, after %q", len(body), n, head)
		}
	}
	if len(barePath(0)) != len(nodePath) {
		t.Error("the paths are not of the same length")
	}
	if _, err := l.wires[0].ask(postRequest(barePath(3), "application/json", nil), readHTTP); !errors.Is(err, errAnswer) {
		t.Errorf("a request without a body: %v", err)
	}
}

func TestProcessThatFails(t *testing.T) {
	p, err := start("shell", t.TempDir(), "sh", "-c", "echo first; echo second >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.says(t.Context(), "ready"); err == nil || !strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "second") {
		t.Errorf("%v", err)
	}
	p.stop(time.Second)
	if _, err := start("nothing", t.TempDir(), "/does/not/exist"); err == nil {
		t.Error("a program that is not there was started")
	}
	// One that does not heed SIGTERM is killed.
	deaf, err := start("shell", t.TempDir(), "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deaf.says(t.Context(), "ready"); err != nil {
		t.Fatal(err)
	}
	deaf.stop(time.Millisecond)
	if _, err := processTime(deaf.cmd.Process.Pid); err == nil {
		t.Error("it is still there")
	}
}
