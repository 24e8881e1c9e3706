package edge

import (
	"bytes"
	"encoding/csv"
	"strconv"
)

// appendCSV appends the report as RFC 4180 has it, with a header. Every reason has its
// columns, whether it was given or not.
func (r *reportAnswer) appendCSV(dst []byte, by reportGroups) []byte {
	b := bytes.NewBuffer(dst)
	w := csv.NewWriter(b)
	head := reportNames(by)
	head = append(head, "decisions", "shows", "show_rate")
	for reason := Shown + 1; reason < reasonCount; reason++ {
		head = append(head, "skip_"+reason.String())
	}
	for reason := Shown + 1; reason < reasonCount; reason++ {
		head = append(head, "skip_rate_"+reason.String())
	}
	head = append(head, "impressions", "impressions_unkept", "clicks", "click_rate", "purchases",
		"hides", "complaints", "helpful", "intrusive", "opt_outs", "hides_per_10k")
	w.Write(head)
	for i := range r.Rows {
		w.Write(r.Rows[i].fields(head[:0:0]))
	}
	w.Flush() // into memory, which takes it
	return b.Bytes()
}

func reportNames(by reportGroups) (names []string) {
	for _, group := range []struct {
		wanted bool
		name   string
	}{{by.Day, "day"}, {by.Campaign, "campaign"}, {by.Arm, "arm"}, {by.Market, "market"}} {
		if group.wanted {
			names = append(names, group.name)
		}
	}
	return names
}

// fields are the fields of a row, in the order of the header.
func (row *reportRow) fields(dst []string) []string {
	for _, name := range []*string{row.Day, row.Campaign, row.Arm, row.Market} {
		if name != nil {
			dst = append(dst, harmless(*name))
		}
	}
	count := func(n uint64) { dst = append(dst, strconv.FormatUint(n, 10)) }
	rate := func(v *float64) {
		if v == nil {
			dst = append(dst, "")
			return
		}
		dst = append(dst, strconv.FormatFloat(*v, 'f', -1, 64))
	}
	count(row.Decisions)
	count(row.Shows)
	rate(row.ShowRate)
	for reason := Shown + 1; reason < reasonCount; reason++ {
		count(row.Skips[reason.String()])
	}
	for reason := Shown + 1; reason < reasonCount; reason++ {
		rate(share(row.Skips[reason.String()], row.Decisions, 1))
	}
	count(row.Impressions)
	count(row.Unkept)
	count(row.Clicks)
	rate(row.ClickRate)
	count(row.Purchases)
	for _, n := range []uint64{row.Hides, row.Complaints, row.Helpful, row.Intrusive, row.OptOuts} {
		count(n)
	}
	rate(row.HidesPer10k)
	return dst
}

// harmless puts a quote in front of a name that a spreadsheet would take for a formula, as
// OWASP's page on CSV injection has it.
func harmless(name string) string {
	if name == "" {
		return name
	}
	switch name[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + name
	}
	return name
}
