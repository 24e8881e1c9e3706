package loadtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// processorWait is how long this process' threads have been ready to run and had no
// processor, so far, in sum: the second number of each schedstat (Linux, Documentation/
// scheduler/sched-stats.rst). 0 where the kernel does not say. Threads that have ended
// are not in it, so it is a lower bound.
func processorWait() time.Duration {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0
	}
	sum := int64(0)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if fields := bytes.Fields(text); len(fields) > 1 {
			ns, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err == nil {
				sum += ns
			}
		}
	}
	return time.Duration(sum)
}
