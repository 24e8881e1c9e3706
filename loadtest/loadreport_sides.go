package loadtest

// Generator is the load generator's own part in what was measured.
type Generator struct {
	// Lag is how late requests were sent by the generator's own fault: from the intended
	// time, or from when a connection became free if that is later, to the write. It is in
	// every corrected latency. Empty in a closed loop.
	Lag Percentiles `json:"lag"`
	// Wait is how long requests that found every connection busy waited for one (Late
	// of them); zero for the others.
	Wait Percentiles `json:"wait"`
	// MostOutstanding is the most requests that were under way at one time.
	MostOutstanding int `json:"most_outstanding"`
	// CPUSeconds is what the whole process used in the window, user and system; with a
	// target in the same process, that is in it.
	CPUSeconds      float64 `json:"cpu_seconds"`
	CPUUSPerRequest float64 `json:"cpu_us_per_request"`
	// CPUShare is CPUSeconds over Report.Seconds: 1 is one processor, busy all the time.
	CPUShare float64 `json:"cpu_share"`
	// ProcessorWaitSeconds is how long its threads, in sum, were ready to run and had no
	// processor, because the node or other work had them; 0 where the system does not say.
	ProcessorWaitSeconds float64 `json:"processor_wait_seconds"`
	// Reconnects are connections dialled again during the window.
	Reconnects int64 `json:"reconnects"`
}

// ServerSide is the difference of two scrapes of the node's metrics, before and after
// the window. Requests of others to the same node are in it.
type ServerSide struct {
	// Decides is how many decide requests the node timed.
	Decides int64 `json:"decides"`
	// MeanUS, P50US, P99US and P999US are of the time in the node, from when its server
	// began with a request to when the answer was ready, without the network. The
	// percentiles are interpolated within Buckets.
	MeanUS float64 `json:"mean_us"`
	P50US  float64 `json:"p50_us"`
	P99US  float64 `json:"p99_us"`
	P999US float64 `json:"p99_9_us"`
	// Buckets is the histogram itself.
	Buckets []ServerBucket `json:"buckets"`
	// CPUSeconds is what the node's process used; 0 where it does not say.
	CPUSeconds float64 `json:"cpu_seconds"`
	// CPUUSPerRequest is over the requests that this generator completed.
	CPUUSPerRequest float64 `json:"cpu_us_per_request"`
	// ResidentBytes is the node's memory after the window.
	ResidentBytes int64 `json:"resident_bytes"`
}

// ServerBucket is one bucket of the node's histogram.
type ServerBucket struct {
	// UpToUS is the inclusive upper bound; 0 in the last bucket, which has none.
	UpToUS float64 `json:"up_to_us"`
	// Count is of this bucket alone, not cumulative.
	Count int64 `json:"count"`
}
