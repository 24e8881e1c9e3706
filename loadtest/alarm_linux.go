package loadtest

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// alarm waits for short times to within some 10 us. time.Sleep waits in epoll_wait,
// whose unit is the millisecond, so on an idle machine a request due in 50 us would go
// out a millisecond late; a timerfd wakes the same poller when its time has come.
// Not for concurrent use.
type alarm struct {
	file *os.File
	fd   uintptr
	// spec is how timerfd_settime is told: the time between repetitions (none), and
	// that to wait.
	spec    [2]syscall.Timespec
	expired [8]byte
}

func newAlarm() (*alarm, error) {
	const monotonic = 1 // CLOCK_MONOTONIC
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, fmt.Errorf("make timer: %w", errno)
	}
	return &alarm{file: os.NewFile(fd, "timerfd"), fd: fd}, nil
}

// wait returns when d has passed; at once where d is not positive.
func (a *alarm) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	a.spec[1] = syscall.NsecToTimespec(int64(d))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, a.fd, 0, uintptr(unsafe.Pointer(&a.spec)), 0, 0, 0)
	if errno != 0 {
		panic("BUG: timerfd_settime: " + errno.Error())
	}
	if _, err := a.file.Read(a.expired[:]); err != nil {
		time.Sleep(d) // late at worst, and late is measured
	}
}

func (a *alarm) close() { a.file.Close() }
