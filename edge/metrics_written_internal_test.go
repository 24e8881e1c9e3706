package edge

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"restraint/caps"
	"restraint/suppress"
)

// distinct sets each number of a struct, and of those in it, to one of its own, and each
// bool to true.
func distinct(v reflect.Value, next *int) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Struct:
			if f.Type().PkgPath() == v.Type().PkgPath() {
				distinct(f, next)
			}
		case reflect.Int, reflect.Int64:
			*next++
			f.SetInt(int64(*next))
		case reflect.Uint64, reflect.Uint32:
			*next++
			f.SetUint(uint64(*next))
		case reflect.Float64:
			*next++
			f.SetFloat(float64(*next))
		case reflect.Bool:
			f.SetBool(true)
		}
	}
}

// written is what write says, by series.
func written(write func(io.Writer)) map[string]string {
	var text bytes.Buffer
	write(&text)
	all := map[string]string{}
	for line := range strings.Lines(text.String()) {
		at := strings.LastIndexByte(line, ' ')
		all[line[:at]] = strings.TrimSpace(line[at:])
	}
	return all
}

func wantWritten(t *testing.T, got map[string]string, want map[string]any) {
	t.Helper()
	for series, value := range want {
		if got[series] != fmt.Sprint(value) {
			t.Errorf("%s is %q, not %v", series, got[series], value)
		}
	}
	for series := range got {
		if _, expected := want[series]; !expected {
			t.Errorf("%s is written too", series)
		}
	}
}

// Each number of the stores is written under its own name.
func TestStoresWritten(t *testing.T) {
	var s caps.Stats
	n := 0
	distinct(reflect.ValueOf(&s).Elem(), &n)
	wantWritten(t, written(func(w io.Writer) { writeCounters(w, s); writeDelivered(w, &s) }), map[string]any{
		"restraint_users": s.Users, "restraint_users_cut_only": s.CutOnly, "restraint_counters": s.Counters, "restraint_counters_bytes": s.Bytes,
		"restraint_refusal_users": s.RefusalUsers, "restraint_refusals": s.Refusals, "restraint_refusals_bytes": s.RefusalBytes,
		"restraint_evicted_exposures_total": s.EvictedExposures, "restraint_evicted_users_total": s.EvictedUsers, "restraint_evicted_cuts_total": s.EvictedCuts,
		"restraint_dropped_scopes_total": s.DroppedScopes, "restraint_late_exposures_total": s.Late, "restraint_erased_exposures_total": s.Erased,
		"restraint_refusals_full_total": s.Refused, "restraint_exposures_total": s.Exposed, "restraint_exposures_over_limit_total": s.OverLimit,
	})
	var l suppress.Status
	distinct(reflect.ValueOf(&l).Elem(), &n)
	l.List, l.State = "a", suppress.StateReady
	wantWritten(t, written(func(w io.Writer) { writeList(w, &l) }), map[string]any{
		`restraint_list_generation{list="a"}`: l.Generation, `restraint_list_keys{list="a"}`: l.Keys, `restraint_list_age_seconds{list="a"}`: l.AgeSeconds,
		`restraint_list_false_positive_rate{list="a"}`: l.FalsePositiveRate, `restraint_list_bytes{list="a"}`: l.Bytes, `restraint_list_rejected_rows{list="a"}`: l.Rejected,
		`restraint_list_ready{list="a"}`: 1, `restraint_list_doubts_total{list="a"}`: l.Doubts,
	})
	for _, state := range []suppress.State{suppress.StateNone, suppress.StateStale, suppress.StateDamaged} {
		l.State = state
		if got := written(func(w io.Writer) { writeList(w, &l) })[`restraint_list_ready{list="a"}`]; got != "0" {
			t.Errorf("a list that is %s is ready: %s", state, got)
		}
	}
}

// So is how the node stands to the others; what is not known is not written.
func TestReplicationWritten(t *testing.T) {
	var r Replication
	n := 0
	distinct(reflect.ValueOf(&r).Elem(), &n)
	r.BrokerStuck, r.Refusals.Gap = "full", "missing"
	r.Lag = &Lag{Bounds: []float64{0.001, 2}, Counts: []uint64{4, 0, 3}, Sum: 12.5}
	want := map[string]any{
		"restraint_broker_connected": 1, "restraint_broker_stuck": 1, "restraint_broker_restarts_total": r.BrokerRestarts, "restraint_degraded": 1,
		"restraint_replica_records_applied_total": r.AppliedRecords, "restraint_replica_messages_sent_total": r.SentMessages, "restraint_replica_resent_total": r.Resent,
		"restraint_replica_refused_total": r.Refused, "restraint_replica_foreign_batches_total": r.ForeignBatches, "restraint_replica_unusable_total": r.Unusable,
		"restraint_replica_ahead_total": r.Ahead, "restraint_hold_messages_total": r.HoldMessages, "restraint_holds_dropped_total": r.HoldsDropped,
		`restraint_replica_lag_seconds_bucket{le="0.001"}`: 4, `restraint_replica_lag_seconds_bucket{le="2"}`: 4, `restraint_replica_lag_seconds_bucket{le="+Inf"}`: 7,
		"restraint_replica_lag_seconds_sum": 12.5, "restraint_replica_lag_seconds_count": 7,
	}
	for name, s := range map[string]*Stream{"events": &r.Events, "refusals": &r.Refusals} {
		of := `{stream="` + name + `"}`
		want["restraint_stream_next"+of], want["restraint_stream_behind"+of], want["restraint_stream_gaps_accepted_total"+of] = s.Next, s.Behind, s.GapsAccepted
		want["restraint_stream_gap"+of] = flag(s.Gap != "")
	}
	wantWritten(t, written(func(w io.Writer) { writeReplication(w, &r) }), want)
	wantWritten(t, written(func(w io.Writer) { writeReplication(w, nil) }), nil)
	if got := written(func(w io.Writer) { writeReplication(w, &Replication{}) })["restraint_broker_connected"]; got != "0" {
		t.Errorf("NATS that is away: %q", got)
	}
}

// Every reason has its count.
func TestReasonsCounted(t *testing.T) {
	n := benchNode(t, 16<<20, []byte("markets: [{name: all, require: none}]\ncampaigns: {a: {advertiser: a}}"))
	x := new(exchange)
	for r := Shown; r < reasonCount; r++ {
		for range int(r) + 1 {
			x.judge.verdicts = append(x.judge.verdicts, verdict{reason: r})
		}
	}
	n.count(x)
	got := written(n.metrics.write)
	for r := Shown + 1; r < reasonCount; r++ {
		if s := `restraint_decisions_total{verdict="skip",reason="` + r.String() + `"}`; got[s] != fmt.Sprint(int(r)+1) {
			t.Errorf("%s is %s", s, got[s])
		}
	}
	if s := `restraint_decisions_total{verdict="show",reason=""}`; got[s] != "1" {
		t.Errorf("%s is %s", s, got[s])
	}
}
