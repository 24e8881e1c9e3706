package edge

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// failing is a listener whose next connections fail, and which counts them.
type failing struct {
	net.Listener
	errs []error
}

func (l *failing) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	}
	here, there := net.Pipe()
	there.Close()
	return here, nil
}

// A node that has no room for one more connection, or whose caller went away before it
// was taken, waits a little and goes on; a listener that was closed ends.
func TestAcceptGoesOn(t *testing.T) {
	full := os.NewSyscallError("accept4", syscall.EMFILE)
	synctest.Test(t, func(t *testing.T) {
		failed := new(vm.Counter)
		l := patrol(&failing{errs: []error{full, full, os.NewSyscallError("accept4", syscall.ECONNABORTED), full, nil, net.ErrClosed}}, 1, failed, new(vm.Counter), new(vm.Counter))
		began := time.Now()
		if _, err := l.Accept(); err != nil {
			t.Fatalf("a full node stops listening: %v", err)
		}
		if waited := time.Since(began); waited != 4*acceptAgain {
			t.Errorf("waited %v", waited)
		}
		if failed.Get() != 4 {
			t.Errorf("%d counted", failed.Get())
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// A caller that is gone without a word is found out, idle connections too.
func TestKeepAlive(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	s, err := n.newServer("127.0.0.1:0", n.serveBid, bidLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	caller, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	c, err := s.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*watchedConn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on, idle int
	_ = raw.Control(func(fd uintptr) {
		on, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		idle, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
	})
	if want := int(keepAlive / time.Second); on != 1 || idle != want {
		t.Errorf("keep-alive %d, after %d s, want %d s", on, idle, want)
	}
}
