//go:build unix

package loadtest

import (
	"syscall"
	"time"
)

// cpuUsed is the processor time of this process so far, user and system.
func cpuUsed() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
