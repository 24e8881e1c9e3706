package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wire is one connection to a node.
type wire struct {
	net.Conn
	r *bufio.Reader
}

// wireTime is how long one waits for a node on a connection. It is far above every limit
// that an attack waits for.
const wireTime = 15 * time.Second

// reach connects, with TLS where the node has it.
func (n *abused) reach(addr string) (*wire, error) {
	c, err := net.DialTimeout("tcp", addr, wireTime)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(wireTime))
	if n.tls != nil {
		config := n.tls.Clone()
		config.ServerName = "127.0.0.1"
		c = tls.Client(c, config)
	}
	return &wire{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

// dial is reach where a failure is fatal.
func (n *abused) dial(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := n.reach(addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer reads the next answer.
func (c *wire) answer() (status int, body string, err error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp.StatusCode, string(text), err
}

// raw sends bytes on a connection of their own, ends sending, and returns all that comes
// back.
func (a *attempt) raw(addr, text string) string {
	c, err := a.node.reach(addr)
	if err != nil {
		return ""
	}
	defer c.Close()
	a.requests.Add(1)
	_, _ = io.WriteString(c, text) // the node may have answered and closed before
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	all, _ := io.ReadAll(c.r)
	return string(all)
}

// once sends bytes on a connection of their own and notes the first answer.
func (a *attempt) once(addr, text string) (status int, body string) {
	c, err := a.node.reach(addr)
	if err != nil {
		a.met(0, err.Error())
		return 0, ""
	}
	defer c.Close()
	a.requests.Add(1)
	_, _ = io.WriteString(c, text)
	status, body, err = c.answer()
	if err != nil {
		body = err.Error()
	}
	a.met(status, body)
	return status, body
}

// repeat sends a request again and again over one connection, anew where it is closed, until
// the time of the attack is over.
func (a *attempt) repeat(addr string, text func() string) {
	var c *wire
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for a.on() {
		if c == nil {
			var err error
			if c, err = a.node.reach(addr); err != nil {
				a.met(0, err.Error())
				continue
			}
		}
		a.requests.Add(1)
		_, _ = io.WriteString(c, text())
		status, body, err := c.answer()
		if err != nil {
			status, body = 0, err.Error()
		}
		a.met(status, body)
		if err != nil || status >= 400 {
			c.Close()
			c = nil
		}
	}
}

// request is a request with a key.
func (n *abused) request(method, path, client, contentType, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", method, path, n.keys[client], contentType, len(body), body)
}

// bystander is a well-behaved client: some connections that stay, on each of which it asks
// for a decision at the times of a schedule, whatever the answers take.
type bystander struct {
	stop    chan struct{}
	running sync.WaitGroup
	refused atomic.Int64 // told 503 with Retry-After
	errors  atomic.Int64

	mu    sync.Mutex
	times []time.Duration // from when it was to be sent
	said  string          // of the first that failed
}

const (
	besideConns = 4
	besideEvery = 4 * time.Millisecond
)

// besides starts one.
func besides(t testing.TB, n *abused) *bystander {
	b := &bystander{stop: make(chan struct{})}
	ask := n.request("POST", "/v1/decide", "bid", "application/json", `{"id":"q","user":{"id":"member"},"candidates":[{"campaign":"welcome"},{"campaign":"shoes","creative":"c-1","item":"sku-9"}]}`)
	for range besideConns {
		c := n.dial(t, n.bid)
		_ = c.SetDeadline(time.Time{})
		b.running.Go(func() { b.asks(n, c, ask) })
	}
	return b
}

func (b *bystander) asks(n *abused, c *wire, ask string) {
	defer func() { c.Close() }()
	ticker := time.NewTicker(besideEvery)
	defer ticker.Stop()
	for due := time.Now(); ; {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
		}
		for now := time.Now(); due.Before(now); due = due.Add(besideEvery) {
			_ = c.SetDeadline(time.Now().Add(wireTime))
			_, err := io.WriteString(c, ask)
			status, said := 0, ""
			if err == nil {
				status, said, err = c.answer()
			}
			switch {
			case err == nil && status == 200 && strings.Contains(said, `{"campaign":"welcome","show":false,`):
				b.took(time.Since(due))
				continue
			case err == nil && status == 503:
				b.refused.Add(1)
			default:
				b.errors.Add(1)
			}
			b.note(status, said, err)
			c.Close()
			again, err := n.reach(n.bid)
			if err != nil {
				b.errors.Add(1)
				b.note(0, "", err)
				return
			}
			c = again
		}
	}
}

func (b *bystander) took(d time.Duration) {
	b.mu.Lock()
	b.times = append(b.times, d)
	b.mu.Unlock()
}

func (b *bystander) note(status int, said string, err error) {
	b.mu.Lock()
	if b.said == "" {
		b.said = fmt.Sprintf("%d %.200s %v", status, said, err)
	}
	b.mu.Unlock()
}

func (b *bystander) end()          { close(b.stop); b.running.Wait() }
func (b *bystander) failed() int64 { return b.errors.Load() }
func (b *bystander) why() string   { b.mu.Lock(); defer b.mu.Unlock(); return b.said }
func (b *bystander) answered() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.times) }

// quantiles are p50, p99 and the longest.
func (b *bystander) quantiles() (q [3]time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.times) == 0 {
		return q
	}
	slices.Sort(b.times)
	for i, share := range []float64{0.5, 0.99, 1} {
		q[i] = b.times[min(len(b.times)-1, int(share*float64(len(b.times))))]
	}
	return q
}
