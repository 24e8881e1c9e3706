package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"restraint/edge"
)

// manager tells the service manager, systemd, how the node is: sd_notify(3). The zero
// value tells nobody.
type manager struct {
	socket   string        // $NOTIFY_SOCKET: a path, or @ and an abstract name; "": there is nobody
	watchdog time.Duration // $WATCHDOG_USEC: the node is killed when it is not heard of for so long; 0: it is not
	log      *slog.Logger

	mu   sync.Mutex
	conn *net.UnixConn // kept, since there may be no file left for one when it matters; nil: none
}

// newManager reads the environment that systemd gives a service of Type=notify.
func newManager(lookup func(string) (string, bool), pid int, log *slog.Logger) *manager {
	m := &manager{log: log}
	m.socket, _ = lookup("NOTIFY_SOCKET")
	micros, _ := lookup("WATCHDOG_USEC")
	if of, ok := lookup("WATCHDOG_PID"); ok && of != strconv.Itoa(pid) {
		return m // meant for another process
	}
	if n, err := strconv.ParseInt(micros, 10, 64); err == nil && n > 0 && n < int64(24*time.Hour/time.Microsecond) {
		m.watchdog = time.Duration(n) * time.Microsecond
	}
	return m
}

// tell sends the lines of a state, over a new connection where the one kept fails. Whether
// it arrives changes nothing here: systemd acts on silence.
func (m *manager) tell(lines ...string) {
	if m.socket == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	state := []byte(strings.Join(lines, "\n"))
	if m.conn != nil && send(m.conn, state) == nil {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err == nil {
		if m.conn != nil {
			_ = m.conn.Close()
		}
		m.conn = conn
		err = send(conn, state)
	}
	if err != nil {
		m.log.Warn("the service manager cannot be told", "what", lines[0], "error", err.Error())
	}
}

func send(c *net.UnixConn, state []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := c.Write(state)
	return err
}

// close is to be called last.
func (m *manager) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		_ = m.conn.Close()
		m.conn = nil
	}
}

// reloading tells that the node reads its files again, until the function it returns is
// called. That it is ready is only told again where it was before.
func (m *manager) reloading(ready func() bool) (done func()) {
	if m.socket == "" || !ready() {
		return func() {}
	}
	m.tell("RELOADING=1", "STATUS=Reads keys, certificates and policy again.")
	return func() { m.tell("READY=1", readyStatus) }
}

const (
	readyStatus = "STATUS=Ready."
	// lookEvery is how often a node that is not ready yet looks whether it is. Chosen.
	lookEvery = 100 * time.Millisecond
)

// supervised is a node as the manager sees it.
type supervised struct {
	ready func() bool
	// alive returns an error where the node is stuck: no restart of anything but itself
	// would help it. It takes no longer than the time given.
	alive func(within time.Duration) error
}

// run tells that the node is ready once it is, that it lives while it does, and that it
// stops once ctx ends; from then on TimeoutStopSec watches over it, so the watchdog is
// held off until stop is called, which waits for run's goroutine.
func (m *manager) run(ctx context.Context, w supervised) (stop func()) {
	if m.socket == "" {
		return func() {}
	}
	over := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		m.tell("STATUS=Not ready yet; /readyz says why.")
		for ctx.Err() == nil && !w.ready() {
			pause(ctx.Done(), lookEvery)
		}
		if ctx.Err() == nil {
			m.tell("READY=1", readyStatus)
		}
		m.kick(ctx.Done(), w.alive)
		m.tell("STOPPING=1", "STATUS=Drains.")
		m.kick(over, func(time.Duration) error { return nil })
	})
	return func() {
		close(over)
		running.Wait()
		m.close()
	}
}

// kick tells every half of the watchdog's time that the node is alive, where it is, until
// done. Where it is not it asks again soon: one slow answer in the wrong moment is no
// reason to kill it.
func (m *manager) kick(done <-chan struct{}, alive func(time.Duration) error) {
	if m.watchdog == 0 {
		<-done
		return
	}
	for !isClosed(done) {
		wait := m.watchdog / 2
		if err := alive(m.watchdog / 4); err != nil {
			m.log.Error("this node is stuck, and the service manager is not told that it lives", "error", err.Error(), "killed_after", m.watchdog.String())
			wait = m.watchdog / 16
		} else {
			m.tell("WATCHDOG=1")
		}
		pause(done, wait)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func pause(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// supervisedNode is the node as the manager sees it: alive while it sweeps, and answers on
// its admin listener, which bid traffic does not crowd.
func supervisedNode(node *edge.Node, secure *tls.Config) supervised {
	return supervised{
		ready: node.Ready,
		alive: func(within time.Duration) error {
			return errors.Join(node.Swept(within+sweepSlack, time.Now()), answers(node.AdminAddr(), secure, within))
		},
	}
}

// sweepSlack is what the sweeper, which comes round every second, may be late on a busy machine. Chosen.
const sweepSlack = 3 * time.Second

// noRoom are the failures to ask because callers hold as many connections as the process
// may have: they would after a restart, too.
var noRoom = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// answers asks a listener of this process for /healthz over a new connection, as a caller
// would, and returns an error where no answer comes in time. Any answer is one, also that
// all connections are taken, or that TLS asks for a certificate of another authority: a
// restart mends neither, nor that there is no room to ask. A node that waits for NATS, or is not ready, answers.
func answers(addr string, secure *tls.Config, within time.Duration) error {
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address, secure = "unix", path, nil
	}
	c, err := net.DialTimeout(network, address, within)
	if slices.ContainsFunc(noRoom, func(e syscall.Errno) bool { return errors.Is(err, e) }) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask %s for /healthz: %w", addr, err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(within))
	if secure != nil {
		c = tls.Client(c, secure)
	}
	_, err = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: restraint\r\nConnection: close\r\n\r\n")
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, len("HTTP/1.1 ")))
	}
	if remote := (*net.OpError)(nil); errors.As(err, &remote) && remote.Op == "remote error" {
		return nil // an alert of TLS
	}
	if err != nil {
		return fmt.Errorf("ask %s for /healthz: %w", addr, err)
	}
	return nil
}

// toItself is how this node speaks TLS to its own listeners: it knows whom it asks. It
// shows its own certificate where it asks callers for one.
func toItself(cfg *Config) *tls.Config {
	if cfg.TLS.Cert == "" {
		return nil
	}
	return &tls.Config{
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
			if err != nil {
				return new(tls.Certificate), nil // none: it is refused, which is an answer
			}
			return &pair, nil
		},
	}
}
