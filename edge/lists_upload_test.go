package edge_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/suppress"
)

// uploading is an upload whose body has not ended.
type uploading struct {
	t      *testing.T
	body   *io.PipeWriter
	status chan int
	answer []byte
}

// beginUpload sends the head and the first rows, and waits until they were read.
func beginUpload(t *testing.T, n *node, query, rows string) *uploading {
	t.Helper()
	r, w := io.Pipe()
	u := &uploading{t: t, body: w, status: make(chan int, 1)}
	req, err := http.NewRequest("PUT", n.url+customers+query, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			u.status <- 0
			return
		}
		defer resp.Body.Close()
		u.answer, _ = io.ReadAll(resp.Body)
		u.status <- resp.StatusCode
	}()
	if _, err := io.WriteString(w, rows); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the upload is under way", func() bool { w := n.work(); return w != nil && w.What == "upload" && w.Bytes > 0 })
	return u
}

// end sends the last rows and returns the status.
func (u *uploading) end(rows string) int {
	u.t.Helper()
	if _, err := io.WriteString(u.body, rows); err != nil {
		u.t.Fatal(err)
	}
	u.body.Close()
	return <-u.status
}

// work is what is under way in the list customers.
func (n *node) work() *suppress.Work {
	n.t.Helper()
	var st suppress.Status
	n.must(200, "GET", customers, "", "", &st)
	return st.Work
}

// Of two uploads to one node the first wins whole; the other is told since when it
// goes on and how far it is, and changes nothing.
func TestListTwoOnOneNode(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(201, "PUT", customers+"?id=user.id", "text/plain", "u0\n", nil)
	before := time.Now().Add(-time.Second)
	first := beginUpload(t, n, "?id=user.id&force", "u1\nu2\n")
	for _, r := range [][2]string{{"PUT", customers + "?id=user.id&force"}, {"POST", customers + "/rollback"}, {"DELETE", customers}} {
		status, body := n.do(r[0], r[1], "text/plain", "u8\nu9\n")
		var p struct {
			Detail string
			Work   *suppress.Work
		}
		if err := json.Unmarshal(body, &p); err != nil || status != 409 || p.Work == nil || p.Work.What != "upload" || p.Work.Bytes < 6 ||
			p.Work.Since.Before(before) || p.Work.Since.After(time.Now()) || !strings.Contains(p.Detail, "try again when it has ended") {
			t.Errorf("%s %s beside an upload: %d %s", r[0], r[1], status, body)
		}
	}
	members(t, "u0", "u0 u1 u2 u3 u8 u9", n)
	n.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u5\n", nil) // changes go on meanwhile
	if status := first.end("u3\n"); status != 200 {
		t.Errorf("the first upload: %d %s", status, first.answer)
	}
	members(t, "u1 u2 u3 u5", "u0 u1 u2 u3 u5 u8 u9", n)
	if w := n.work(); w != nil {
		t.Errorf("after the upload: %+v", w)
	}
	n.must(200, "POST", customers+"/rollback", "", "", nil) // what was added during the upload stays
	members(t, "u0 u5", "u0 u1 u2 u3 u5 u8 u9", n)
}

// Of two uploads on two nodes the cluster uses the one that began later. The other
// is told where it ends after that; where it ends before, it was in use until then.
func TestListTwoOnTwoNodes(t *testing.T) {
	nodes, _, _, _ := listCluster(t, 3)
	a, b := nodes[0], nodes[1]
	a.must(201, "PUT", customers+"?id=user.id", "text/plain", "u0\n", nil)
	members(t, "u0", "u0", nodes...)

	first := beginUpload(t, a, "?id=user.id&force", "u1\n")
	a.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u5\n", nil)
	b.must(200, "PUT", customers+"?id=user.id&force", "text/plain", "u2\nu3\n", nil)
	b.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u6\n", nil)
	members(t, "u2 u3 u6", "u0 u1 u2 u3 u4 u5 u6", b, nodes[2]) // u5 was added before the upload that is used began
	if status := first.end("u4\n"); status != 409 || !strings.Contains(string(first.answer), "began later on another node") {
		t.Errorf("the one that began first and ended last: %d %s", status, first.answer)
	}
	members(t, "u2 u3 u6", "u0 u1 u2 u3 u4 u5 u6", nodes...)

	first = beginUpload(t, a, "?id=user.id&force", "u1\n")
	second := beginUpload(t, b, "?id=user.id&force", "u7\n")
	nodes[2].must(200, "POST", customers+"/add?id=user.id", "text/plain", "u8\n", nil)
	if status := first.end("u4\n"); status != 200 {
		t.Errorf("the one that began and ended first: %d %s", status, first.answer)
	}
	members(t, "u1 u4 u8", "u0 u1 u2 u3 u4 u5 u6 u7 u8", a, nodes[2])
	if status := second.end("u3\n"); status != 200 {
		t.Errorf("the one that began and ended last: %d %s", status, second.answer)
	}
	members(t, "u3 u7 u8", "u0 u1 u2 u3 u4 u5 u6 u7 u8", nodes...)
	nodes[2].must(200, "POST", customers+"/rollback", "", "", nil)
	members(t, "u1 u4 u8", "u0 u1 u2 u3 u4 u5 u6 u7 u8", nodes...)
}

// An upload whose connection ends at any place leaves the list as it was.
func TestListCutOff(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(201, "PUT", customers+"?id=user.id", "text/plain", "u0\nu1\n", nil)
	var rows strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&rows, "u%d\n", i+2)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, rows.String()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, how := range []struct {
		name, method, path, head string
		body                     []byte
		chunked                  bool
	}{
		{"put", "PUT", customers + "?id=user.id&force", "", []byte(rows.String()), false},
		{"put in chunks", "PUT", customers + "?id=user.id&force", "", []byte(rows.String()), true},
		{"put of gzip", "PUT", customers + "?id=user.id&force", "Content-Encoding: gzip\r\n", packed.Bytes(), false},
		{"put of gzip in chunks", "PUT", customers + "?id=user.id&force", "Content-Encoding: gzip\r\n", packed.Bytes(), true},
		{"add", "POST", customers + "/add?id=user.id", "", []byte(rows.String()), false},
		{"remove", "POST", customers + "/remove?id=user.id", "", []byte("u0\nu1\n"), true},
	} {
		size := len(how.body)
		for _, at := range []int{0, 1, 2, size / 3, size / 2, size - 9, size - 2, size - 1} {
			if at = max(0, at); how.chunked {
				at = min(at+3, size) // also whole, but for the chunk that says so
			}
			n.cutOff(t, how.method, how.path, how.head, how.body, at, how.chunked)
		}
		members(t, "u0 u1", "u0 u1 u2 u9000", n)
		var st suppress.Status
		n.must(200, "GET", customers, "", "", &st)
		if st.Generation != 1 || st.Keys != 2 || st.Changes != 0 {
			t.Errorf("%s: %+v", how.name, st)
		}
	}
	left, err := filepath.Glob(filepath.Join(n.dir, "suppress", "tmp", "*"))
	files, err2 := os.ReadDir(filepath.Join(n.dir, "suppress", "lists", "customers"))
	if len(left) > 0 || len(files) != 2 || err != nil || err2 != nil {
		t.Errorf("left behind: %q, %v, %v, %v", left, files, err, err2)
	}
	n.must(200, "PUT", customers+"?id=user.id", "text/plain", rows.String(), nil)
	members(t, "u2 u9000", "u0 u1 u2 u9000", n)
}

// cutOff sends an upload up to a byte, ends the connection, and waits until the
// node is done with it.
func (n *node) cutOff(t *testing.T, method, path, head string, body []byte, at int, chunked bool) {
	t.Helper()
	where, err := url.Parse(n.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", where.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	if chunked {
		length = "Transfer-Encoding: chunked\r\n"
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: node\r\nContent-Type: text/plain\r\n%s%s\r\n", method, path, head, length)
	if chunked {
		fmt.Fprintf(conn, "%x\r\n%s\r\n", len(body[:at]), body[:at])
	} else if _, err := conn.Write(body[:at]); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // it may be a refusal, or nothing
	if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") || bytes.HasPrefix(answer, []byte("HTTP/1.1 2")) {
		t.Errorf("%s %s cut off after %d of %d bytes: %s, %v", method, path, at, len(body), answer, err)
	}
	eventually(t, "the node is done with it", func() bool { return n.work() == nil })
}
