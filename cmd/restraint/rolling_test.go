package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fleet are nodes behind a balancer that sends requests to those alone whose readyz says
// that they are ready.
type fleet struct {
	nodes  [3]atomic.Pointer[served]
	ready  [3]atomic.Bool
	client *http.Client
	next   atomic.Uint64
	failed atomic.Uint64
	asked  [3]atomic.Uint64

	mu   sync.Mutex
	said string // of the first that failed
}

// poll looks at readyz until stop is closed.
func (f *fleet) poll(stop <-chan struct{}) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		for i := range f.nodes {
			resp, err := f.client.Get(f.nodes[i].Load().url + "/readyz")
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			f.ready[i].Store(err == nil && resp.StatusCode == http.StatusOK)
		}
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
	}
}

// post sends one request to the next node that is ready, once.
func (f *fleet) post(path, body string, want int) {
	for range f.nodes {
		i := f.next.Add(1) % uint64(len(f.nodes))
		if !f.ready[i].Load() {
			continue
		}
		answer := ""
		resp, err := f.client.Post(f.nodes[i].Load().url+path, "application/json", strings.NewReader(body))
		if err == nil {
			var text []byte
			text, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			answer = fmt.Sprintf("%d %s", resp.StatusCode, text)
		}
		if f.asked[i].Add(1); err != nil || resp.StatusCode != want {
			f.fail(fmt.Sprintf("node %d: %s: %s %v", i, path, answer, err))
		}
		return
	}
	f.fail("no node is ready")
}

func (f *fleet) fail(said string) {
	f.failed.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said == "" {
		f.said = said
	}
}

// awaitRequests waits until node i is asked again so many times.
func (f *fleet) awaitRequests(t *testing.T, i int, more uint64) {
	t.Helper()
	ticker, deadline := time.NewTicker(5*time.Millisecond), time.Now().Add(30*time.Second)
	defer ticker.Stop()
	for from := f.asked[i].Load(); f.asked[i].Load() < from+more; {
		if <-ticker.C; time.Now().After(deadline) {
			t.Fatalf("node %d gets no requests: %s", i, f.said)
		}
	}
}

// Three nodes are restarted one after the other under load: no decision and no report
// fails, and everybody who was shown something is capped on every node afterwards.
func TestRollingRestart(t *testing.T) {
	url, _ := startNats(t)
	policy := writeFile(t, "policy.yaml", servedPolicy)
	dirs := [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	start := func(i int) *served {
		return startServed(t, dirs[i], "--node", fmt.Sprint("n", i), "--nats-urls", url, "--policy", policy,
			"--secret-file", filepath.Join(dirs[0], "data", "secret"), "--drain-wait", "300ms")
	}
	f := &fleet{client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	defer f.client.CloseIdleConnections()
	for i := range f.nodes {
		f.nodes[i].Store(start(i))
		f.ready[i].Store(true)
	}
	stop, shown := make(chan struct{}), make([]int, 4)
	var running sync.WaitGroup
	running.Go(func() { f.poll(stop) })
	for w := range shown {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				user := fmt.Sprintf("u-%d-%d", w, shown[w])
				f.post("/v1/decide", `{"user":{"id":"`+user+`"},"candidates":[{"campaign":"shoes"}]}`, http.StatusOK)
				f.post("/v1/events", `{"type":"impression","id":"`+user+`","user":{"id":"`+user+`"},"campaign":"shoes"}`, http.StatusAccepted)
				shown[w]++
			}
		})
	}
	for i := range f.nodes {
		f.awaitRequests(t, i, 50)
		if err := f.nodes[i].Load().cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-f.nodes[i].Load().exited; err != nil {
			t.Errorf("node %d after SIGTERM: %v", i, err)
		}
		f.nodes[i].Store(start(i))
		f.awaitRequests(t, i, 50)
	}
	close(stop)
	running.Wait()
	if n := f.failed.Load(); n > 0 {
		t.Fatalf("%d requests failed; the first: %s", n, f.said)
	}
	deadline := time.Now().Add(10 * time.Second) // by which all have heard of the last
	for i := range f.nodes {
		for w, count := range shown {
			for k := range count {
				user := fmt.Sprintf("u-%d-%d", w, k)
				_, answer := f.nodes[i].Load().get(t, "/v1/decide?user="+user+"&campaign=shoes")
				for !strings.Contains(answer, `"reason":"cap"`) {
					if time.Now().After(deadline) {
						t.Fatalf("node %d has lost a showing to %s: %s", i, user, answer)
					}
					_, answer = f.nodes[i].Load().get(t, "/v1/decide?user="+user+"&campaign=shoes")
				}
			}
		}
	}
	t.Logf("%d decisions and as many reports", shown[0]+shown[1]+shown[2]+shown[3])
}
