package edge

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"restraint/caps"
	"restraint/edge/access"
	"restraint/edge/openrtb"
	"restraint/edge/trust"
	"restraint/suppress"
)

// metrics are the node's counters, resolved once so that the hot path only adds.
// Names are restraint_*, in base units; every label has a closed set of values.
type metrics struct {
	set *vm.Set

	decisions [reasonCount]*vm.Counter // by reason; Shown is verdict="show"
	events    [openrtb.Feedback + 1]*vm.Counter
	// What is given up or refused.
	eventsRejected     *vm.Counter
	eventsNobody       *vm.Counter
	eventsNotKept      *vm.Counter
	identifiersDropped *vm.Counter
	holds              *vm.Counter
	eventsErased       *vm.Counter
	unknownCampaigns   *vm.Counter
	people             [peopleAsked]*vm.Counter // by what was asked
	optOuts            *vm.Counter              // by the button behind a token
	policiesIgnored    *vm.Counter
	listsInstalled     *vm.Counter
	listsNotInstalled  *vm.Counter
	listChangesIgnored *vm.Counter
	handshakesFailed   *vm.Counter // TLS
	notAccepted        *vm.Counter // connections for which there was no room in the process
	turnedAway         *vm.Counter // connections over limits.connections
	shed               *vm.Counter // requests that would have waited for too long
	panics             *vm.Counter
	responses          map[int]*vm.Counter       // by status class, 2 to 5
	keysRefused        [access.LetIn]*vm.Counter // by why
	keysSlowed         *vm.Counter
	forbidden          *vm.Counter                   // a key without the role
	audited            *vm.Counter                   // entries of the record
	notAudited         *vm.Counter                   // tries to write one that failed
	auditCut           *vm.Counter                   // heads of this log that name entries it does not have
	reports            [trust.OptOut + 1]*vm.Counter // taken here, by kind; some come again
	reportsWeighing    *vm.Counter
	reportsUncounted   *vm.Counter
	dialChanges        [trust.Levels]*vm.Counter // by the level that was reached

	decideSeconds latency
	eventsSeconds latency
}

func newMetrics(n *Node) *metrics {
	set := vm.NewSet()
	m := &metrics{
		set:                set,
		eventsRejected:     set.NewCounter(`restraint_events_rejected_total`),
		eventsNotKept:      set.NewCounter(`restraint_events_not_permitted_to_keep_total`),
		eventsNobody:       set.NewCounter(`restraint_events_without_identifier_total`),
		identifiersDropped: set.NewCounter(`restraint_identifiers_dropped_total`),
		holds:              set.NewCounter(`restraint_holds_total`),
		eventsErased:       set.NewCounter(`restraint_events_of_erased_total`),
		unknownCampaigns:   set.NewCounter(`restraint_events_unknown_campaign_total`),
		optOuts:            set.NewCounter(`restraint_opt_outs_total`),
		policiesIgnored:    set.NewCounter(`restraint_policy_documents_ignored_total`),
		listsInstalled:     set.NewCounter(`restraint_list_publications_taken_total`),
		listsNotInstalled:  set.NewCounter(`restraint_list_publications_failed_total`),
		listChangesIgnored: set.NewCounter(`restraint_list_changes_ignored_total`),
		notAccepted:        set.NewCounter(`restraint_connections_not_accepted_total`),
		shed:               set.NewCounter(`restraint_shed_total`),
		turnedAway:         set.NewCounter(`restraint_connections_turned_away_total`),
		handshakesFailed:   set.NewCounter(`restraint_tls_handshakes_failed_total`),
		panics:             set.NewCounter(`restraint_panics_total`),
		keysSlowed:         set.NewCounter(`restraint_keys_slowed_total`),
		forbidden:          set.NewCounter(`restraint_keys_without_role_total`),
		audited:            set.NewCounter(`restraint_audit_entries_total`),
		notAudited:         set.NewCounter(`restraint_audit_failed_total`),
		auditCut:           set.NewCounter(`restraint_audit_cut_total`),
		responses:          make(map[int]*vm.Counter),
		reportsWeighing:    set.NewCounter(`restraint_reports_weighing_total`),
		reportsUncounted:   set.NewCounter(`restraint_reports_uncounted_total`),
	}
	for _, kind := range trust.Kinds {
		m.reports[kind] = set.NewCounter(`restraint_reports_total{kind="` + kind.String() + `"}`)
	}
	for level := range m.dialChanges {
		m.dialChanges[level] = set.NewCounter(`restraint_dial_back_changes_total{to="` + trust.Level(level).String() + `"}`)
	}
	m.decisions[Shown] = set.NewCounter(`restraint_decisions_total{verdict="show",reason=""}`)
	for r := Shown + 1; r < reasonCount; r++ {
		m.decisions[r] = set.NewCounter(`restraint_decisions_total{verdict="skip",reason="` + r.String() + `"}`)
	}
	for t := openrtb.Impression; t <= openrtb.Feedback; t++ {
		m.events[t] = set.NewCounter(`restraint_events_total{type="` + t.String() + `"}`)
	}
	for v := access.Missing; v < access.LetIn; v++ {
		m.keysRefused[v] = set.NewCounter(`restraint_keys_refused_total{why="` + v.String() + `"}`)
	}
	for i, name := range peopleNames {
		m.people[i] = set.NewCounter(name)
	}
	for class, label := range map[int]string{2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"} {
		m.responses[class] = set.NewCounter(`restraint_http_responses_total{code="` + label + `"}`)
	}
	m.stateGauges(n)
	set.NewGauge("restraint_build_info{"+label("version", n.options.Version)+","+label("goversion", runtime.Version())+"}", func() float64 { return 1 })
	return m
}

// stateGauges read the state when they are scraped.
func (m *metrics) stateGauges(n *Node) {
	_ = m.set.NewGauge(`restraint_ready`, func() float64 {
		if all, _ := n.ready(); !all {
			return 0
		}
		return 1
	})
	m.set.NewGauge(`restraint_clock_offset_seconds`, func() float64 {
		ahead, _ := n.clock.wrong()
		return ahead.Seconds()
	})
	m.set.NewGauge(`restraint_wait_seconds`, func() float64 { return n.shedding.wait().Seconds() })
	m.set.NewGauge(`restraint_bodies_bytes`, func() float64 { return float64(n.inHand.Load()) })
	m.set.NewGauge(`restraint_policy_version`, func() float64 { return float64(n.rules.Load().Version) })
	if c := n.options.Certificates; c != nil {
		m.set.NewGauge(`restraint_tls_certificate_expiry_timestamp_seconds`, func() float64 { return float64(c.Expires().Unix()) })
	}
	m.set.NewGauge(`restraint_encrypted_at_rest`, func() float64 { return flag(n.options.AtRest != nil) })
	m.set.NewGauge(`restraint_policy_pilot_version`, func() float64 { return float64(n.pilotNow().version) })
	m.set.NewGauge(`restraint_policy_pilot_ratio`, func() float64 { return float64(n.pilotNow().percent) / 100 })
	m.set.RegisterMetricsWriter(func(w io.Writer) {
		m.decideSeconds.write(w, "restraint_decide_duration_seconds")
		m.eventsSeconds.write(w, "restraint_events_duration_seconds")
		held := n.caps.Stats()
		writeCounters(w, held)
		writeDelivered(w, &held)
		n.counting.writeMetrics(w)
		kept := n.keeper.Kept()
		vm.WriteGaugeFloat64(w, "restraint_outbox_bytes", float64(kept.OutboxBytes))
		vm.WriteGaugeFloat64(w, "restraint_outbox_oldest_seconds", kept.OutboxOldest.Seconds())
		vm.WriteGaugeFloat64(w, "restraint_snapshot_age_seconds", kept.SnapshotAge.Seconds())
		vm.WriteCounterUint64(w, "restraint_keeper_notices_total", kept.Notices)
		n.writeKeys(w)
		n.writeAudit(w)
		writeReplication(w, kept.Replication)
		for kind, age := range n.oldest() {
			vm.WriteGaugeFloat64(w, `restraint_oldest_seconds{kind="`+kind+`"}`, float64(age))
		}
		n.writeDialling(w)
		for _, kind := range n.rules.Load().retained() {
			if slices.Contains(aged, kind.Kind) && !strings.HasPrefix(kind.Setting, "markets.") {
				vm.WriteGaugeFloat64(w, `restraint_retention_seconds{kind="`+kind.Kind+`"}`, float64(kind.Seconds))
			}
		}
		for i, s := range n.lists.StatusAll() {
			writeList(w, &s)
			n.sampling.write(w, i, s.List)
		}
		now := n.clock.at(time.Now(), 0)
		for _, s := range n.rules.Load().watched {
			vm.WriteGaugeFloat64(w, "restraint_list_source_silent_seconds{"+label("source", s.name)+"}", float64(s.silent(now)))
		}
		if n.options.Lists != nil {
			s, _ := n.options.Lists.Stream()
			writeStream(w, "lists", &s)
		}
	})
}

// writeKeys writes how often each key with a rate was over it, by its id; their file
// bounds them.
func (n *Node) writeKeys(w io.Writer) {
	if n.options.Keys == nil {
		return
	}
	for _, c := range n.options.Keys.Callers() {
		if c.Rate > 0 {
			vm.WriteCounterUint64(w, `restraint_key_over_rate_total{key="`+c.ID+`"}`, c.OverRate())
		}
	}
}

// writeAudit writes how the record stands.
func (n *Node) writeAudit(w io.Writer) {
	r := &n.record
	r.mu.Lock()
	defer r.mu.Unlock()
	vm.WriteGaugeFloat64(w, "restraint_audit_newest", float64(r.log.Seq()))
	vm.WriteGaugeFloat64(w, "restraint_audit_owed", float64(len(r.owed)+r.lost))
	vm.WriteGaugeFloat64(w, "restraint_audit_writable", flag(r.fault == ""))
	vm.WriteCounterUint64(w, "restraint_audit_heads_refused_total", r.heads.Stats().Refused)
}

// writeReplication writes how the node stands to the others.
func writeReplication(w io.Writer, r *Replication) {
	if r == nil {
		return
	}
	vm.WriteGaugeFloat64(w, "restraint_broker_connected", flag(r.Connected))
	vm.WriteGaugeFloat64(w, "restraint_broker_stuck", flag(r.BrokerStuck != ""))
	vm.WriteCounterUint64(w, "restraint_broker_restarts_total", r.BrokerRestarts)
	vm.WriteGaugeFloat64(w, "restraint_degraded", flag(r.Degraded))
	writeStream(w, "events", &r.Events)
	writeStream(w, "refusals", &r.Refusals)
	writeLag(w, r.Lag)
	vm.WriteCounterUint64(w, "restraint_replica_records_applied_total", r.AppliedRecords)
	vm.WriteCounterUint64(w, "restraint_replica_messages_sent_total", r.SentMessages)
	vm.WriteCounterUint64(w, "restraint_replica_resent_total", r.Resent)
	vm.WriteCounterUint64(w, "restraint_replica_refused_total", r.Refused)
	vm.WriteCounterUint64(w, "restraint_replica_foreign_batches_total", r.ForeignBatches)
	vm.WriteCounterUint64(w, "restraint_replica_unusable_total", r.Unusable)
	vm.WriteCounterUint64(w, "restraint_replica_ahead_total", r.Ahead)
	vm.WriteCounterUint64(w, "restraint_hold_messages_total", r.HoldMessages)
	vm.WriteCounterUint64(w, "restraint_holds_dropped_total", r.HoldsDropped)
}

// writeLag writes how long messages of other nodes took.
func writeLag(w io.Writer, l *Lag) {
	if l == nil {
		return
	}
	const name = "restraint_replica_lag_seconds"
	count := uint64(0)
	for i, n := range l.Counts {
		le := "+Inf"
		if i < len(l.Bounds) {
			le = strconv.FormatFloat(l.Bounds[i], 'g', -1, 64)
		}
		count += n
		vm.WriteCounterUint64(w, name+`_bucket{le="`+le+`"}`, count)
	}
	vm.WriteCounterFloat64(w, name+"_sum", l.Sum)
	vm.WriteCounterUint64(w, name+"_count", count)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// writeStream writes how far the node has come in a stream.
func writeStream(w io.Writer, name string, s *Stream) {
	of := `{stream="` + name + `"}`
	vm.WriteGaugeFloat64(w, "restraint_stream_next"+of, float64(s.Next))
	vm.WriteGaugeFloat64(w, "restraint_stream_behind"+of, float64(s.Behind))
	vm.WriteGaugeFloat64(w, "restraint_stream_gap"+of, flag(s.Gap != ""))
	vm.WriteCounterUint64(w, "restraint_stream_gaps_accepted_total"+of, s.GapsAccepted)
	if !s.Known.IsZero() {
		vm.WriteGaugeFloat64(w, "restraint_stream_lag_seconds"+of, max(0, time.Since(s.Known).Seconds()))
	}
}

// writeCounters writes what the store of counters holds and what it gave up.
func writeCounters(w io.Writer, s caps.Stats) {
	gauge := func(name string, v float64) { vm.WriteGaugeFloat64(w, "restraint_"+name, v) }
	total := func(name string, v uint64) { vm.WriteCounterUint64(w, "restraint_"+name+"_total", v) }
	gauge("users", float64(s.Users))
	gauge("users_cut_only", float64(s.CutOnly))
	gauge("counters", float64(s.Counters))
	gauge("counters_bytes", float64(s.Bytes))
	gauge("refusal_users", float64(s.RefusalUsers))
	gauge("refusals", float64(s.Refusals))
	gauge("refusals_bytes", float64(s.RefusalBytes))
	total("evicted_exposures", s.EvictedExposures)
	total("evicted_users", s.EvictedUsers)
	total("evicted_cuts", s.EvictedCuts)
	total("dropped_scopes", s.DroppedScopes)
	total("late_exposures", s.Late)
	total("erased_exposures", s.Erased)
	total("refusals_full", s.Refused)
}

// writeList writes how a list stands. Lists come from the policy, so their number is
// bounded.
func writeList(w io.Writer, s *suppress.Status) {
	of := "{" + label("list", s.List) + "}"
	gauge := func(name string, v float64) { vm.WriteGaugeFloat64(w, "restraint_list_"+name+of, v) }
	gauge("generation", float64(s.Generation))
	gauge("keys", float64(s.Keys))
	gauge("age_seconds", float64(s.AgeSeconds))
	gauge("false_positive_rate", s.FalsePositiveRate)
	gauge("bytes", float64(s.Bytes))
	gauge("rejected_rows", float64(s.Rejected))
	gauge("ready", flag(s.State == suppress.StateReady))
	vm.WriteCounterUint64(w, "restraint_list_doubts_total"+of, s.Doubts)
}

// write writes everything in the Prometheus text form.
func (m *metrics) write(w io.Writer) {
	var series bytes.Buffer
	m.set.WritePrometheus(&series)
	writeProcess(&series)
	expose(w, series.Bytes())
}

// count adds what a request decided, once for each reason it met.
func (n *Node) count(x *exchange) {
	var seen [reasonCount]int
	for i := range x.judge.verdicts {
		seen[x.judge.verdicts[i].reason]++
	}
	for r, k := range seen {
		if k > 0 {
			n.metrics.decisions[r].Add(k)
		}
	}
	if x.judge.sampled > 0 {
		n.sampling.take(&x.judge)
	}
	x.countDecided(&seen)
}
