package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// inside is a node in this process, where the race detector sees it.
type inside struct {
	t      *testing.T
	client http.Client
	stop   context.CancelFunc
	ended  chan int
	errs   bytes.Buffer
}

// startInside starts a node with keys on sockets in dir and waits until it takes one.
func startInside(t *testing.T, dir, file, key string) *inside {
	t.Helper()
	bid := filepath.Join(dir, "bid")
	n := &inside{t: t, ended: make(chan int, 1)}
	n.client.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", bid) }}
	args := []string{
		"serve", "--listen", "unix:" + bid, "--admin-listen", "unix:" + filepath.Join(dir, "admin"), "--data", filepath.Join(dir, "data"),
		"--policy", writeFile(t, "p.yaml", servedPolicy), "--keys-file", file,
	}
	ctx, stop := context.WithCancel(t.Context())
	n.stop = stop
	go func() {
		n.ended <- run(ctx, &process{args: args, lookup: noEnv, stdout: io.Discard, stderr: &n.errs, now: time.Now})
	}()
	n.within("the node answers", func() bool { status, err := n.ask(key); return err == nil && status == 200 })
	return n
}

// ask asks for a decision and returns the status.
func (n *inside) ask(key string) (int, error) {
	req, err := http.NewRequest("GET", "http://node/v1/decide?user=u&campaign=shoes", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Api-Key", key)
	resp, err := n.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// within tries until ok.
func (n *inside) within(what string, ok func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		select {
		case code := <-n.ended:
			n.t.Fatalf("the node ended with %d: %s", code, n.errs.String())
		default:
		}
		if time.Now().After(deadline) {
			n.t.Fatal("not within 30 s: " + what)
		}
	}
}

// A node is sent SIGHUP again and again while requests go on: a key that stays is never
// refused, one that comes and goes is let in or refused, and nothing else.
func TestHangupUnderLoad(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // before the node does, it would end the test
	defer signal.Stop(caught)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	stays, _ := newKey(t, file, "--client", "stays", "--role", "bid")
	with, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changes, _ := newKey(t, file, "--client", "changes", "--role", "bid")
	both, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := startInside(t, dir, file, stays)
	var done atomic.Bool
	var asking sync.WaitGroup
	var asked, refused atomic.Int64
	for range 2 {
		asking.Go(func() {
			for !done.Load() {
				if status, err := n.ask(stays); err != nil || status != 200 {
					t.Errorf("a key that stays: %d, %v", status, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for round := range 20 {
		text, want := with, 401
		if round%2 == 1 {
			text, want = both, 200
		}
		next := filepath.Join(dir, "next")
		if err := errors.Join(os.WriteFile(next, text, 0o600), os.Rename(next, file), syscall.Kill(os.Getpid(), syscall.SIGHUP)); err != nil {
			t.Fatal(err)
		}
		n.within(fmt.Sprintf("round %d: %d", round, want), func() bool {
			status, err := n.ask(changes)
			if err != nil || status != 200 && status != 401 {
				t.Fatalf("a key that changes: %d, %v", status, err)
			}
			refused.Add(int64(status / 401))
			return status == want
		})
	}
	done.Store(true)
	asking.Wait()
	n.stop()
	if code := <-n.ended; code != 0 {
		t.Errorf("exit %d: %s", code, n.errs.String())
	}
	if asked.Load() < 20 || refused.Load() < 10 {
		t.Errorf("only %d let in and %d refused", asked.Load(), refused.Load())
	}
}
