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
		l := patrol(&failing{errs: []error{full, full, os.NewSyscallError("accept4", syscall.ECONNABORTED), full, nil, net.ErrClosed}}, failed)
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
