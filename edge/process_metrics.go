package edge

import (
	"fmt"
	"io"
	"math"
	"runtime"
	rt "runtime/metrics"
	"strings"

	vm "github.com/VictoriaMetrics/metrics"
)

// runtimeMetrics are what /metrics says of the Go runtime, by its name there
// (package runtime/metrics).
var runtimeMetrics = []struct{ from, name string }{
	{"/sched/goroutines:goroutines", "go_goroutines"},
	{"/sched/gomaxprocs:threads", "go_sched_gomaxprocs_threads"},
	{"/sched/latencies:seconds", "go_sched_latencies_seconds"},
	{"/sync/mutex/wait/total:seconds", "go_sync_mutex_wait_seconds_total"},
	{"/sched/pauses/total/gc:seconds", "go_gc_pauses_seconds"},
	{"/gc/cycles/total:gc-cycles", "go_gc_cycles_total"},
	{"/cpu/classes/gc/total:cpu-seconds", "go_gc_cpu_seconds_total"},
	{"/gc/heap/allocs:bytes", "go_gc_heap_allocs_bytes_total"},
	{"/gc/heap/live:bytes", "go_gc_heap_live_bytes"},
	{"/gc/heap/goal:bytes", "go_gc_heap_goal_bytes"},
	{"/gc/gomemlimit:bytes", "go_memlimit_bytes"},
	{"/memory/classes/total:bytes", "go_memory_bytes"},
	{"/memory/classes/heap/objects:bytes", "go_memory_heap_objects_bytes"},
	{"/memory/classes/heap/released:bytes", "go_memory_heap_released_bytes"},
}

// runtimeBounds are some of the runtime's own bounds, in seconds: 1 us, 8 us, 66 us, 0.5 ms,
// 4 ms, 34 ms, 0.3 s and 2 s, near enough. Chosen.
var runtimeBounds = []float64{64e-9 * (1 << 4), 64e-9 * (1 << 7), 64e-9 * (1 << 10), 64e-9 * (1 << 13), 64e-9 * (1 << 16), 64e-9 * (1 << 19), 64e-9 * (1 << 22), 64e-9 * (1 << 25)}

// writeProcess writes what is known of the process: processor, memory, files, and
// the Go runtime.
func writeProcess(w io.Writer) {
	samples := make([]rt.Sample, len(runtimeMetrics))
	for i, m := range runtimeMetrics {
		samples[i].Name = m.from
	}
	rt.Read(samples)
	for i, m := range runtimeMetrics {
		switch v := samples[i].Value; v.Kind() {
		case rt.KindUint64:
			vm.WriteGaugeUint64(w, m.name, v.Uint64())
		case rt.KindFloat64:
			vm.WriteGaugeFloat64(w, m.name, v.Float64())
		case rt.KindFloat64Histogram:
			writeRuntimeHistogram(w, m.name, v.Float64Histogram())
		}
	}
	_, _ = fmt.Fprintf(w, "go_info{%s} 1\n", label("version", runtime.Version()))
	vm.WriteProcMetrics(w)
	vm.WriteFDMetrics(w)
}

// writeRuntimeHistogram writes a histogram of the runtime in runtimeBounds. The runtime
// has no sum: each value is taken for the middle of its bucket there, which is at most an
// eighth off.
func writeRuntimeHistogram(w io.Writer, name string, h *rt.Float64Histogram) {
	var text strings.Builder
	sum, count, bounds := 0.0, uint64(0), runtimeBounds
	for i, n := range h.Counts {
		low, high := h.Buckets[i], h.Buckets[i+1]
		for len(bounds) > 0 && low >= bounds[0]*(1-1e-9) { // which are computed otherwise there
			fmt.Fprintf(&text, "%s_bucket{le=\"%g\"} %d\n", name, bounds[0], count)
			bounds = bounds[1:]
		}
		count += n
		switch {
		case n == 0:
		case math.IsInf(high, 1):
			sum += float64(n) * low
		default:
			sum += float64(n) * (max(low, 0) + high) / 2
		}
	}
	for _, bound := range bounds {
		fmt.Fprintf(&text, "%s_bucket{le=\"%g\"} %d\n", name, bound, count)
	}
	_, _ = fmt.Fprintf(w, "%s%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n", text.String(), name, count, name, sum, name, count)
}
