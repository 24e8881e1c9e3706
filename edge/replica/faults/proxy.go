package faults

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// direction is one way through a proxy.
type direction int

const (
	toServer direction = iota
	toClient
)

// passing is what a proxy does with the bytes of one direction.
type passing int

const (
	pass    passing = iota
	hold            // keep them, in order, until the proxy passes again; the sender feels it once the buffers are full
	swallow         // take them and lose them; the sender feels nothing
)

// proxyCounts is what a proxy did, and so what proves that a fault took place. Arrays are by direction.
type proxyCounts struct {
	accepted, refused, reset   int // connections
	passed, held, swallowed    [2]int64
	delayed                    int64 // pieces that waited
	targetGone                 int   // connections whose server could not be reached
	openConnections, holedOnes int   // at the moment
}

// proxy is a TCP proxy with faults. Its methods may be called concurrently. As TCP never delivers a stream with a hole, a connection that
// lost bytes is reset when the proxy heals.
type proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // a mode, or a link that died
	modes   [2]passing
	delay   time.Duration // of each piece that is read, and with it of all behind it
	jitter  time.Duration // added, at most
	refuse  bool
	closed  bool
	random  *rand.Rand
	links   map[*link]bool
	counts  proxyCounts
}

// link is one connection through a proxy.
type link struct {
	client, server net.Conn
	dead           chan struct{} // closed with it
	isDead         bool          // guarded by the proxy's mu, as is holed
	holed          bool
}

// openProxy listens on a free port of the loopback and forwards to target. seed is that of the jitter.
func openProxy(target string, seed uint64) (*proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, random: rand.New(rand.NewPCG(seed, 1)), links: map[*link]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// close ends all connections and waits for them.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.resetAll()
	p.running.Wait()
}

// set says what is done with the bytes of one direction from now on. To pass again what was swallowed, heal.
func (p *proxy) set(d direction, m passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.modes[d] = m
	p.changed.Broadcast()
}

// pause holds both directions.
func (p *proxy) pause() { p.set(toServer, hold); p.set(toClient, hold) }

// cut swallows both directions.
func (p *proxy) cut() { p.set(toServer, swallow); p.set(toClient, swallow) }

// slow delays every piece by delay and up to jitter more.
func (p *proxy) slow(delay, jitter time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.jitter = delay, jitter
}

// refuseNew resets new connections; those that are open stay.
func (p *proxy) refuseNew(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// resetAll resets the open connections, with RST and not FIN, and returns how many.
func (p *proxy) resetAll() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		p.resetLocked(l)
		n++
	}
	return n
}

// heal passes everything again at once.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.modes, p.delay, p.jitter, p.refuse = [2]passing{}, 0, 0, false
	for l := range p.links {
		if l.holed {
			p.resetLocked(l)
		}
	}
	p.changed.Broadcast()
}

func (p *proxy) stats() proxyCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	c.openConnections = len(p.links)
	for l := range p.links {
		if l.holed {
			c.holedOnes++
		}
	}
	return c
}

func (p *proxy) resetLocked(l *link) {
	if p.endLocked(l, true) {
		p.counts.reset++
	}
}

// endLocked closes both sides once, with RST or FIN.
func (p *proxy) endLocked(l *link, rst bool) bool {
	if l.isDead {
		return false
	}
	l.isDead = true
	close(l.dead)
	for _, c := range []net.Conn{l.client, l.server} {
		if rst {
			_ = c.(*net.TCPConn).SetLinger(0) // else it is a FIN: no harm
		}
		c.Close()
	}
	delete(p.links, l)
	p.changed.Broadcast()
	return true
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.running.Go(func() { p.connect(client) })
	}
}

// connect joins a client to the server.
func (p *proxy) connect(client net.Conn) {
	p.mu.Lock()
	p.counts.accepted++
	refuse := p.refuse || p.closed
	if refuse {
		p.counts.refused++
	}
	p.mu.Unlock()
	if refuse {
		_ = client.(*net.TCPConn).SetLinger(0)
		client.Close()
		return
	}
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.closed {
		p.counts.targetGone++
		_ = client.(*net.TCPConn).SetLinger(0)
		client.Close()
		if server != nil {
			server.Close()
		}
		return
	}
	l := &link{client: client, server: server, dead: make(chan struct{})}
	p.links[l] = true
	p.running.Go(func() { p.pump(l, toServer, client, server) })
	p.running.Go(func() { p.pump(l, toClient, server, client) })
}
