package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is a node in a process of its own.
type served struct {
	cmd    *exec.Cmd
	lines  chan map[string]any // of its log
	url    string              // of the admin listener
	listen string              // of the bid listener, host:port
	exited chan error
	said   []string // messages that wait came past
}

// startServed starts the built program in dir on free ports and waits until it is
// ready.
func startServed(t testing.TB, dir string, args ...string) *served {
	t.Helper()
	s := launch(t, dir, args...)
	ready := s.wait(t, "ready")
	s.url, s.listen = "http://"+ready["admin"].(string), ready["listen"].(string)
	return s
}

// launch starts the built program in dir on free ports.
func launch(t testing.TB, dir string, args ...string) *served {
	t.Helper()
	s := &served{lines: make(chan map[string]any, 1000), exited: make(chan error, 1)}
	s.cmd = exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain-wait", "0s"}, args...)...)
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "RESTRAINT_LIMITS_WAIT=0s") // nobody is refused because the machine of the tests is busy
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		read := bufio.NewScanner(stderr)
		for read.Scan() {
			line := map[string]any{}
			if json.Unmarshal(read.Bytes(), &line) != nil {
				line["msg"] = read.Text()
			}
			s.lines <- line
		}
		close(s.lines)
		s.exited <- s.cmd.Wait()
	}()
	t.Cleanup(func() { s.cmd.Process.Kill() })
	return s
}

// wait returns the next line of the log with one of the messages.
func (s *served) wait(t testing.TB, msgs ...string) map[string]any {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				t.Fatalf("the node ended before it said any of %q: %q", msgs, s.said)
			}
			said, _ := line["msg"].(string)
			s.said = append(s.said, said)
			if slices.Contains(msgs, said) {
				return line
			}
		case <-deadline:
			t.Fatalf("the node did not say any of %q", msgs)
		}
	}
}

// send sends a body to a path of the admin listener.
func (s *served) send(t testing.TB, method, path, contentType, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func (s *served) get(t testing.TB, path string) (int, string) {
	t.Helper()
	return s.send(t, http.MethodGet, path, "", "")
}

func (s *served) post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	return s.send(t, http.MethodPost, path, "application/json", body)
}

// try posts and returns the status, or why there is none.
func (s *served) try(path, body string) (int, error) {
	resp, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return resp.StatusCode, fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// stop sends SIGTERM and wants a clean end.
func (s *served) stop(t *testing.T) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "draining")
	select {
	case err := <-s.exited:
		if err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the node does not end after SIGTERM")
	}
}

const servedPolicy = `
markets: [{name: all, require: none}]
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 1, within: 24h}]}
`

// A node that drains is ended at once by a second signal, whatever it still waits for.
func TestSecondSignal(t *testing.T) {
	s := startServed(t, t.TempDir(), "--drain-wait", "5m")
	http.DefaultClient.CloseIdleConnections()
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.wait(t, "draining")
	again, deadline := time.NewTicker(50*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for {
		select {
		case <-again.C: // until the first one has been taken in full
			s.cmd.Process.Signal(syscall.SIGTERM)
		case err := <-s.exited:
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("it ended by itself: %v", err)
			}
			return
		case <-deadline:
			t.Fatal("it goes on after a second signal")
		}
	}
}

// A hangup takes back no policy that was put in force since the file was read, takes the
// file once it has changed, and asks for none where there never was one.
func TestHangupKeepsPolicy(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	s := startServed(t, dir)
	hangup := func(said string) map[string]any {
		s.cmd.Process.Signal(syscall.SIGHUP)
		return s.wait(t, said, "policy not reloaded, the one in force stays")
	}
	if err := os.WriteFile(file, []byte(servedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	if line := hangup("policy in force"); line["version"] != 2.0 {
		t.Errorf("a file where there was none: %v", line)
	}
	put, err := http.NewRequest("PUT", s.url+"/v1/policy", strings.NewReader(servedPolicy+"  boots: {advertiser: acme}\n"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if line := s.wait(t, "policy in force"); line["version"] != 3.0 {
		t.Errorf("put over HTTP: %v", line)
	}
	if line := hangup("policy file has not changed, the policy in force stays"); line["level"] != "INFO" {
		t.Errorf("the same file: %v", line)
	}
	if _, body := s.get(t, "/v1/policy"); !strings.Contains(body, "boots") {
		t.Errorf("after the hangup: %s", body)
	}
	if err := os.WriteFile(file, []byte(servedPolicy+"  socks: {advertiser: acme}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if line := hangup("policy in force"); line["version"] != 4.0 {
		t.Errorf("a changed file: %v", line)
	}
	s.stop(t)
}

// A node starts in an empty folder, answers, takes a changed policy on SIGHUP, keeps
// the one in force when the file is faulty, and ends cleanly on SIGTERM.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(servedPolicy)
	s := startServed(t, dir)
	if status, body := s.get(t, "/readyz"); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	ask := `{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"},{"campaign":"boots"}]}`
	if _, body := s.post(t, "/v1/decide", ask); !strings.Contains(body, `{"campaign":"shoes","show":true},{"campaign":"boots","show":false,"reason":"unknown_campaign"}`) {
		t.Errorf("first decision: %s", body)
	}
	write(servedPolicy + "  boots: {advertiser: acme}\n")
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "policy in force"); line["version"] != 2.0 {
		t.Errorf("after SIGHUP: %v", line)
	}
	write("campaigns: [")
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.wait(t, "policy not reloaded, the one in force stays")
	if _, body := s.post(t, "/v1/decide", ask); !strings.Contains(body, `{"campaign":"boots","show":true}`) {
		t.Errorf("after a faulty policy: %s", body)
	}
	s.stop(t)
	info, err := os.Stat(filepath.Join(dir, "data", "secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret: %v, %v", info, err)
	}
}
