package edge

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// crowd is a listener with two places, whose callers come when the test says so.
type crowd struct {
	*patrolled
	t       *testing.T
	addr    string
	turned  *vm.Counter
	callers []net.Conn
}

func newCrowd(t *testing.T, most int, over func(net.Listener) net.Listener) *crowd {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	turned := new(vm.Counter)
	c := &crowd{patrol(over(tcp), most, new(vm.Counter), new(vm.Counter), turned), t, tcp.Addr().String(), turned, nil}
	t.Cleanup(func() {
		tcp.Close()
		for _, caller := range c.callers {
			caller.Close()
		}
	})
	return c
}

func plainListener(l net.Listener) net.Listener { return l }

// call connects one caller.
func (c *crowd) call() net.Conn {
	c.t.Helper()
	caller, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.callers = append(c.callers, caller)
	return caller
}

// comes connects one caller and takes the connection.
func (c *crowd) comes() *watchedConn {
	c.t.Helper()
	c.call()
	w, err := c.Accept()
	if err != nil {
		c.t.Fatal(err)
	}
	return w.(*watchedConn)
}

// Who has a place keeps it whoever comes later; who has none gets one that has become free,
// and a place that was given back twice is one place.
func TestPlacesAreKept(t *testing.T) {
	c := newCrowd(t, 2, plainListener)
	first, second, third := c.comes(), c.comes(), c.comes()
	for range 3 {
		if !c.place(first) || !c.place(second) || c.place(third) {
			t.Fatal("the first two have a place, the third has none")
		}
	}
	if c.turned.Get() != 3 {
		t.Errorf("%d counted", c.turned.Get())
	}
	second.Close()
	second.Close()
	c.place(second) // closed, it takes none
	if !c.place(third) || c.place(c.comes()) || c.taken != 2 {
		t.Errorf("%d places are taken of 2", c.taken)
	}
	first.Close()
	third.Close()
	if c.taken != 0 {
		t.Errorf("%d places are taken by nobody", c.taken)
	}
}

// Beyond those who wait a connection is closed at once, by a plain listener with the reason;
// one that owes a handshake keeps nobody waiting.
func TestNoRoomToWait(t *testing.T) {
	secured := func(l net.Listener) net.Listener { return tls.NewListener(l, &tls.Config{}) }
	for name, over := range map[string]func(net.Listener) net.Listener{"plain": plainListener, "TLS": secured} {
		c := newCrowd(t, 1, over)
		for range waiting(1) {
			c.comes()
		}
		late := []net.Conn{c.call(), c.call()}
		taken := make(chan error, 1)
		go func() { _, err := c.Accept(); taken <- err }()
		for _, caller := range late {
			_ = caller.SetReadDeadline(time.Now().Add(10 * time.Second))
			said, err := io.ReadAll(caller)
			if err != nil || strings.HasPrefix(string(said), "HTTP/1.1 503 ") != (name == "plain") || name == "plain" && !strings.Contains(string(said), "\r\nRetry-After: 1\r\n") {
				t.Errorf("%s: %q, %v", name, said, err)
			}
		}
		c.Listener.Close()
		if err := <-taken; err == nil {
			t.Errorf("%s: one was let in", name)
		}
		if len(c.connections) != waiting(1) || c.turned.Get() != 2 {
			t.Errorf("%s: %d watched, %d counted", name, len(c.connections), c.turned.Get())
		}
	}
}

// What has no worker is told so by whoever takes connections: over TLS it would have to shake
// hands first, with somebody who may be silent, and nobody else would be taken.
func TestNothingIsSaidBeforeTheHandshake(t *testing.T) {
	c := newCrowd(t, 1, func(l net.Listener) net.Listener { return tls.NewListener(l, &tls.Config{}) })
	w, ended := c.comes(), make(chan error, 1)
	go func() {
		_, err := w.Write([]byte(noRoom))
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("written to a caller who shook no hands")
		}
	case <-time.After(10 * time.Second):
		t.Error("a silent caller is waited for")
	}
}

// A connection has its place until it is closed, however long that takes: over TLS seconds,
// where the caller takes nothing. Else there would be more of them than there is room for.
func TestPlaceUntilClosed(t *testing.T) {
	c := newCrowd(t, 1, plainListener)
	w := c.comes()
	slow := &slowClose{w.Conn, make(chan struct{}), make(chan struct{})}
	w.Conn = slow
	closed := make(chan error, 1)
	go func() { closed <- w.Close() }()
	<-slow.begun
	c.mu.Lock()
	taken, watched := c.taken, len(c.connections)
	c.mu.Unlock()
	if taken != 1 || watched != 1 {
		t.Errorf("while it closes, %d places are taken and %d connections watched", taken, watched)
	}
	close(slow.end)
	if err := <-closed; err != nil || c.taken != 0 || len(c.connections) != 0 {
		t.Errorf("closed: %v, %d places, %d connections", err, c.taken, len(c.connections))
	}
}

// slowClose is a connection whose end waits for the test.
type slowClose struct {
	net.Conn
	begun, end chan struct{}
}

func (s *slowClose) Close() error {
	close(s.begun)
	<-s.end
	return s.Conn.Close()
}

// While no place is free, who was never served has a short time to be silent, who was served
// the usual one; while places are free all have that.
func TestStrangersGoFirst(t *testing.T) {
	for _, most := range []int{2, 3} {
		c := newCrowd(t, most, plainListener)
		stranger, known := c.comes(), c.comes()
		known.served = true
		ended := make(chan string, 2)
		for name, w := range map[string]*watchedConn{"stranger": stranger, "known": known} {
			go func() {
				_, _ = w.Read(make([]byte, 1))
				ended <- name
			}()
			for until := time.Now().Add(10 * time.Second); w.state.Load()&(1<<connBits-1) == connBusy; {
				if time.Now().After(until) {
					t.Fatal("nobody reads")
				}
			}
		}
		c.passes(limitFull[connNew] + 1)
		if full := most == 2; full {
			if who := <-ended; who != "stranger" {
				t.Errorf("%s was let go of first", who)
			}
		}
		select {
		case who := <-ended:
			t.Errorf("with %d places: %s was let go of", most, who)
		default:
		}
		c.passes(limitOf[connIdle])
		<-ended
	}
}
