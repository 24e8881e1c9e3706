package replica

import (
	"errors"
	"slices"
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

	mu    sync.Mutex // guards what follows
	last  error      // why it does not stand, or what went wrong since it does; nil when nothing did
	texts []string   // of all that went wrong since it last stood; at most maxTexts
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
	l.b.log.Warn("connection to NATS lost", "connection", l.use, "error", withMend(err).Error())
	l.b.changed()
}

// failed logs what is new only: attempts to connect fail ten times a second, each server's in its own words.
func (l *link) failed(err error) {
	if err == nil || errors.Is(err, errLater) {
		return
	}
	if l.set(err) {
		l.b.log.Warn("NATS", "connection", l.use, "error", withMend(err).Error())
	}
}

// refused looks for what a server said that does not want us: the library calls nobody for it.
func (l *link) refused() {
	if conn := l.conn.Load(); conn != nil {
		l.failed(conn.LastError())
	}
}

// maxTexts bounds what is logged of one outage: some errors name a port that is another each time. Chosen: a few for each of five servers.
const maxTexts = 16

// set keeps the error, nil for none, and says whether its text is new since the connection last stood.
func (l *link) set(err error) (fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
	if err == nil {
		l.texts = l.texts[:0]
		return false
	}
	if len(l.texts) == maxTexts || slices.Contains(l.texts, err.Error()) {
		return false
	}
	l.texts = append(l.texts, err.Error())
	return true
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
