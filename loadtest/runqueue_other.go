//go:build !linux

package loadtest

import "time"

// processorWait is not known here; a report then says 0.
func processorWait() time.Duration { return 0 }
