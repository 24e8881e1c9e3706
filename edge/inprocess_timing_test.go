package edge

import (
	"fmt"
	"testing"
)

// BenchmarkInProcess is a whole request in process: read, judged, answered and counted.
// Nothing is held of the user. BenchmarkDecide has the judging alone.
func BenchmarkInProcess(b *testing.B) {
	const users = 1000
	n := benchNode(b, 64<<20, benchPolicy())
	fill(b, n, users)
	n.clock.raise(benchNow) // the requests do not say the time
	for _, k := range []int{1, 20, 50} {
		var bodies [][]byte
		for _, x := range benchRequests(b, k) {
			bodies = append(bodies, x.body)
		}
		b.Run(fmt.Sprintf("users=%d/candidates=%d", users, k), func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var err error
				if dst, err = n.AppendDecide(dst[:0], bodies[i%len(bodies)], false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
