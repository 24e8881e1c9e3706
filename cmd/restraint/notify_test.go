package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// listenManager is a service manager's socket, and what was sent to it.
func listenManager(t *testing.T, name string) (told chan string) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	told = make(chan string, 1000)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := c.Read(buffer)
			if err != nil {
				return
			}
			told <- string(buffer[:n])
		}
	}()
	t.Cleanup(func() { c.Close() })
	return told
}

// heard waits for a message with that line and returns those before it.
func heard(t *testing.T, told <-chan string, line string) (before []string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case m := <-told:
			if slices.Contains(strings.Split(m, "\n"), line) {
				return before
			}
			before = append(before, m)
		case <-deadline:
			t.Fatalf("%q was not told; before: %q", line, before)
		}
	}
}

// What the environment of systemd means; without it nobody is told.
func TestManagerEnvironment(t *testing.T) {
	for _, c := range []struct {
		env      map[string]string
		watchdog time.Duration
	}{
		{nil, 0},
		{map[string]string{"WATCHDOG_USEC": "30000000"}, 30 * time.Second},
		{map[string]string{"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30 * time.Second},
		{map[string]string{"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0},
		{map[string]string{"WATCHDOG_USEC": "-1"}, 0},
		{map[string]string{"WATCHDOG_USEC": "9223372036854775807"}, 0},
		{map[string]string{"WATCHDOG_USEC": "soon"}, 0},
	} {
		m := newManager(func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }, 7, slog.New(slog.DiscardHandler))
		if m.watchdog != c.watchdog || m.socket != "" {
			t.Errorf("%v: %+v", c.env, m)
		}
		m.tell("READY=1")
		m.run(t.Context(), supervised{})()
	}
}

// A node is told of as ready when it is, not before; as alive only while it is; and as
// stopping once, from when on the watchdog is held off.
func TestManager(t *testing.T) {
	name := "@restraint-test-" + strconv.Itoa(os.Getpid()) // an abstract socket
	told := listenManager(t, name)
	m := &manager{socket: name, watchdog: 40 * time.Millisecond, log: slog.New(slog.DiscardHandler)}
	var ready, stuck atomic.Bool
	var asked atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	stop := m.run(ctx, supervised{
		ready: func() bool { asked.Add(1); return ready.Load() },
		alive: func(time.Duration) error {
			if stuck.Load() {
				asked.Add(1)
				return errors.New("stuck")
			}
			return nil
		},
	})
	poll(t, "asked twice whether it is ready", func() bool { return asked.Load() >= 2 })
	ready.Store(true)
	if before := heard(t, told, "READY=1"); len(before) != 1 || !strings.HasPrefix(before[0], "STATUS=Not ready") {
		t.Errorf("before it was ready: %q", before)
	}
	for range 3 {
		heard(t, told, "WATCHDOG=1")
	}
	stuck.Store(true)
	asked.Store(0)
	poll(t, "asked again soon", func() bool { return asked.Load() >= 4 })
	for len(told) > 0 { // of before
		<-told
	}
	asked.Store(0)
	poll(t, "asked again", func() bool { return asked.Load() >= 4 })
	if len(told) > 0 {
		t.Errorf("a node that is stuck: %q", <-told)
	}
	stuck.Store(false)
	heard(t, told, "WATCHDOG=1")
	stuck.Store(true)
	cancel()
	heard(t, told, "STOPPING=1")
	heard(t, told, "WATCHDOG=1")
	heard(t, told, "WATCHDOG=1")
	stop()

	// A socket that nobody listens on holds nothing up.
	m.socket = filepath.Join(t.TempDir(), "none")
	m.tell("READY=1")
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s: " + what)
		}
		pause(nil, time.Millisecond)
	}
}

// Whatever a listener says is an answer; silence is none, nor is nobody.
func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	cert, key := issueOwn(t, dir, 1)
	other, _ := issueOwn(t, t.TempDir(), 2)
	var cfg Config
	cfg.TLS.Cert, cfg.TLS.Key = cert, key
	const within = 5 * time.Second
	for _, args := range [][]string{nil, {"--tls-cert", cert, "--tls-key", key}, {"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", cert}, {"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", other}} {
		s := startServed(t, t.TempDir(), args...)
		of := cfg
		if args == nil {
			of = Config{}
		}
		if err := answers(strings.TrimPrefix(s.url, "http://"), toItself(&of), within); err != nil {
			t.Errorf("%q: %v", args, err)
		}
		if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		poll(t, "a process that stands still does not answer", func() bool { // all its threads stand still in a moment
			return answers(strings.TrimPrefix(s.url, "http://"), toItself(&of), 200*time.Millisecond) != nil
		})
		s.cmd.Process.Kill()
	}
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := answers("unix:"+socket, toItself(&cfg), 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), socket) {
		t.Error(err)
	}
	l.Close()
	if err := answers("unix:"+socket, nil, within); err == nil {
		t.Error("nobody listens")
	}
}

// The real program under a manager: ready, alive, read again, stopped.
func TestNotifyOfNode(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	told := listenManager(t, socket)
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(servedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=2000000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	for _, m := range heard(t, told, "READY=1") {
		if !strings.HasPrefix(m, "STATUS=") {
			t.Errorf("before it was ready: %q", m)
		}
	}
	heard(t, told, "WATCHDOG=1")
	heard(t, told, "WATCHDOG=1")
	cmd.Process.Signal(syscall.SIGHUP)
	heard(t, told, "RELOADING=1")
	heard(t, told, "READY=1")
	cmd.Process.Signal(syscall.SIGTERM)
	heard(t, told, "STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A node whose callers hold every file that it may have takes nobody, and goes on living.
func TestNotifyWithoutFiles(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	told := listenManager(t, socket)
	bid := filepath.Join(dir, "bid")
	cmd := exec.Command("sh", "-c", `ulimit -n 64 && exec "$0" serve --listen unix:`+bid+` --admin-listen 127.0.0.1:0`, binary)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=1000000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	heard(t, told, "READY=1")
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range 80 {
		c, err := net.Dial("unix", bid)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	files := func() int {
		open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
		return len(open)
	}
	poll(t, "it has no file left", func() bool { return files() >= 64 })
	for len(told) > 0 { // of before
		<-told
	}
	for range 4 {
		heard(t, told, "WATCHDOG=1")
	}
	if files() < 64 {
		t.Error("it had files left")
	}
}

// A service manager that was started anew is told over a new connection.
func TestManagerAnew(t *testing.T) {
	m := &manager{socket: filepath.Join(t.TempDir(), "notify"), log: slog.New(slog.DiscardHandler)}
	defer m.close()
	for range 3 {
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		m.tell("STATUS=a", "READY=1")
		buffer := make([]byte, 100)
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buffer)
		if err != nil || string(buffer[:n]) != "STATUS=a\nREADY=1" {
			t.Errorf("%q, %v", buffer[:n], err)
		}
		c.Close()
		if err := os.Remove(m.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		m.tell("STATUS=nobody hears")
	}
}
