package faults

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echoed is a proxy before a server that sends back what it gets.
func echoed(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	p, err := openProxy(l.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.close()
		l.Close()
		running.Wait()
	})
	return p
}

func dialed(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", p.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// turnedAway wants a new connection to be reset, while it is made or right after.
func turnedAway(t *testing.T, p *proxy) {
	t.Helper()
	c, err := net.Dial("tcp4", p.addr())
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
}

func say(t *testing.T, c net.Conn, words string) {
	t.Helper()
	if _, err := c.Write([]byte(words)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, words string) {
	t.Helper()
	heard := make([]byte, len(words))
	if _, err := io.ReadFull(c, heard); err != nil || string(heard) != words {
		t.Fatalf("heard %q, %v, want %q", heard, err, words)
	}
}

// until polls, with a deadline that only a hang reaches.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: not %s", patience, what)
		}
		pause()
	}
}

// pause is the step of a poll.
func pause() { <-time.After(5 * time.Millisecond) }

func TestProxyPasses(t *testing.T) {
	p := echoed(t)
	c := dialed(t, p)
	words := bytes.Repeat([]byte("0123456789"), 100_000)
	go c.Write(words)
	hear(t, c, string(words))
	if s := p.stats(); s.accepted != 1 || s.openConnections != 1 || s.passed != [2]int64{1e6, 1e6} || s.swallowed != [2]int64{} {
		t.Errorf("%+v", s)
	}
	c.Close()
	until(t, "closed", func() bool { return p.stats().openConnections == 0 })
}

// What is held comes, whole and in order, when the proxy passes again.
func TestProxyHolds(t *testing.T) {
	for _, d := range []direction{toServer, toClient} {
		p := echoed(t)
		c := dialed(t, p)
		say(t, c, "before")
		hear(t, c, "before")
		p.set(d, hold)
		say(t, c, "held")
		until(t, "held", func() bool { return p.stats().held[d] == 4 })
		say(t, c, "more")
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("heard something while held: %v", err)
		}
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		p.set(d, pass)
		hear(t, c, "heldmore")
	}
}

// A cut of one way loses bytes of that way only, and the connection stays until it is healed, when it is reset.
func TestProxyCutsOneWay(t *testing.T) {
	for _, d := range []direction{toServer, toClient} {
		p := echoed(t)
		c := dialed(t, p)
		say(t, c, "before")
		hear(t, c, "before")
		p.set(d, swallow)
		say(t, c, "lost")
		until(t, "swallowed", func() bool { return p.stats().swallowed[d] == 4 })
		s := p.stats()
		if s.swallowed[1-d] != 0 || s.openConnections != 1 || s.holedOnes != 1 {
			t.Errorf("%+v", s)
		}
		p.heal()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after healing: %v", err)
		}
		again := dialed(t, p)
		say(t, again, "after")
		hear(t, again, "after")
		if s := p.stats(); s.reset != 1 || s.accepted != 2 {
			t.Errorf("%+v", s)
		}
	}
}

func TestProxyCutsBoth(t *testing.T) {
	p := echoed(t)
	quiet, c := dialed(t, p), dialed(t, p)
	say(t, quiet, "x")
	hear(t, quiet, "x")
	p.cut()
	say(t, c, "lost")
	until(t, "swallowed", func() bool { return p.stats().swallowed[toServer] == 4 })
	p.heal()
	say(t, quiet, "lost nothing") // so it is as it was
	hear(t, quiet, "lost nothing")
}

func TestProxyResetsAndRefuses(t *testing.T) {
	p := echoed(t)
	c := dialed(t, p)
	say(t, c, "x")
	hear(t, c, "x")
	p.refuseNew(true)
	if n := p.resetAll(); n != 1 {
		t.Errorf("%d reset", n)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	turnedAway(t, p)
	if s := p.stats(); s.reset != 1 || s.refused != 1 || s.openConnections != 0 {
		t.Errorf("%+v", s)
	}
	p.heal()
	c = dialed(t, p)
	say(t, c, "again")
	hear(t, c, "again")
}

func TestProxyDelays(t *testing.T) {
	p := echoed(t)
	c := dialed(t, p)
	p.slow(5*time.Millisecond, 10*time.Millisecond)
	begun := time.Now()
	say(t, c, "x")
	hear(t, c, "x")
	if took, s := time.Since(begun), p.stats(); took < 10*time.Millisecond || s.delayed != 2 {
		t.Errorf("%v, %+v", took, s)
	}
}

// A server that is away resets its clients; one that comes back is reached.
func TestProxyWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p, err := openProxy(l.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	turnedAway(t, p)
	if s := p.stats(); s.targetGone != 1 {
		t.Errorf("%+v", s)
	}
}

// Under everything at once it neither hangs nor loses its count.
func TestProxyConcurrently(t *testing.T) {
	p := echoed(t)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 30 {
				c, err := net.Dial("tcp4", p.addr())
				if err != nil {
					continue
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
				_, _ = c.Write([]byte("words"))
				_, _ = c.Read(make([]byte, 5))
				c.Close()
			}
		})
	}
	for i := range 200 {
		[]func(){p.pause, p.cut, p.heal, func() { p.resetAll() }, func() { p.slow(time.Millisecond, time.Millisecond) }}[i%5]()
		p.stats()
	}
	p.heal()
	running.Wait()
	until(t, "empty", func() bool { return p.stats().openConnections == 0 })
}
