package main

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// diesWithParent has the kernel end a child when this program is killed.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup kills a process and all that it started.
func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// processTime is the processor time, user and system, that a process has used in all
// its threads, to the nanosecond: the clock of another process, as
// clock_getcpuclockid(3) makes its number.
func processTime(pid int) (time.Duration, error) {
	const scheduled = 2 // the kernel's CPUCLOCK_SCHED
	var ts syscall.Timespec
	clock := ^pid<<3 | scheduled
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}
