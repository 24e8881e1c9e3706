package loadtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// maxSampled bounds the sample of rejected rows in a summary.
const maxSampled = 10

// Rejected counts rows that were not used, and shows some of them.
type Rejected struct {
	Rows     int            `json:"rows"`
	ByReason map[string]int `json:"by_reason,omitempty"`
	// Sample holds the first few. It never holds an identifier of a user.
	Sample []RejectedRow `json:"sample,omitempty"`
}

// RejectedRow is one row that was not used.
type RejectedRow struct {
	File   string `json:"file,omitempty"` // where a log has several
	Line   int    `json:"line"`           // from 1, the header counts
	Detail string `json:"detail"`
}

func newRejected() Rejected { return Rejected{ByReason: map[string]int{}} }

func (r *Rejected) add(file string, line int, f rowFault) {
	r.Rows++
	r.ByReason[f.reason]++
	if len(r.Sample) < maxSampled {
		r.Sample = append(r.Sample, RejectedRow{file, line, f.detail})
	}
}

func (r *Rejected) first() string {
	if len(r.Sample) == 0 {
		return ""
	}
	return fmt.Sprintf("the first in line %d: %s", r.Sample[0].Line, r.Sample[0].Detail)
}

// Count is one name with how often it occurred.
type Count struct {
	Name string `json:"name"`
	N    int    `json:"count"`
}

// counts returns m by count, the largest first, then by name.
func counts(m map[string]int) []Count {
	out := make([]Count, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Count{name, m[name]})
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.N, a.N) })
	return out
}
