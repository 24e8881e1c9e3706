package edge

import (
	"math"
	"testing"

	"restraint/edge/traffic"
)

// What people said is of the same span as what was shown, and is called exact only where
// all of it is.
func TestReportOfExactSets(t *testing.T) {
	c := openCounts(t, "a", t.TempDir(), nil)
	for _, campaign := range []string{"", "boots", "shoes"} {
		row := traffic.Row{Campaign: campaign, Arm: "all", Market: "eu"}
		c.add(countStart+60, row, countImpression, 100)
		c.add(countStart+60, row, countHide, 7)
	}
	known := map[string]bool{"boots": true, "shoes": true}
	n := &Node{heard: func(campaign string, from, to uint32) (reported, bool) {
		if from != countStart || to != countStart+3599 {
			t.Errorf("%s: asked of %d to %d", campaign, from, to)
		}
		return reported{Hides: 5}, known[campaign]
	}}
	n.counting.joined, n.counting.books, n.counting.own, n.counting.parts = c.joined, c.books, c.own, c.parts
	hides := func(exact bool, want ...uint64) {
		t.Helper()
		// Of a quarter of an hour, which is counted as the whole.
		r, err := n.report(&reportQuery{from: countStart + 900, to: countStart + 1800, by: reportGroups{Campaign: true}})
		if err != nil || r.Exact != exact || len(r.Rows) != len(want) {
			t.Fatalf("%v %+v", err, r)
		}
		for i, row := range r.Rows {
			if row.Hides != want[i] {
				t.Errorf("%q: %d hides, want %d", *row.Campaign, row.Hides, want[i])
			}
		}
	}
	hides(true, 7, 5, 5)
	known["boots"] = false
	hides(false, 7, 7, 5)
	if r, err := n.report(&reportQuery{to: math.MaxUint32, by: reportGroups{Campaign: true, Arm: true}}); err != nil || r.Exact || r.Rows[1].Hides != 7 {
		t.Errorf("%v %+v", err, r)
	}
}
