package consent

import (
	"fmt"
	"testing"

	"github.com/dgraph-io/ristretto/v2"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// requests returns n requests with as many strings, of the lengths that are about:
// a TCF string of some 400 vendors (about 200 bytes), or a GPP string of a section.
func requests(kind string, n int) []openrtb.Signals {
	all := make([]openrtb.Signals, n)
	for i := range all {
		all[i] = absent()
		switch kind {
		case "tcf":
			s := granting()
			s.vendors, s.claimants = nil, nil
			for id := 1; id <= 400; id++ {
				if (id*2654435761+i)>>3&3 != 0 {
					s.vendors = append(s.vendors, id)
				}
				if (id+i)%7 == 0 {
					s.claimants = append(s.claimants, id)
				}
			}
			s.restrictions = []restriction{{11, 0, []int{1 + i}}}
			all[i].Consent = []byte(s.String())
		case "gpp":
			all[i].GPP = []byte(gppString(map[int]string{8: permits(8), 40: fmt.Sprint("A", i)}))
			all[i].GPPSID = []uint16{8}
		}
	}
	return all
}

// remembered returns a reader that has seen the requests. What ristretto drops in a
// burst is sent until it is there.
func remembered(tb testing.TB, all []openrtb.Signals) *Reader {
	r, err := New(64 << 20)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	for range 100 {
		before := r.Stats().Decoded
		for i := range all {
			r.Judge(&all[i], &usual, policy.RequireNone)
			if i%1000 == 999 {
				r.cache.Wait()
			}
		}
		r.cache.Wait()
		if r.Stats().Decoded == before {
			return r
		}
	}
	tb.Fatal("the strings are not remembered")
	return nil
}

// BenchmarkJudge is the whole consent step of a decision, with strings that repeat.
func BenchmarkJudge(b *testing.B) {
	for _, kind := range []string{"none", "tcf", "gpp"} {
		for _, n := range []int{100, 10_000} {
			b.Run(fmt.Sprintf("strings=%s/distinct=%d", kind, n), func(b *testing.B) {
				all := requests(kind, n)
				r := remembered(b, all)
				decoded := r.Stats().Decoded
				allocations := testing.AllocsPerRun(1000, func() { r.Judge(&all[0], &usual, policy.RequireNone) })
				if allocations != 0 && !raceDetector {
					b.Fatalf("%v allocations", allocations)
				}
				b.ReportAllocs()
				i, refused := 0, 0
				for b.Loop() {
					v := r.Judge(&all[i], &usual, policy.RequireNone)
					if !v.Purposes[0].Permitted() {
						refused++
					}
					if i++; i == n {
						i = 0
					}
				}
				b.ReportMetric(float64(len(all[0].Consent)+len(all[0].GPP)), "bytes/string")
				if refused != 0 || r.Stats().Decoded != decoded {
					b.Fatalf("%d refused, %d decoded again", refused, r.Stats().Decoded-decoded)
				}
			})
		}
	}
}

// BenchmarkRistrettoGet is what to compare BenchmarkJudge to: ristretto alone, with
// as many keys and entries of the same size, where the hash of a string costs nothing.
func BenchmarkRistrettoGet(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("distinct=%d", n), func(b *testing.B) {
			cache, err := ristretto.NewCache(&ristretto.Config[uint64, entry]{
				NumCounters: 1 << 21, MaxCost: 64 << 20, BufferItems: 64, IgnoreInternalCost: true,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer cache.Close()
			key := func(i int) uint64 { return uint64(i+1) * 0x9E3779B97F4A7C15 }
			for i := range n {
				cache.Set(key(i), entry{check: uint64(i)}, EntryBytes)
				cache.Wait()
			}
			b.ReportAllocs()
			i, missed := 0, 0
			for b.Loop() {
				if _, ok := cache.Get(key(i)); !ok {
					missed++
				}
				if i++; i == n {
					i = 0
				}
			}
			if missed != 0 {
				b.Fatalf("%d missed", missed)
			}
		})
	}
}

// BenchmarkDecode is a string that was not seen before.
func BenchmarkDecode(b *testing.B) {
	for _, kind := range []string{"tcf", "gpp"} {
		b.Run("strings="+kind, func(b *testing.B) {
			s := requests(kind, 1)[0]
			b.ReportAllocs()
			for b.Loop() {
				if kind == "tcf" {
					readTCF(s.Consent, 0)
				} else {
					parseGPP(s.GPP, 0, 0)
				}
			}
		})
	}
}
