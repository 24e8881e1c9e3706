package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startNats starts the linked NATS server on a free port; stop ends it.
func startNats(t *testing.T) (url string, stop func()) {
	t.Helper()
	file := writeFile(t, "nats.conf", fmt.Sprintf("listen: 127.0.0.1:-1\njetstream {store_dir: %q}\n", t.TempDir()))
	cmd := exec.Command(binary, "nats", "--config", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "client connections on "); ok {
			url = "nats://" + strings.TrimRight(address, `"} `)
		}
		if strings.Contains(lines.Text(), "Server is ready") {
			return url, func() {
				t.Helper()
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				for lines.Scan() {
				}
				if err := cmd.Wait(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Fatal("the NATS server is not ready")
	return "", nil
}

func (s *served) putPolicy(t *testing.T, text string) (int, string) {
	t.Helper()
	return s.send(t, http.MethodPut, "/v1/policy", "application/yaml", text)
}

// A policy put on one node of a cluster is live on the other; without NATS it stays,
// also over a restart.
func TestServeSharesPolicy(t *testing.T) {
	url, stopNats := startNats(t)
	dirA, dirB := t.TempDir(), t.TempDir()
	a := startServed(t, dirA, "--node", "a", "--nats-urls", url)
	argsB := []string{"--node", "b", "--nats-urls", url, "--secret-file", filepath.Join(dirA, "data", "secret")}
	b := startServed(t, dirB, argsB...)
	text := "timezone: UTC\nmarkets: [{name: all, require: none}]\ncampaigns: {only: {advertiser: a}}\n"
	if status, answer := b.putPolicy(t, text); status != 200 || !strings.Contains(answer, `"version":2`) {
		t.Fatalf("put: %d %s", status, answer)
	}
	ticker, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(20*time.Second)
	defer ticker.Stop()
	for {
		if _, now := a.get(t, "/v1/policy"); now == text {
			break
		}
		if <-ticker.C; time.Now().After(deadline) {
			t.Fatal("the policy does not reach the other node")
		}
	}
	if _, answer := a.get(t, "/v1/decide?user=u&campaign=only"); !strings.Contains(answer, `"policy":2`) || !strings.Contains(answer, `"show":true`) {
		t.Errorf("decide: %s", answer)
	}

	if status, answer := b.post(t, "/v1/events", `{"type":"impression","user":{"id":"u"},"campaign":"only"}`); status != 202 {
		t.Fatalf("event: %d %s", status, answer) // so that there is a snapshot to go by
	}
	b.stop(t)
	stopNats()
	b = startServed(t, dirB, argsB...)
	if _, now := b.get(t, "/v1/policy"); now != text {
		t.Errorf("after a restart without NATS: %s", now)
	}
	if status, ready := b.get(t, "/readyz"); status != 200 || !strings.Contains(ready, "version 2 from disk, degraded") {
		t.Errorf("readyz: %d %s", status, ready)
	}
	if status, answer := b.putPolicy(t, text+"# again\n"); status != 503 {
		t.Errorf("put without NATS: %d %s", status, answer)
	}
}
