package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long a node is left alone after a failure, doubled with each up to the last; how
// many timeouts in a row are a failure. Chosen: the time a node takes to restart.
const (
	asideLeast   = 200 * time.Millisecond
	asideMost    = 2 * time.Second
	fewTimeouts  = 3
	connReserved = 8 // idle connections that the list has room for at first
)

// route is one path on all nodes. Decides and reports have connections and health of
// their own: a node whose disk is full still decides.
type route struct {
	nodes   []*node
	next    atomic.Uint32
	timeout time.Duration
	answer  int // most bytes of an answer
	epoch   time.Time
}

func newRoute(o *Options, config *tls.Config, path, contentType string, timeout time.Duration, answer int) *route {
	r := &route{timeout: timeout, answer: answer, epoch: time.Now()}
	for _, addr := range o.Addrs {
		host, secure := addr, (*tls.Config)(nil)
		if dialled, ok := strings.CutPrefix(addr, secureScheme); ok {
			host, secure = dialled, forNode(config, dialled)
		}
		if strings.HasPrefix(addr, "unix:") {
			host = "node"
		}
		head := "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: restraint-client\r\nContent-Type: " + contentType + "\r\n"
		if o.Key != "" {
			head += "Authorization: Bearer " + o.Key + "\r\n"
		}
		r.nodes = append(r.nodes, &node{
			addr: addr, dialled: strings.TrimPrefix(addr, secureScheme), secure: secure, head: head + "Content-Length: ",
			slots: make(chan struct{}, o.Connections), idle: make([]*conn, 0, connReserved),
		})
	}
	return r
}

func (r *route) close() {
	for _, n := range r.nodes {
		n.closeIdle()
	}
}

// pick chooses a node that was not tried: the next of those that answer, else of those
// that fail fast, else one that hangs and that nobody else is trying (probe). Nil: none.
func (r *route) pick(tried uint64, now time.Time) (n *node, i int, probe bool) {
	at := now.Sub(r.epoch)
	start := int(r.next.Add(1) % uint32(len(r.nodes)))
	fast, slow := -1, -1
	for k := range r.nodes {
		i := (start + k) % len(r.nodes)
		n := r.nodes[i]
		switch {
		case tried&(1<<i) != 0:
		case n.hangs.Load():
			// Once its time is over somebody has to try it; until then only for want of others.
			if at >= n.until() && n.probing.CompareAndSwap(false, true) {
				return n, i, true
			}
			slow = i
		case at >= n.until():
			return n, i, false
		case fast < 0:
			fast = i
		}
	}
	if fast >= 0 {
		return r.nodes[fast], fast, false
	}
	if slow >= 0 && r.nodes[slow].probing.CompareAndSwap(false, true) {
		return r.nodes[slow], slow, true
	}
	return nil, -1, false
}

// aside passes a node over for a while.
func (r *route) aside(n *node, hangs bool) {
	now := time.Since(r.epoch)
	if now < n.until() {
		return // one failure that many calls met
	}
	failures := n.failures.Add(1)
	wait := asideMost
	if failures < uint32(bits.Len64(uint64(asideMost/asideLeast))) {
		wait = asideLeast << (failures - 1)
	}
	n.asideUntil.Store(int64(now + wait))
	n.hangs.Store(hangs)
}

// node is one address under one path.
type node struct {
	addr, head string // the request up to the value of Content-Length
	dialled    string
	secure     *tls.Config // nil: it has no TLS

	asideUntil atomic.Int64  // since the route's epoch, ns; 0: it answers
	failures   atomic.Uint32 // in a row
	timeouts   atomic.Uint32 // in a row
	hangs      atomic.Bool   // it was set aside for timeouts
	probing    atomic.Bool   // one call is trying a node that hangs

	slots chan struct{} // one taken for each connection in use
	mu    sync.Mutex
	idle  []*conn // the one used last at the end
}

func (n *node) until() time.Duration { return time.Duration(n.asideUntil.Load()) }

// answers notes that the node is well.
func (n *node) answers() {
	if n.asideUntil.Load() != 0 {
		n.asideUntil.Store(0)
	}
	if n.failures.Load() != 0 {
		n.failures.Store(0)
	}
	if n.timeouts.Load() != 0 {
		n.timeouts.Store(0)
	}
	if n.hangs.Load() {
		n.hangs.Store(false)
	}
}

// errBusy is for a pool whose connections all stayed in use.
var errBusy = errors.New("all connections to it are in use: raise Connections")

// take returns a connection with its deadline set: one that is idle and alive, unless
// fresh, or a new one. What it takes has to be put back or dropped.
func (n *node) take(ctx context.Context, deadline time.Time, fresh bool) (*conn, error) {
	select {
	case n.slots <- struct{}{}:
	default:
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		select {
		case n.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, errBusy
		case <-timer.C:
			return nil, errBusy
		}
	}
	for !fresh {
		c := n.pop()
		if c == nil {
			break
		}
		if time.Since(c.last) < idleTime && c.SetDeadline(deadline) == nil && c.alive() {
			return c, nil
		}
		c.Close()
	}
	c, err := dial(ctx, n.dialled, n.secure, deadline)
	if err == nil {
		if err = c.SetDeadline(deadline); err == nil {
			return c, nil
		}
		c.Close()
	}
	<-n.slots
	return nil, err
}

func (n *node) pop() *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := len(n.idle) - 1
	if last < 0 {
		return nil
	}
	c := n.idle[last]
	n.idle[last], n.idle = nil, n.idle[:last]
	return c
}

// put gives a connection back, and closes one that was idle for too long.
func (n *node) put(c *conn) {
	c.used, c.last = true, time.Now()
	var old *conn
	n.mu.Lock()
	n.idle = append(n.idle, c)
	if c.last.Sub(n.idle[0].last) > idleTime {
		old = n.idle[0]
		copy(n.idle, n.idle[1:])
		n.idle = n.idle[:len(n.idle)-1]
	}
	n.mu.Unlock()
	if old != nil {
		old.Close()
	}
	<-n.slots
}

func (n *node) drop(c *conn) {
	c.Close()
	<-n.slots
}

// closeIdle closes the connections that nobody uses.
func (n *node) closeIdle() {
	n.mu.Lock()
	idle := n.idle
	n.idle = nil
	n.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

// appendWire appends a whole request with that body.
func (n *node) appendWire(dst, body []byte) []byte {
	dst = append(dst, n.head...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}
