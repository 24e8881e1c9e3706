package edge

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
)

// watchedPair is a watched connection and its caller's end, with a patrol that the
// test makes itself.
func watchedPair(t *testing.T) (*watchedConn, net.Conn, *patrolled) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := patrol(tcp, 2, new(vm.Counter), new(vm.Counter), new(vm.Counter))
	caller, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); caller.Close(); tcp.Close() })
	return c.(*watchedConn), caller, l
}

// passes lets time go by in which a limit of so many patrols is not over.
func (l *patrolled) passes(n uint64) {
	for range n {
		l.pass()
	}
}

// waits runs do, lets its limit pass once it waits in the state what, and returns
// what do said.
func waits(t *testing.T, c *watchedConn, l *patrolled, what uint64, do func() error) error {
	t.Helper()
	said := make(chan error, 1)
	go func() { said <- do() }()
	for until := time.Now().Add(10 * time.Second); c.state.Load()&(1<<connBits-1) != what; {
		if time.Now().After(until) {
			t.Fatalf("state %x, want %d", c.state.Load(), what)
		}
	}
	l.passes(limitOf[what])
	select {
	case err := <-said:
		t.Fatalf("ended within its limit: %v", err)
	default:
	}
	l.pass()
	select {
	case err := <-said:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("goes on after its limit")
		return nil
	}
}

func TestConnectionLimits(t *testing.T) {
	read := func(c *watchedConn) func() error {
		return func() error { _, err := c.Read(make([]byte, 100)); return err }
	}
	t.Run("first byte", func(t *testing.T) {
		c, _, l := watchedPair(t)
		if err := waits(t, c, l, connNew, read(c)); err != io.EOF {
			t.Error(err)
		}
	})
	t.Run("rest of a request", func(t *testing.T) {
		c, caller, l := watchedPair(t)
		// Bytes that trickle in do not give it more time.
		for range 5 {
			io.WriteString(caller, "a")
			if err := read(c)(); err != nil {
				t.Fatal(err)
			}
			l.passes(limitOf[connReads] / 5)
		}
		io.WriteString(caller, "a")
		if err := read(c)(); err != nil {
			t.Fatalf("at its limit: %v", err)
		}
		// Its limit is over already: the first patrol that finds it waiting ends it.
		said := make(chan error, 1)
		go func() { said <- read(c)() }()
		for until := time.Now().Add(10 * time.Second); ; l.pass() {
			select {
			case err := <-said:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				return
			default:
				if time.Now().After(until) {
					t.Fatal("goes on after its limit")
				}
			}
		}
	})
	t.Run("idle between requests", func(t *testing.T) {
		c, caller, l := watchedPair(t)
		io.WriteString(caller, "a")
		if err := errors.Join(read(c)(), write(c)); err != nil {
			t.Fatal(err)
		}
		c.served = true
		if err := waits(t, c, l, connIdle, read(c)); err != io.EOF {
			t.Error(err)
		}
	})
	t.Run("told to go on", func(t *testing.T) {
		// 100 Continue (RFC 9110, section 15.2.1) is no answer: the rest has the time it had.
		c, caller, l := watchedPair(t)
		io.WriteString(caller, "a")
		_, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
		if err = errors.Join(err, read(c)()); err != nil {
			t.Fatal(err)
		}
		l.passes(limitOf[connReads] - 1)
		_, err = c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan error, 1)
		go func() { said <- read(c)() }()
		for until := time.Now().Add(10 * time.Second); c.state.Load()&(1<<connBits-1) != connReads; {
			if time.Now().After(until) {
				t.Fatalf("state %x: the rest of a request is no wait for the next", c.state.Load())
			}
		}
		l.passes(2)
		if err := <-said; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("told to go on, with a deadline", func(t *testing.T) {
		c, _, _ := watchedPair(t)
		c.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil || !c.deadline {
			t.Errorf("the deadline is gone, %v", err)
		}
	})
	t.Run("a caller that takes no answer", func(t *testing.T) {
		c, _, l := watchedPair(t)
		err := waits(t, c, l, connWrites, func() error {
			_, err := c.Write(make([]byte, 32<<20))
			return err
		})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("the node's own work", func(t *testing.T) {
		c, caller, l := watchedPair(t)
		io.WriteString(caller, "a")
		if err := read(c)(); err != nil {
			t.Fatal(err)
		}
		l.passes(1000)
		if err := write(c); err != nil {
			t.Error("the answer was cut off: ", err)
		}
	})
	t.Run("a deadline in its place", func(t *testing.T) {
		c, caller, l := watchedPair(t)
		c.SetReadDeadline(time.Now().Add(time.Hour))
		l.passes(1000)
		go func() { l.passes(1000); io.WriteString(caller, "a") }()
		if err := read(c)(); err != nil {
			t.Error(err)
		}
		if err := write(c); err != nil { // gives the limits back
			t.Error(err)
		}
		if err := waits(t, c, l, connNew, read(c)); err != io.EOF {
			t.Error(err)
		}
	})
}

func write(c *watchedConn) error {
	_, err := c.Write([]byte("answer"))
	return err
}

// A patrol beside a connection that goes on ends nothing, and what closes is
// forgotten.
func TestPatrolEndsNothingThatGoesOn(t *testing.T) {
	c, caller, l := watchedPair(t)
	var patrols sync.WaitGroup
	stop := make(chan struct{})
	patrols.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				l.pass()
				c.listener.tick.Store(0) // time stands still: only the races of it are wanted
			}
		}
	})
	go func() {
		buffer := make([]byte, 16)
		for range 20000 {
			if _, err := caller.Write([]byte("a")); err != nil {
				return
			}
			if _, err := io.ReadFull(caller, buffer[:6]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 16)
	for i := range 20000 {
		if _, err := c.Read(buffer); err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
		if err := write(c); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	close(stop)
	patrols.Wait()
	c.Close()
	if len(l.connections) != 0 {
		t.Error("a closed connection is still patrolled")
	}
}

// A body whose connection nobody watched is refused, not taken for a whole one.
func TestCutShortNeedsAWatch(t *testing.T) {
	c, caller, _ := watchedPair(t)
	caller.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init2(c, nil, false)
	if !cutShort(&ctx) {
		t.Error("a connection that ended is not known to have")
	}
	defer func() {
		if recover() == nil {
			t.Error("a connection that is not watched is taken to go on")
		}
	}()
	ctx.Init2(struct{ net.Conn }{c}, nil, false)
	cutShort(&ctx)
}

// A caller who begins no handshake, or none to its end, is let go of after the time of a
// request, which is less than the time of an idle connection.
func TestSlowHandshake(t *testing.T) {
	for _, sent := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
		c, caller, l := watchedPair(t)
		c.secure = tls.Server(c.Conn, &tls.Config{MinVersion: tls.VersionTLS12})
		if _, err := caller.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		err := waits(t, c, l, connShakes, func() error {
			_, err := c.Read(make([]byte, 1))
			return err
		})
		if err != io.EOF || l.shook.Get() != 1 {
			t.Errorf("after %q: %v, %d counted", sent, err, l.shook.Get())
		}
	}
}

// A header that goes on in the next line is seen, wherever it stands.
func TestFolded(t *testing.T) {
	for headers, want := range map[string]bool{
		"": false, "\r\n": false, "A: b\r\n\r\n": false, "A: b c\r\nD: e\tf\r\n\r\n": false,
		"A: b\r\n c\r\n\r\n": true, "A:\r\n\tb\r\n\r\n": true, "A: b\n c\n\n": true, "A: b\r\nC: d\r\n \r\n": true,
	} {
		if got := folded([]byte(headers)); got != want {
			t.Errorf("%q: %v", headers, got)
		}
	}
}
