package consent

import (
	"fmt"
	"slices"
	"testing"
	"time"

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

// BenchmarkJudgeInGets is the whole consent step beside ristretto's own Get of as
// many keys and entries of the same size, in turns of 500 of each. Of the turns it
// gives the lower quartile, since neighbours on the machine make turns longer and
// never shorter.
func BenchmarkJudgeInGets(b *testing.B) {
	for _, kind := range []string{"tcf", "gpp"} {
		b.Run("strings="+kind+"/distinct=10000", func(b *testing.B) {
			const n, turn = 10_000, 500
			all := requests(kind, n)
			r := remembered(b, all)
			cache := filled(b, n)
			var judges, gets []float64
			from, missed := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				begin := time.Now()
				for i := from; i < from+turn; i++ {
					if v := r.Judge(&all[i], &usual, policy.RequireNone); !v.Purposes[0].Permitted() {
						missed++
					}
				}
				middle := time.Now()
				for i := from; i < from+turn; i++ {
					if _, ok := cache.Get(cacheKey(i)); !ok {
						missed++
					}
				}
				judges = append(judges, float64(middle.Sub(begin).Nanoseconds())/turn)
				gets = append(gets, float64(time.Since(middle).Nanoseconds())/turn)
				from = (from + turn) % n
			}
			if missed != 0 {
				b.Fatalf("%d missed", missed)
			}
			slices.Sort(judges)
			slices.Sort(gets)
			judge, get := judges[len(judges)/4], gets[len(gets)/4]
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(judge, "ns/judge")
			b.ReportMetric(get, "ns/get")
			b.ReportMetric(judge/get, "gets/judge")
		})
	}
}

func cacheKey(i int) uint64 { return uint64(i+1) * 0x9E3779B97F4A7C15 }

// filled returns a ristretto cache with n entries.
func filled(b *testing.B, n int) *ristretto.Cache[uint64, entry] {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, entry]{
		NumCounters: 1 << 21, MaxCost: 64 << 20, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cache.Close)
	for i := range n {
		cache.Set(cacheKey(i), entry{check: uint64(i)}, EntryBytes)
		cache.Wait()
	}
	return cache
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
