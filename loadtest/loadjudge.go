package loadtest

import (
	"fmt"
	"strings"
)

// When a run is not valid. Chosen.
const (
	// The generator's own lag at p99 matters from here on, where it is more than half of
	// the corrected latency there: most of the tail is then the generator's. A run that
	// meets its objectives all the same is valid.
	lagMatters = 500.0 // us
	lagShare   = 0.5
	// unsentShare of the requests may be due and not sent.
	unsentShare = 0.01
	// oneReason is the most of the verdicts that may be skips for one reason, other than
	// cap: what is measured then is a short cut through the node.
	oneReason = 0.9
)

// judge fills in Validity, SLOs, Outcome and the notes that follow from the figures.
func (r *Report) judge(slos []SLO) {
	r.SLOs = []SLOResult{}
	r.Outcome = OutcomePass
	for _, s := range slos {
		result := s.judge(r)
		if r.SLOs = append(r.SLOs, result); !result.Pass {
			r.Outcome = OutcomeMissed
		}
	}
	r.Validity.Reasons = r.faults()
	if lagged := r.lagFault(); lagged != "" && len(slos) > 0 && r.Outcome == OutcomePass {
		// The lag is in every corrected latency: without it they were met all the more.
		r.Notes = append(r.Notes, lagged)
	} else if lagged != "" {
		r.Validity.Reasons = append(r.Validity.Reasons, lagged)
	}
	r.Validity.Valid = len(r.Validity.Reasons) == 0
	if !r.Validity.Valid {
		r.Outcome = OutcomeInvalid
	}
	r.addNotes()
}

// lagFault says that the tail is the generator's own, or nothing.
func (r *Report) lagFault() string {
	lag := r.Generator.Lag.P99US
	if lag <= lagMatters || lag <= lagShare*r.Latency.Corrected.P99US {
		return ""
	}
	return fmt.Sprintf("the generator was the bottleneck: of a corrected p99 of %s, %s are its own lag; give it more processor time or lower the rate%s",
		spanText(r.Latency.Corrected.P99US), spanText(lag), r.sealing())
}

// faults are why the figures do not describe the target.
func (r *Report) faults() (faults []string) {
	q, g := &r.Requests, &r.Generator
	switch {
	case q.Offered == 0:
		return []string{"nothing was offered: the run was too short for its rate"}
	case q.Completed == 0:
		return []string{"no request was answered"}
	case q.Good == 0:
		return []string{"no request was answered as a node should; most often: " + r.Errors[0].Name}
	}
	if unsent := q.Offered - q.Started; float64(unsent) > unsentShare*float64(q.Offered) && g.Lag.MeanUS > g.Wait.MeanUS {
		faults = append(faults, fmt.Sprintf("the generator was the bottleneck: %.1f %% of the requests that were due were never sent, and no connection was waited for as long as for the generator itself%s",
			percent(int(unsent), int(q.Offered)), r.sealing()))
	}
	for _, reason := range r.Verdicts.Reasons {
		if reason.Name != "cap" && float64(reason.N) > oneReason*float64(r.Verdicts.Decisions) {
			faults = append(faults, fmt.Sprintf("%.1f %% of the verdicts were skips for the reason %s: this measures a short cut; choose other campaigns, users or consent",
				percent(reason.N, int(r.Verdicts.Decisions)), reason.Name))
		}
	}
	return faults
}

// addNotes says what a reader may overlook.
func (r *Report) addNotes() {
	q := &r.Requests
	if late := percent(int(q.Late), int(q.Offered)); late > 1 {
		r.Notes = append(r.Notes, fmt.Sprintf("%.1f %% of the requests found all %d connections busy and waited, which their corrected latency counts: the target did not keep up, or needs more --connections",
			late, r.Config.Connections))
	}
	if unsent := q.Offered - q.Started; unsent > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s requests were due and never sent before the run ended; they count as errors, and their waiting as latency", group(int(unsent))))
	}
	if g := &r.Generator; g.ProcessorWaitSeconds > g.CPUSeconds {
		r.Notes = append(r.Notes, fmt.Sprintf("processors were short: the generator's threads used %.2f s and waited %.2f s for one, and a node on the same machine will have, too; see what else runs here",
			g.CPUSeconds, g.ProcessorWaitSeconds))
	}
	if v := &r.Verdicts; v.Decisions > 0 && v.Shown == v.Decisions {
		r.Notes = append(r.Notes, "every verdict was show: these users have no history that any rule minds; report more impressions (--mix decide=50,impression=50) or ask fewer --users")
	}
	if r.Config.Brief {
		r.Notes = append(r.Notes, "brief answers say no reasons, so it cannot be told whether most verdicts were a short cut")
	}
	if len(r.SLOs) == 0 && len(r.Errors) > 0 {
		r.Notes = append(r.Notes, "there were errors, and no --slo that could be missed, such as errors<0.1%")
	}
	if r.overTLS() {
		r.Notes = append(r.Notes, fmt.Sprintf("over TLS: latencies have the sealing and opening on both sides, and %.0f us of the generator's processor time a request are with its part of it", r.Generator.CPUUSPerRequest))
	}
	if r.Config.Closed {
		r.Notes = append(r.Notes, "closed loop: a slow target is asked less, so latencies leave out who would have waited; judge objectives by an open loop")
	}
}

// why is what was missed or made the run invalid, in one line.
func (r *Report) why() string {
	if !r.Validity.Valid {
		return strings.Join(r.Validity.Reasons, "; ")
	}
	var missed []string
	for _, s := range r.SLOs {
		if !s.Pass {
			missed = append(missed, s.String())
		}
	}
	return strings.Join(missed, "; ")
}
