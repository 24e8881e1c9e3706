//go:build !unix

package loadtest

import "time"

// cpuUsed is not known here; a report then says 0.
func cpuUsed() time.Duration { return 0 }
