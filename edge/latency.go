package edge

import (
	"fmt"
	"io"
	"math/bits"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// latencyBounds are six a decade where decisions live, from a microsecond to ten
// milliseconds, so that a percentile is known to a factor of 1.7 there, and three a decade
// above. A bound belongs to the bucket that it ends. Chosen.
var latencyBounds = [...]time.Duration{
	1000, 1500, 2000, 3000, 5000, 7000,
	10_000, 15_000, 20_000, 30_000, 50_000, 70_000,
	100_000, 150_000, 200_000, 300_000, 500_000, 700_000,
	1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000,
	10_000_000, 20_000_000, 50_000_000, 100_000_000, 200_000_000, 500_000_000, 1_000_000_000,
}

// latencyCounts are requests by how long they took: up to each of latencyBounds and over
// the one before, and in the last place all that took longer.
type latencyCounts [len(latencyBounds) + 1]uint64

// latencyFrom is the first bound that a number of nanoseconds of so many bits may be
// within.
var latencyFrom = func() (from [65]uint8) {
	for n := range from {
		least := uint64(1) << max(0, n-1)
		for int(from[n]) < len(latencyBounds) && uint64(latencyBounds[from[n]]) < least {
			from[n]++
		}
	}
	return from
}()

// latency counts how long requests take. It is safe for concurrent use, and takes no
// lock: a request adds to two counters.
type latency struct {
	counts      [len(latencyBounds) + 1]atomic.Uint64
	nanoseconds atomic.Uint64
}

// since notes a request that came in at a time and is done now.
func (l *latency) since(came time.Time) { l.note(max(0, time.Since(came))) }

func (l *latency) note(took time.Duration) {
	i := int(latencyFrom[bits.Len64(uint64(took))])
	for i < len(latencyBounds) && took > latencyBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.nanoseconds.Add(uint64(took))
}

// read is what was counted since the start.
func (l *latency) read() (c latencyCounts) {
	for i := range c {
		c[i] = l.counts[i].Load()
	}
	return c
}

// requests are how many were counted.
func (c *latencyCounts) requests() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// write writes a histogram in the Prometheus text form.
func (l *latency) write(w io.Writer, name string) {
	vm.WriteMetadataIfNeeded(w, name, "histogram")
	counts, upTo := l.read(), uint64(0)
	for i, bound := range latencyBounds {
		upTo += counts[i]
		fmt.Fprintf(w, "%s_bucket{le=\"%v\"} %d\n", name, bound.Seconds(), upTo)
	}
	all := counts.requests()
	fmt.Fprintf(w, "%s_bucket{le=\"+Inf\"} %d\n", name, all)
	fmt.Fprintf(w, "%s_sum %g\n%s_count %d\n", name, float64(l.nanoseconds.Load())/1e9, name, all)
}
