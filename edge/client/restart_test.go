package client_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restraint/edge/client"
)

// Two nodes are restarted in turn, each as soon as the other is back, while many callers
// ask: no decision fails, and none is mixed up with another's.
func TestRollingRestart(t *testing.T) {
	socket := "unix:" + filepath.Join(shortDir(t), "n.sock")
	port := refusing(t)
	addrs := []string{socket, port}
	nodes := []*testNode{startNode(t, socket, nil), startNode(t, port, nil)}
	c := newClient(t, nil, addrs...)
	var stop atomic.Bool
	var asked [2]atomic.Int64
	var running sync.WaitGroup
	for k := range 8 {
		running.Go(func() {
			for i := 0; !stop.Load(); i++ {
				r := &client.Request{ID: fmt.Sprintf("%d-%d", k, i), User: client.User{ID: fmt.Sprint("u", k)}, Candidates: one("shoes")}
				if k%2 == 1 {
					r.Candidates = append(r.Candidates, client.Candidate{Campaign: "nope"}, client.Candidate{Campaign: "single"})
				}
				a, err := c.Decide(t.Context(), r)
				if err != nil || len(a.Decisions) != len(r.Candidates) || !a.ShowAt(0) || a.ShowAt(1) {
					t.Errorf("%s: %+v %v", r.ID, a, err)
					return
				}
				if a.Node == socket {
					asked[0].Add(1)
				} else {
					asked[1].Add(1)
				}
			}
		})
	}
	for round := range 6 {
		i := round % 2
		nodes[i].stop()
		for before := asked[1-i].Load(); asked[1-i].Load() < before+100 && !t.Failed(); { // the other carries it alone
			decide(t, c, &client.Request{User: client.User{ID: "u"}, Candidates: one("shoes")})
		}
		nodes[i] = startNode(t, addrs[i], nil)
		decide(t, newClient(t, nil, addrs[i]), &client.Request{User: client.User{ID: "u"}, Candidates: one("shoes")})
	}
	stop.Store(true)
	running.Wait()
	for i := range asked {
		if asked[i].Load() < 100 {
			t.Errorf("%s decided only %d times", addrs[i], asked[i].Load())
		}
	}
}

// A node that says that it is not ready before it stops costs nobody anything: the next
// one is asked with what is left of the deadline.
func TestDrainingNode(t *testing.T) {
	var draining atomic.Bool
	leaving := startFake(t, func(f *fake, c net.Conn, body string) bool {
		if draining.Load() {
			return writes("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", false)(f, c, body)
		}
		return says(200, "", shows)(f, c, body)
	})
	staying := startFake(t, says(200, "", shows))
	c := newClient(t, nil, leaving.addr, staying.addr)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for i := range 200 {
				if i == 50 {
					draining.Store(true)
				}
				if _, err := c.Decide(t.Context(), ab); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
}

// Many callers of one client are each told of their own request.
func TestManyCallers(t *testing.T) {
	n := startNode(t, "127.0.0.1:0", nil)
	c := newClient(t, func(o *client.Options) { o.Connections = 4 }, n.Addr())
	var running sync.WaitGroup
	for k := range 16 {
		running.Go(func() {
			user := client.User{ID: strings.Repeat("u", k+1)}
			for i := range 30 {
				taken, err := c.Report(t.Context(), client.Event{Type: client.Impression, ID: fmt.Sprint(i % 4), User: user, Campaign: "shoes"})
				if err != nil || taken.Accepted != 1 {
					t.Errorf("%+v %v", taken, err)
				}
				a, err := c.Decide(t.Context(), &client.Request{ID: fmt.Sprint(k, i), User: user, Candidates: one("shoes")})
				if err != nil || a.ShowAt(0) != (i < 2) {
					t.Errorf("caller %d, round %d: %+v %v", k, i, a, err)
				}
			}
		})
	}
	running.Wait()
}
