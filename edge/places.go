package edge

import (
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// A listener has places for limits.connections, which connections take as they come and
// keep: whoever has one is not put out by those who come later, however many. Who comes
// when none is free waits for one, with its first request it is told 503 and let go. There
// is room to wait for as many again and a few; beyond that a connection is closed before
// anything is read from it.
//
// While no place is free, those who hold one and were never served (who were silent, sent
// half a handshake, or were refused whatever they asked) have strangerTime rather than the
// time of a caller: silence from one address would else keep everybody who is new out.

// strangerTime is how long a connection that was never served may be silent while no place
// is free. Chosen: an ad server that opens a connection has a request for it.
const strangerTime = 2 * time.Second

// limitFull is limitOf while no place is free.
var limitFull = func() connLimits {
	l := limitOf
	l[connNew], l[connShakes] = uint64(strangerTime/patrolEvery), uint64(strangerTime/patrolEvery)
	return l
}()

// places are those of one listener. The lock of the listener guards them.
type places struct {
	most   int // places
	taken  int
	turned *vm.Counter // connections that had none
}

// full says whether no place is free.
func (p *places) full() bool { return p.taken >= p.most }

// waiting is how many connections a listener with so many places holds at once.
func waiting(most int) int { return 2*most + 100 }

// admit begins to watch a connection, with a place where one is free; false: there is no
// room for it, not even to wait.
func (l *patrolled) admit(c *watchedConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.connections) >= waiting(l.most) {
		return false
	}
	l.connections[c] = struct{}{}
	l.takeLocked(c)
	return true
}

// takeLocked gives c a place if one is free and c was not closed.
func (l *patrolled) takeLocked(c *watchedConn) {
	if _, open := l.connections[c]; open && !l.full() {
		c.placed = true
		l.taken++
	}
}

// place says whether c has a place, for its request; one that is free by now is taken. Once
// it was admitted only its own goroutine writes that it has one, and need not ask for more.
func (l *patrolled) place(c *watchedConn) bool {
	if !c.placed {
		l.mu.Lock()
		l.takeLocked(c)
		l.mu.Unlock()
	}
	if !c.placed {
		l.turned.Inc()
	}
	return c.placed
}

// leave gives the place of a connection back. It may be called again, by anybody.
func (l *patrolled) leave(c *watchedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.connections[c]; open && c.placed {
		l.taken--
	}
	delete(l.connections, c)
}

// turnAway closes a connection for which there is no room. Where it needs no handshake it is
// told why: what is sent fits the empty buffer of a new connection, so nobody is waited for.
func (l *patrolled) turnAway(c *watchedConn) {
	l.turned.Inc()
	if c.secure == nil {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, _ = c.Conn.Write([]byte(noRoom))
		_ = c.Conn.Close()
		return
	}
	_ = c.secure.NetConn().Close() // tls.Conn.Close would send an alert, and wait
}

// noRoom is what a connection is told for which there is no room.
const noRoom = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\nConnection: close\r\n\r\n" +
	`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"all connections are taken (limits.connections); try again"}` + "\n"
