package loadtest

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// More goroutines that never rest than there are processors: some thread waits for one.
func TestProcessorWait(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not known on this system")
	}
	before := runtime.GOMAXPROCS(4 * runtime.NumCPU())
	defer runtime.GOMAXPROCS(before)
	from, deadline := processorWait(), time.Now().Add(10*time.Second)
	var all sync.WaitGroup
	for range 4 * runtime.NumCPU() {
		all.Go(func() {
			for processorWait() <= from && time.Now().Before(deadline) {
			}
		})
	}
	all.Wait()
	if processorWait() <= from {
		t.Error("nobody waited for a processor")
	}
}
