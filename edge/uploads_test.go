package edge_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestUploadLimits: each limit has its status and says which it is, and the list
// stays as it was.
func TestUploadLimits(t *testing.T) {
	n := startNode(t, "", testPolicy, func(o *edge.Options) { o.MaxUpload = 1 << 20 })
	n.must(201, "PUT", "/v1/lists/customers?id=user.id", "text/plain", "u1\nu2\n", nil)
	row := strings.Repeat("x", 60_000) + "\n"
	for _, c := range []struct {
		name, encoding string
		body           string
		declared       int64
		status         int
		says           string
	}{
		{"declared too long", "", strings.Repeat("u1\n", 1<<19), 3 << 19, 413, "limits.upload allows 1048576"},
		{"chunked too long", "", strings.Repeat("u1\n", 1<<19), -1, 413, "1048576 bytes as received"},
		{"bomb", "gzip", zipped(t, strings.Repeat(row, 1200)), -1, 413, "250 times"},
		{"long row", "", "u1\n" + row + row + strings.Repeat("x", 70_000), -1, 400, "line 4: row is too long"},
		{"gzip, not announced", "", zipped(t, "u1\n"), -1, 400, "say Content-Encoding: gzip"},
		{"announced as gzip", "gzip", "u1\nu2\nu3\n", -1, 400, "is not compressed"},
		{"gzip twice", "gzip", zipped(t, zipped(t, "u1\n")), -1, 400, "compressed twice"},
		{"cut off", "gzip", zipped(t, row)[:60], -1, 400, "ended early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{"PUT", "POST"} {
				path := map[string]string{"PUT": "", "POST": "/add"}[method]
				req, err := http.NewRequest(method, n.url+"/v1/lists/customers"+path+"?id=user.id", io.NopCloser(strings.NewReader(c.body)))
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = c.declared
				req.Header.Set("Content-Type", "text/plain")
				req.Header.Set("Content-Encoding", c.encoding)
				status, answer := n.roundTrip(t, req)
				if status != c.status || !strings.Contains(string(answer), c.says) {
					t.Errorf("%s: %d %s", method, status, answer)
				}
			}
			var list struct{ Generation, Keys, Changes int }
			n.must(200, "GET", "/v1/lists/customers", "", "", &list)
			if list.Generation != 1 || list.Keys != 2 || list.Changes != 0 {
				t.Errorf("the list has changed: %+v", list)
			}
		})
	}
}

// TestUploadStalls: an upload whose sender falls silent ends, with and without a
// declared length, and its list is free again.
func TestUploadStalls(t *testing.T) {
	n := startNode(t, "", testPolicy, func(o *edge.Options) { o.UploadTime = 200 * time.Millisecond })
	for _, head := range []string{
		"Content-Length: 10\r\n\r\nu1\n", "Transfer-Encoding: chunked\r\n\r\n3\r\nu1\n\r\n", "Transfer-Encoding: chunked\r\n\r\n9\r\nu1\n",
		"Content-Encoding: gzip\r\nContent-Length: 100\r\n\r\n" + zipped(t, "u1\n")[:20],
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "PUT /v1/lists/customers?id=user.id HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"+head); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408") || !strings.Contains(string(answer), "limits.upload_time") && !strings.Contains(head, "Content-Length") { // the server reads the start of a short body itself
			t.Errorf("%q: %v\n%s", head, err, answer)
		}
		c.Close()
	}
	n.must(204, "DELETE", "/v1/lists/customers", "", "", nil)
}

// TestRawUploadLeavesNoTrace looks, in the middle of an upload that is large enough
// to need files and after it, for addresses and numbers, and for their hashes, in
// every file of the node, those without a name too, in its log and its answers.
func TestRawUploadLeavesNoTrace(t *testing.T) {
	policy := strings.Replace(testPolicy, "[user.id, email_sha256]", "[user.id, email_sha256, phone_sha256]", 1)
	n := startNode(t, "", policy, nil)
	const rows = 600_000 // with two identifiers each, more than are sorted in memory
	row := func(i int) string { return fmt.Sprintf("Rawname%d@Mail.Example,+1 555 %07d\n", i, i) }
	sum := sha256.Sum256([]byte("rawname7@mail.example"))
	secrets := []string{"@mail.example", "@Mail.Example", "+1 555 ", "1555000", "rawname", hex.EncodeToString(sum[:]), string(sum[:8])}

	r, w := io.Pipe()
	req, err := http.NewRequest("PUT", n.url+"/v1/lists/customers?normalize=meta", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/csv")
	req.Header.Set("Content-Encoding", "gzip")
	answered := make(chan string, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req) // it takes as long as the test
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		answered <- fmt.Sprint(resp.StatusCode, " ", string(answer), err)
	}()
	z := gzip.NewWriter(w)
	text := []byte("Email,Phone\n")
	for i := range rows {
		text = append(text, row(i)...)
	}
	text = append(text, "not an address rawname@,5\n"...)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Flush(); err != nil {
		t.Fatal(err)
	}
	waitRows(t, n, rows)
	for deadline := time.Now().Add(time.Minute); searchFiles(t, n.dir, secrets) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no file without a name is seen: nothing is sorted on disk")
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	said.WriteString(<-answered)
	if !strings.HasPrefix(said.String(), "201") || !strings.Contains(said.String(), `"rejected":1`) {
		t.Fatal(said.String())
	}
	sayAll(n, row, &said)
	n.stop()
	searchFiles(t, n.dir, secrets)
	for where, text := range map[string]string{"an answer": said.String(), "the log": n.log.String()} {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s contains %q:\n%.2000s", where, secret, text)
			}
		}
	}
}

// sayAll makes changes, good and bad, of raw rows, and asks for all that a node says
// of its lists.
func sayAll(n *node, row func(int) string, said *bytes.Buffer) {
	n.t.Helper()
	for path, body := range map[string]string{
		"/add?normalize=google": "Email\n" + row(7), "/remove?normalize=google": "Email,Phone\nx@,y\n" + row(8),
		"/add": "Email,Phone\n" + row(7), "/add?map=None:email_sha256": row(7) + row(8), "/add?normalize=uid2&map=Email:user.id": row(9) + row(10),
	} {
		status, answer := n.do("POST", "/v1/lists/customers"+path, "text/csv", body)
		fmt.Fprintf(said, "%d %s\n", status, answer)
	}
	for _, path := range []string{"/v1/lists", "/v1/status", "/metrics"} {
		_, answer := n.do("GET", path, "", "")
		said.Write(answer)
	}
}

// waitRows waits until an upload has come so far, but for the rows of a piece that is
// still being filled.
func waitRows(t *testing.T, n *node, rows int) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond) // the upload needs the processor
	defer poll.Stop()
	for deadline := time.Now().Add(5 * time.Minute); ; <-poll.C {
		var list struct{ Work *struct{ Rows int } }
		_, answer := n.do("GET", "/v1/lists/customers", "", "")
		if err := json.Unmarshal(answer, &list); err != nil {
			t.Fatal(err)
		}
		if list.Work != nil && list.Work.Rows > rows-20_000 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the upload is not seen: %s", answer)
		}
	}
}

// searchFiles reads every file below dir and every open one that was there, and
// gives the number of those that have no name any more.
func searchFiles(t *testing.T, dir string, secrets []string) (unnamed int) {
	t.Helper()
	read := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			return // gone since
		}
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s contains %q", path, secret)
			}
		}
	}
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			read(path)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir) {
			read(fd)
			if strings.HasSuffix(target, "(deleted)") {
				unnamed++
			}
		}
	}
	return unnamed
}
