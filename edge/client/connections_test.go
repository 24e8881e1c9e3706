package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"restraint/edge/client"
)

// A connection that is cut as a request leaves, since the node closed it at that moment,
// fails no decision and no event that has an id; one without is not sent again.
func TestCutAsItLeaves(t *testing.T) {
	ok := `{"accepted":1,"rejected":[]}`
	for _, x := range []struct {
		answer string
		call   func(*client.Client) error
		again  bool
	}{
		{shows, func(c *client.Client) error { _, err := c.Decide(t.Context(), ab); return err }, true},
		{ok, func(c *client.Client) error { _, err := c.Report(t.Context(), client.Event{ID: "1"}); return err }, true},
		{ok, func(c *client.Client) error { _, err := c.Report(t.Context(), client.Event{}); return err }, false},
	} {
		status := 200
		if x.answer == ok {
			status = 202
		}
		var mu sync.Mutex
		came := map[net.Conn]int{}
		f := startFake(t, func(f *fake, c net.Conn, body string) bool { // each connection answers once
			mu.Lock()
			defer mu.Unlock()
			came[c]++
			return came[c] == 1 && says(status, "", x.answer)(f, c, body)
		})
		c := newClient(t, nil, f.addr)
		if err := x.call(c); err != nil {
			t.Fatal(err)
		}
		err, n := x.call(c), f.asked()
		var failed *client.Error
		if x.again && (err != nil || n != 3) || !x.again && (n != 2 || !errors.As(err, &failed) || !failed.Sent || failed.Kind != client.Unreachable) {
			t.Errorf("sent %d times for two calls: %v", n, err)
		}
	}
}

// Connections are used again, and never more than Connections; who finds none waits, and
// no longer than its deadline.
func TestConnections(t *testing.T) {
	let := make(chan struct{})
	f := startFake(t, func(f *fake, c net.Conn, body string) bool {
		select {
		case <-let:
		case <-f.stopped:
		}
		return says(200, "", shows)(f, c, body)
	})
	c := newClient(t, func(o *client.Options) { o.Connections = 2 }, f.addr)
	var running sync.WaitGroup
	for range 10 {
		running.Go(func() {
			if _, err := c.Decide(t.Context(), ab); err != nil {
				t.Error(err)
			}
		})
	}
	<-f.requests
	<-f.requests
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	a, err := c.Decide(ctx, ab)
	if failed := fails(t, a, err, 2, false, client.Timeout); failed.Sent || !strings.Contains(err.Error(), "Connections") {
		t.Error(err)
	}
	close(let)
	running.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.conns) != 2 {
		t.Errorf("%d connections, want 2", len(f.conns))
	}
}

// Close waits for what is under way.
func TestCloseWaits(t *testing.T) {
	let := make(chan struct{})
	f := startFake(t, func(f *fake, c net.Conn, body string) bool {
		<-let
		return says(200, "", shows)(f, c, body)
	})
	c := newClient(t, nil, f.addr)
	var answered, closed atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		_, err := c.Decide(t.Context(), ab)
		answered.Store(true)
		if err != nil {
			t.Error(err)
		}
	})
	<-f.requests
	running.Go(func() {
		c.Close()
		closed.Store(true)
		if !answered.Load() {
			t.Error("Close did not wait")
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		a, err := c.Decide(ctx, ab)
		cancel()
		var e *client.Error
		if errors.As(err, &e) && e.Kind == client.Closed && a.FailSafe {
			break // refused at once, while Close waits
		}
		if time.Now().After(deadline) {
			t.Fatal("a client that is being closed takes calls")
		}
	}
	if closed.Load() {
		t.Error("Close did not wait")
	}
	close(let)
	running.Wait()
}
