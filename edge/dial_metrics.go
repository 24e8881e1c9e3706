package edge

import (
	"io"

	vm "github.com/VictoriaMetrics/metrics"

	"restraint/edge/trust"
)

// writeDialling writes what is held of reports about campaigns, and how many campaigns of
// the policy are dialled back.
func (n *Node) writeDialling(w io.Writer) {
	s := n.dialling.book.Stats()
	vm.WriteGaugeUint64(w, "restraint_reports_held", uint64(s.Reports))
	vm.WriteGaugeUint64(w, "restraint_report_pages", uint64(s.Pages))
	vm.WriteGaugeUint64(w, "restraint_report_pages_saturated", uint64(s.Saturated))
	vm.WriteCounterUint64(w, "restraint_reports_late_total", s.Late)
	vm.WriteCounterUint64(w, "restraint_reports_dropped_total", s.Dropped)
	var by [trust.Levels]uint64
	rules := n.rules.Load()
	for i := range rules.dials {
		if d := rules.dials[i].Load(); d != nil {
			by[d.level]++
		}
	}
	for _, level := range []trust.Level{trust.Lowered, trust.Paused} {
		vm.WriteGaugeUint64(w, `restraint_campaigns_dialled_back{level="`+level.String()+`"}`, by[level])
	}
}
