package loadtest

import "time"

// ReportSchema names the form of a Report. It changes where a field changes its
// meaning or goes; a field that is added does not change it.
const ReportSchema = "restraint.load/1"

// Outcomes of a load test.
const (
	OutcomePass    = "pass"    // every objective met, or none given
	OutcomeMissed  = "missed"  // an objective was missed
	OutcomeInvalid = "invalid" // the figures do not describe the target
)

// Report is everything that a load test found. All times of one answer are in
// microseconds, all rates per second over the measured window. With
// LoadOptions.FindKnee everything but Knee is about the step with the highest rate
// that met the objectives, else about the first step.
type Report struct {
	// Schema is ReportSchema.
	Schema string `json:"schema"`
	// Outcome is pass, missed or invalid.
	Outcome string `json:"outcome"`
	// Validity says whether the figures describe the target.
	Validity Validity `json:"validity"`
	// CutShort is why the run ended early; "" where it did not. All figures then cover
	// what was run.
	CutShort string `json:"cut_short,omitempty"`
	// Notes are what a reader should know beside the figures, as sentences.
	Notes []string `json:"notes,omitempty"`
	// StartedAt is when the measured window began, after connecting and warming up.
	StartedAt time.Time `json:"started_at"`
	// Seconds is the length of the measured window, from its first intended send to
	// the last, as scheduled or cut short. Waiting for the last answers is not in it.
	Seconds float64 `json:"seconds"`

	Machine LoadMachine `json:"machine"`
	Config  LoadConfig  `json:"config"`
	Target  LoadTarget  `json:"target"`

	Requests LoadRequests `json:"requests"`
	// Errors are failed requests by kind, most frequent first: connect, timeout, closed,
	// broken (the connection failed in another way), malformed (not HTTP, or not an
	// answer of a node), http_NNN, rejected (an event that was refused), not_sent (due,
	// but the run ended before its turn came). Each failed request is in one of them.
	Errors []Count `json:"errors"`
	// Verdicts counts what was answered to decide requests, one for each candidate
	// judged.
	Verdicts LoadVerdicts `json:"verdicts"`

	// Latency is of decide requests where there were any, else of all.
	Latency Latency `json:"latency"`
	// Spectrum holds the whole distributions behind Latency, for plots.
	Spectrum Spectrum `json:"spectrum"`
	// Kinds has each kind of request by itself, in the order of the mix.
	Kinds []KindLatency `json:"kinds"`
	// Timeline is the run in steps of time, for plots.
	Timeline Timeline `json:"timeline"`

	// Generator is what the load generator itself did and cost.
	Generator Generator `json:"generator"`
	// Server is what the node's own metrics say of the same window; nil where they
	// could not be read, which Notes then say.
	Server *ServerSide `json:"server,omitempty"`

	// SLOs are the objectives given, in their order.
	SLOs []SLOResult `json:"slos"`
	// Knee is the search for the highest rate that meets the objectives; nil where
	// none was asked for.
	Knee *Knee `json:"knee,omitempty"`
	// Oracle is the recount of the verdicts; nil where none was asked for.
	Oracle *LoadRecount `json:"oracle,omitempty"`
}

// Validity says whether a run can be trusted to describe the target.
type Validity struct {
	Valid bool `json:"valid"`
	// Reasons are sentences, empty where the run is valid.
	Reasons []string `json:"reasons,omitempty"`
}

// LoadRequests counts the requests of the measured window.
type LoadRequests struct {
	// Offered were due in the window.
	Offered int64 `json:"offered"`
	// Started were written to a connection, or tried to be.
	Started int64 `json:"started"`
	// Completed have an HTTP answer, whatever its status.
	Completed int64 `json:"completed"`
	// Good are answered as a healthy node answers: 200 with verdicts, 202 with the event
	// accepted.
	Good int64 `json:"good"`
	// Late found every connection busy when they were due, and waited for one. Their
	// corrected latency counts that. It means that the target did not keep up, or
	// that there were too few connections.
	Late int64 `json:"late"`
	// Substituted were to be events of something shown before, when nothing shown was
	// waiting to be reported, and were decide requests instead.
	Substituted int64 `json:"substituted"`

	// The rates are each count over Report.Seconds.
	OfferedPerSecond   float64 `json:"offered_per_second"`
	StartedPerSecond   float64 `json:"started_per_second"`
	CompletedPerSecond float64 `json:"completed_per_second"`
	GoodPerSecond      float64 `json:"good_per_second"`

	// BytesSent and BytesReceived include the headers.
	BytesSent     int64 `json:"bytes_sent"`
	BytesReceived int64 `json:"bytes_received"`
}

// LoadVerdicts counts verdicts.
type LoadVerdicts struct {
	Decisions int64 `json:"decisions"`
	Shown     int64 `json:"shown"`
	Skipped   int64 `json:"skipped"`
	// Reasons are those of the skipped, most frequent first. Brief answers have none.
	Reasons []Count `json:"reasons"`
}

// Latency is how long requests took, in two ways.
type Latency struct {
	// Of is what requests these are: decide, or all.
	Of string `json:"of"`
	// Corrected is from the intended send time to the last byte of the answer, so that
	// the wait of requests which could not be sent in time counts (no coordinated
	// omission). A request that was never sent counts as what it had waited when the
	// run ended; one that failed, as the time until it failed.
	Corrected Percentiles `json:"corrected"`
	// Service is from the write of the request to the last byte of the answer, of
	// those that were answered: what a closed loop would have seen.
	Service Percentiles `json:"service"`
}

// Percentiles of one distribution, in microseconds, to three significant digits.
type Percentiles struct {
	Count  int64   `json:"count"`
	MinUS  float64 `json:"min_us"`
	MeanUS float64 `json:"mean_us"`
	// StdDevUS is the standard deviation.
	StdDevUS float64 `json:"stddev_us"`
	P50US    float64 `json:"p50_us"`
	P75US    float64 `json:"p75_us"`
	P90US    float64 `json:"p90_us"`
	P95US    float64 `json:"p95_us"`
	P99US    float64 `json:"p99_us"`
	P999US   float64 `json:"p99_9_us"`
	// P9999US is the same as MaxUS where there are less than 10,000.
	P9999US float64 `json:"p99_99_us"`
	MaxUS   float64 `json:"max_us"`
}

// Spectrum holds the distributions behind a Latency: points at ever finer quantiles
// (5 for each halving of the distance to 1), as in an .hgrm file.
type Spectrum struct {
	Corrected []SpectrumPoint `json:"corrected"`
	Service   []SpectrumPoint `json:"service"`
}

// SpectrumPoint says that Count requests, a share of Quantile, took ValueUS or less.
type SpectrumPoint struct {
	// Quantile is from 0 to 1; 1 is the last point alone.
	Quantile float64 `json:"quantile"`
	ValueUS  float64 `json:"value_us"`
	Count    int64   `json:"count"`
}

// KindLatency is one kind of request.
type KindLatency struct {
	// Kind is decide, impression, click, purchase or hide.
	Kind string `json:"kind"`
	// Offered does not have those that were not sent, which are of no kind; what they had
	// waited is in Corrected of decide.
	Offered   int64       `json:"offered"`
	Good      int64       `json:"good"`
	Failed    int64       `json:"failed"`
	Corrected Percentiles `json:"corrected"`
	Service   Percentiles `json:"service"`
}

// Timeline is the run in steps.
type Timeline struct {
	// StepSeconds is 1 in runs of up to an hour.
	StepSeconds float64        `json:"step_seconds"`
	Steps       []TimelineStep `json:"steps"`
}

// TimelineStep is one step. Offered and latencies are by the intended send time, so
// that a stall shows when it was; Started by the actual one; Completed, Good and
// Errors by the time of the answer or failure.
type TimelineStep struct {
	// AtSeconds is the step's beginning, from the beginning of the window. Steps after
	// the window hold what was started and answered late.
	AtSeconds          float64 `json:"at_seconds"`
	OfferedPerSecond   float64 `json:"offered_per_second"`
	StartedPerSecond   float64 `json:"started_per_second"`
	CompletedPerSecond float64 `json:"completed_per_second"`
	GoodPerSecond      float64 `json:"good_per_second"`
	Errors             int64   `json:"errors"`
	// P50US, P99US and MaxUS are corrected, of all kinds, to two significant digits; 0
	// where nothing was offered.
	P50US float64 `json:"p50_us"`
	P99US float64 `json:"p99_us"`
	MaxUS float64 `json:"max_us"`
}

// SLOResult is one objective and what came of it.
type SLOResult struct {
	// SLO is the objective as given, such as p99<1ms.
	SLO string `json:"slo"`
	// Metric is p50, p75, p90, p95, p99, p99.9, p99.99, max, mean, or errors.
	Metric string `json:"metric"`
	// Limit and Got are in microseconds, for errors in percent.
	Limit float64 `json:"limit"`
	Got   float64 `json:"got"`
	Pass  bool    `json:"pass"`
}

// Knee is the search for the highest rate that meets the objectives.
type Knee struct {
	// Steps are in the order run, each a run of its own.
	Steps []KneeStep `json:"steps"`
	// Rate is the highest rate that met the objectives; 0 where none did.
	Rate float64 `json:"rate"`
	// BrokeAt is the lowest rate above Rate that did not; 0 where none failed.
	BrokeAt float64 `json:"broke_at"`
	// LimitedBy is slo, generator (the run at BrokeAt was not valid, so the target may
	// do more), steps (there were no more to try) or interrupted.
	LimitedBy string `json:"limited_by"`
}

// KneeStep is one rate that was tried. Latencies are corrected, as in Latency.
type KneeStep struct {
	Rate          float64 `json:"rate"`
	GoodPerSecond float64 `json:"good_per_second"`
	P50US         float64 `json:"p50_us"`
	P99US         float64 `json:"p99_us"`
	P999US        float64 `json:"p99_9_us"`
	ErrorPercent  float64 `json:"error_percent"`
	LagP99US      float64 `json:"lag_p99_us"`
	// Outcome is pass, missed or invalid, as of a Report.
	Outcome string `json:"outcome"`
	// Why is what was missed or made the step invalid; "" where it passed.
	Why string `json:"why,omitempty"`
}

// LoadRecount is what the generator's own count of showings says of the verdicts. What
// it holds a verdict to is bounds: showings acknowledged before the request was sent
// count for certain, and those reported before the answer came may count. The warm-up
// is in it.
type LoadRecount struct {
	// Caps are those of the policy that were recounted, by campaign.
	Caps []string `json:"caps"`
	// Decisions are the verdicts held to the count: shown, or skipped for the reason cap.
	Decisions int64 `json:"decisions"`
	Shown     int64 `json:"shown"`
	Capped    int64 `json:"capped"`
	// OverDelivered were answered show although a cap was certainly full.
	OverDelivered         int64   `json:"over_delivered"`
	OverDeliveredPerMille float64 `json:"over_delivered_per_mille"` // of Shown
	// FalseNegatives were skipped for the reason cap although no cap can have been full.
	FalseNegatives         int64   `json:"false_negatives"`
	FalseNegativesPerMille float64 `json:"false_negatives_per_mille"` // of Capped
	// Racing verdicts could be either, since a report was on its way meanwhile.
	Racing int64 `json:"racing"`
	// Impressions were acknowledged. OverLimit of them came on top of a full cap, because
	// the verdicts had been given before the ones before them were reported: what an
	// ad server that does not use holds must expect.
	Impressions       int64   `json:"impressions"`
	OverLimit         int64   `json:"over_limit"`
	OverLimitPerMille float64 `json:"over_limit_per_mille"` // of Impressions
	// Sample holds the first few findings; no user in it.
	Sample []string `json:"sample,omitempty"`
}
