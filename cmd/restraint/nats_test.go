package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNatsRefuses(t *testing.T) {
	open := writeFile(t, "nats.conf", "listen: 0.0.0.0:4222\n")
	inProcess(t, nil, "", "nats", "--config", open).must(t, 2, open, "0.0.0.0:4222, which other machines can reach", "authorization")
	inProcess(t, nil, "", "nats", "--config", writeFile(t, "nats.conf", "lisen: 4222\n")).must(t, 2, "lisen")
	inProcess(t, nil, "", "nats", "--config", open+".not").must(t, 2, "no such file")
	inProcess(t, nil, "", "nats").must(t, 2, "--config")
}

// The server runs, reads its file again on SIGHUP, and ends on SIGTERM and SIGINT with 0.
func TestNatsSignals(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		file := writeFile(t, "nats.conf", fmt.Sprintf("listen: 127.0.0.1:-1\njetstream {store_dir: %q}\n", t.TempDir()))
		cmd := exec.Command(binary, "nats", "--config", file)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lost := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer lost.Stop()
		lines := bufio.NewScanner(stderr)
		until := func(text string) {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), text) {
					return
				}
			}
			t.Fatalf("the server ended before it said %q", text)
		}
		until("Server is ready")
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until("configuration reloaded")
		if err := cmd.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		until("Server Exiting")
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", end, err)
		}
	}
}
