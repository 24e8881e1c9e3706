package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"restraint/edge"
)

// raw sends bytes on a connection of their own and returns what comes back until the
// node closes it, or nothing more comes.
func (n *node) raw(t *testing.T, text string, halfClose bool) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if halfClose {
		c.(*net.TCPConn).CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	answer, _ := io.ReadAll(c) // a time-out ends it too
	return string(answer)
}

// A body that a path does not read is never served as the next request.
func TestUnreadBodyIsNoRequest(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(201, "PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-1\n", nil)
	hidden := strings.Repeat("\r\n", 10000) + "DELETE /v1/lists/customers HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, head := range []string{
		"GET /v1/decide?user=a&campaign=shoes", "GET /healthz", "GET /nowhere", "POST /nowhere", "GET /v1/lists",
		"GET /v1/impression?t=x&campaign=c", "POST /v1/policy/rollback", "POST /v1/lists/customers/rollback", "DELETE /v1/decide",
	} {
		answer := n.raw(t, fmt.Sprintf("%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", head, len(hidden), hidden), true)
		if count := strings.Count(answer, "HTTP/1.1 "); count != 1 {
			t.Errorf("%s: %d answers\n%.300s", head, count, answer)
		}
	}
	n.must(200, "GET", "/v1/lists/customers", "", "", nil)
	if d := n.decide(`{"user":{"id":"u-1"},"candidates":[{"campaign":"welcome"}]}`); d.Decisions[0].Reason != "suppressed" {
		t.Errorf("the list is gone: %+v", d.Decisions)
	}
	// Both a length and chunks: whatever it is taken for, nothing follows.
	answer := n.raw(t, "POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true)
	if strings.Count(answer, "HTTP/1.1 ") > 1 {
		t.Errorf("length and chunks: %s", answer)
	}
}

// A chunked body whose sender dies between two chunks is not taken for whole.
func TestCutOffChunks(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(201, "PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-1\nu-2\n", nil)
	chunked := func(method, path, contentType, body string) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", method, path, contentType, len(body), body)
	}
	for _, request := range []string{
		chunked("PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-2\n"),
		chunked("POST", "/v1/lists/customers/remove?id=user.id", "text/plain", "u-1\n"),
		chunked("PUT", "/v1/policy", "application/yaml", "campaigns: {}\n"),
		chunked("POST", "/v1/events", "application/json", `{"type":"hide","user":{"id":"u-1"},"campaign":"shoes"}`),
		chunked("POST", "/v1/decide", "application/json", `{"candidates":[{"campaign":"shoes"}]}`),
	} {
		if answer := n.raw(t, request, true); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("%.60s: %.200s", request, answer)
		}
		if answer := n.raw(t, request+"5\r\nab", true); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("%.60s, cut in a chunk: %.200s", request, answer)
		}
	}
	d := n.decide(`{"user":{"id":"u-1"},"candidates":[{"campaign":"welcome"},{"campaign":"shoes"}]}`)
	if d.Policy != 1 || d.Decisions[0].Reason != "suppressed" || !d.Decisions[1].Show {
		t.Errorf("something of a cut-off body was applied: policy %d, %+v", d.Policy, d.Decisions)
	}
	// With its end it is taken.
	answer := n.raw(t, strings.Replace(chunked("PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\nu-2\n"), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)+"0\r\n\r\n", true)
	if !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Errorf("a whole chunked body: %s", answer)
	}
}

// Over the limit of connections a caller is told so, with when to try again; the
// others go on.
func TestTooManyConnections(t *testing.T) {
	n := startNode(t, "", testPolicy, func(o *edge.Options) { o.Connections = 3 })
	var open []net.Conn
	ask := func() (*http.Response, net.Conn) {
		c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		fmt.Fprint(c, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return resp, c
	}
	for i := range 5 {
		want := 200
		if i >= 3 {
			want = 503
		}
		resp, c := ask()
		if resp.StatusCode != want || want == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("connection %d: %d %v, want %d", i+1, resp.StatusCode, resp.Header, want)
		}
		if want == 503 {
			// The node closes it; until it has, the next one may meet it.
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("connection %d is left open: %v", i+1, err)
			}
		}
	}
	for _, c := range open {
		c.Close()
	}
}

// Connections are kept for the next request, with and without a body.
func TestConnectionsAreKept(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	decide := candidates(1)
	answer := n.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"+
		fmt.Sprintf("POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(decide), decide)+
		"GET /v1/decide?user=u&campaign=shoes HTTP/1.1\r\nHost: x\r\n\r\n"+
		"DELETE /v1/lists/nobodys HTTP/1.1\r\nHost: x\r\n\r\n"+
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true)
	if count := strings.Count(answer, "HTTP/1.1 "); count != 5 {
		t.Errorf("%d answers on one connection, want 5:\n%s", count, answer)
	}
}
