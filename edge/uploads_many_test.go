package edge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestManyUploads: uploads that stall take no more memory than 16 of them do, since
// another one is refused, and taken when one has ended.
func TestManyUploads(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	add := func(body io.Reader) int {
		resp, err := http.Post(n.url+customers+"/add?id=user.id", "text/plain", body)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer resp.Body.Close()
		if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
			t.Error("refused without Retry-After")
		}
		return resp.StatusCode
	}
	var bodies []*io.PipeWriter
	ended := make(chan int, 16)
	var since time.Time
	for range 16 {
		r, w := io.Pipe()
		bodies = append(bodies, w)
		go func() { ended <- add(r) }()
		if _, err := io.WriteString(w, "u1\nu"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the addition is under way", func() bool {
			w := n.work()
			if w == nil || !w.Since.After(since) || w.Bytes == 0 {
				return false
			}
			since = w.Since
			return true
		})
	}
	if status := add(strings.NewReader("u2\n")); status != 503 {
		t.Errorf("one more: %d", status)
	}
	bodies[0].Close()
	if status := <-ended; status != 200 {
		t.Errorf("the first: %d", status)
	}
	if status := add(strings.NewReader("u2\n")); status != 200 {
		t.Errorf("one more, when there is room: %d", status)
	}
	for _, w := range bodies[1:] {
		w.Close()
		if status := <-ended; status != 200 {
			t.Errorf("another: %d", status)
		}
	}
}
