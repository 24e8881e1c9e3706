package edge

import (
	"io"

	vm "github.com/VictoriaMetrics/metrics"

	"restraint/edge/trust"
)

// writeDialling writes what is held of reports about campaigns, and how many campaigns are
// dialled back by the policy in force, or by the one that is tried out beside it.
func (n *Node) writeDialling(w io.Writer) {
	s := n.dialling.book.Stats()
	vm.WriteGaugeUint64(w, "restraint_reports_held", uint64(s.Reports))
	vm.WriteGaugeUint64(w, "restraint_report_pages", uint64(s.Pages))
	vm.WriteGaugeUint64(w, "restraint_report_pages_saturated", uint64(s.Saturated))
	vm.WriteCounterUint64(w, "restraint_reports_late_total", s.Late)
	vm.WriteCounterUint64(w, "restraint_reports_dropped_total", s.Dropped)
	var by [trust.Levels]uint64
	rules := n.rules.Load()
	n.dialling.mu.Lock()
	for tag := range n.dialling.standings {
		if d := rules.dialOf(tag); d != nil {
			by[d.level]++
		}
	}
	n.dialling.mu.Unlock()
	for _, level := range []trust.Level{trust.Lowered, trust.Paused} {
		vm.WriteGaugeUint64(w, `restraint_campaigns_dialled_back{level="`+level.String()+`"}`, by[level])
	}
}
