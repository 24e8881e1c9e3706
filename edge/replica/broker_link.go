package replica

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// link is one connection and what became of it. The library's own IsConnected and LastError wait for the connection's lock, which is held
// while a server is dialled.
type link struct {
	b      *broker
	use    string
	conn   atomic.Pointer[nats.Conn] // nil until the library has returned it
	closed chan struct{}             // closed after the last callback
	state  atomic.Int32              // linkNew, linkUp or linkDown

	mu   sync.Mutex // guards what follows
	last error      // why it does not stand, or what went wrong since it does; nil when nothing did
}

const (
	linkNew = iota
	linkUp
	linkDown
)

func (l *link) up() {
	l.set(nil)
	l.state.Store(linkUp)
	l.b.log.Info("connected to NATS", "connection", l.use)
	l.b.changed()
}

func (l *link) down(err error) {
	l.state.Store(linkDown)
	if err == nil { // by close
		return
	}
	l.set(err)
	l.b.lost.Add(1)
	l.b.log.Warn("connection to NATS lost", "connection", l.use, "error", err.Error())
	l.b.changed()
}

// failed logs what is new only: attempts to connect fail ten times a second, all alike.
func (l *link) failed(err error) {
	if err == nil || errors.Is(err, errLater) {
		return
	}
	if before := l.set(err); before == nil || before.Error() != err.Error() {
		l.b.log.Warn("NATS", "connection", l.use, "error", err.Error())
	}
}

// refused looks for what a server said that does not want us: the library calls nobody for it.
func (l *link) refused() {
	if conn := l.conn.Load(); conn != nil {
		l.failed(conn.LastError())
	}
}

func (l *link) set(err error) (before error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.last = l.last, err
	return before
}

var errNotConnected = errors.New("no server has answered yet")

func (l *link) problem() error {
	if l.state.Load() == linkUp {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		return errNotConnected
	}
	return l.last
}
