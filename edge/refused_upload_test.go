package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whoever streams an upload that is refused at its head reads why: the node takes some
// of the rest, so that the connection is not reset under the answer.
func TestRefusedUploadReadsWhy(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	chunk := "10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n"
	for key, want := range map[string]int{"": 401, "rk_aaaaaaaa_" + strings.Repeat("a", 52): 401, k.keys["bid"]: 403} {
		for _, framing := range []string{"Transfer-Encoding: chunked", "Content-Length: 100000000"} {
			c, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			head := "PUT /v1/lists/customers?id=user.id HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nX-Api-Key: " + key + "\r\n" + framing + "\r\n\r\n"
			if _, err := io.WriteString(c, head); err != nil {
				t.Fatal(err)
			}
			for range 64 { // 4 MiB, which is more than the buffers of a connection take
				if _, err = io.WriteString(c, chunk); err != nil {
					break
				}
			}
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			resp, readErr := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || readErr != nil || resp.StatusCode != want {
				t.Errorf("%.11s, %s: sent %v, answered %v %v, want %d", key, framing, err, resp, readErr, want)
			}
		}
	}
}
