package suppress_test

import (
	"fmt"
	"testing"
	"time"

	"restraint/suppress"
)

// BenchmarkContainsLeaving is one look-up of a list of which a tenth of the members
// leave at seconds of their own, beside one of which none does, in the same run.
func BenchmarkContainsLeaving(b *testing.B) {
	n := *benchKeys
	for _, leaving := range []bool{false, true} {
		s := numberStore(b, people("l"), n)
		for part := range uint64(10) {
			im := plain
			if leaving {
				im.Until = uint32(time.Now().Unix()) + 3600 + uint32(part)
			}
			if _, err := s.Change("l", suppress.Add, &numbers{at: n + part*n/100, to: n + (part+1)*n/100}, im); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Compact("l", s.Sequence()); err != nil {
			b.Fatal(err)
		}
		v := s.View()
		for _, of := range []struct {
			name     string
			from, to uint64
		}{{"hit", 0, n}, {"hit-leaving", n, n + n/10}, {"miss", 1 << 40, 1<<40 + n}} {
			b.Run(fmt.Sprintf("keys=%.0e/leaving=%v/%s", float64(n), leaving, of.name), func(b *testing.B) {
				b.ReportAllocs()
				var p suppress.Probe
				at, i := v.List("l"), uint64(0)
				for b.Loop() {
					p.Reset(number(of.from + i*7919%(of.to-of.from)))
					v.Contains(at, &p, 1)
					i++
				}
			})
		}
		st, _ := s.Status("l")
		b.Logf("leaving %v: %d of %d members, %.3f bytes a key", leaving, st.Leaving, st.Keys, float64(st.Bytes)/float64(st.Keys))
	}
}
