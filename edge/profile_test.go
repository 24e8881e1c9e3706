package edge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Profiles are what the Go tools read; what is asked wrongly is named, and one profile over
// time does not disturb another.
func TestProfiles(t *testing.T) {
	n := startNode(t, "", leastPolicy, nil)
	get := func(target string) (int, string) {
		t.Helper()
		resp, err := http.Get(n.url + "/debug/pprof/" + target)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	const gzip, traced = "\x1f\x8b", "go 1."
	for _, c := range []struct {
		target string
		status int
		begins string
	}{
		{"heap", 200, gzip},
		{"goroutine?debug=1", 200, "goroutine profile:"},
		{"profile?seconds=0.05", 200, gzip},
		{"trace?seconds=0.05", 200, traced},
		{"profile?seconds=61", 400, `{"type":"about:blank","title":"Bad Request"`},
		{"profile?seconds=NaN", 400, "{"},
		{"trace?seconds=-1", 400, "{"},
		{"nothing", 404, "{"},
		{"", 200, "allocs\nblock\ngoroutine\n"},
	} {
		if status, body := get(c.target); status != c.status || !strings.HasPrefix(body, c.begins) {
			t.Errorf("%s: %d %.80q, want %d and %q", c.target, status, body, c.status, c.begins)
		}
	}
	first := make(chan int)
	go func() {
		for {
			resp, err := http.Get(n.url + "/debug/pprof/profile?seconds=60")
			if err != nil {
				first <- 0
				return
			}
			resp.Body.Close()
			if resp.StatusCode != 503 { // as where one of those below is under way
				first <- resp.StatusCode
				return
			}
		}
	}()
	for status := 0; status != 503; {
		status, _ = get("profile?seconds=0.001")
	}
	n.stop() // which does not wait for a minute
	if status := <-first; status != 200 {
		t.Errorf("a profile that the end of the node cuts short: %d", status)
	}
}
