package faults

import (
	"net"
	"time"
)

// pump moves the bytes of one direction of a connection, and ends the connection when they end: NATS and HTTP have no use for half of one.
func (p *proxy) pump(l *link, d direction, from, to net.Conn) {
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 && !p.forward(l, d, to, piece[:n]) {
			return
		}
		if err != nil {
			p.finish(l, d)
			return
		}
	}
}

// finish passes on that a side closed, once the proxy passes: a network that loses everything loses this too.
func (p *proxy) finish(l *link, d direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.modes[d] != pass && !l.isDead && !p.closed {
		p.changed.Wait()
	}
	p.endLocked(l, false)
}

// forward does with a piece what the mode says, and reports whether the connection goes on.
func (p *proxy) forward(l *link, d direction, to net.Conn, piece []byte) bool {
	if !p.wait(l, d, len(piece)) {
		return false
	}
	p.mu.Lock()
	lost := p.modes[d] == swallow || l.holed // what follows a hole cannot be delivered either
	if lost {
		p.counts.swallowed[d] += int64(len(piece))
		l.holed = true
	} else {
		p.counts.passed[d] += int64(len(piece))
	}
	p.mu.Unlock()
	if lost {
		return true
	}
	if _, err := to.Write(piece); err != nil {
		p.finish(l, d)
		return false
	}
	return true
}

// wait returns once the piece need not wait any more: after its delay, and when the direction is not held. False: the connection died.
func (p *proxy) wait(l *link, d direction, bytes int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delay := p.delayLocked(); delay > 0 {
		p.counts.delayed++
		p.mu.Unlock()
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-l.dead:
			timer.Stop()
		}
		p.mu.Lock()
	}
	if p.modes[d] == hold && !l.isDead {
		p.counts.held[d] += int64(bytes)
	}
	for p.modes[d] == hold && !l.isDead {
		p.changed.Wait()
	}
	return !l.isDead
}

func (p *proxy) delayLocked() time.Duration {
	if p.jitter <= 0 {
		return p.delay
	}
	return p.delay + time.Duration(p.random.Int64N(int64(p.jitter)))
}
