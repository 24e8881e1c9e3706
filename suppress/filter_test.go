package suppress

import (
	"math/bits"
	"testing"
)

// locations are the places of p in f's bloom filter, as bloom/v3 takes them.
func (f *filter) locations(p *Probe) []uint64 {
	p.extend(f.probes)
	block, _ := bits.Mul64(p.x, f.blocks)
	var out []uint64
	for _, off := range p.off[:f.probes] {
		out = append(out, block*blockBits+uint64(off))
	}
	return out
}

// TestRates: a filter of any size keeps its rate by its own account.
func TestRates(t *testing.T) {
	for _, n := range []uint64{1, 10, 100, 1000, 5000} {
		for _, rate := range []float64{0.1, 1e-4, 1e-9} {
			f, err := buildFilter(FilterBloom, rate, n, func() keyStream {
				var keys sliceStream
				for i := range n {
					keys = append(keys, pair{mix(i), mix(i + 1<<40)})
				}
				return &keys
			})
			if err != nil || f.rate > rate {
				t.Errorf("%d keys at %g: %g, %v", n, rate, f.rate, err)
			}
		}
	}
}

// TestBloomLocations: our look-up reads what bloom/v3's own does.
func TestBloomLocations(t *testing.T) {
	for _, rate := range []float64{0.1, 1e-2, 1e-4, 1e-9} {
		var keys sliceStream
		for n := range uint64(2000) {
			keys = append(keys, pair{n << 52, mix(n)})
		}
		f, err := newBloom(rate, 1, 2000, &keys)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("rate %.0e: %d probes, %.1f bits a key, expected %.2e", rate, f.probes, float64(8*f.bytes)/2000, f.rate)
		hits := 0
		for n := range uint64(4000) {
			var p Probe
			p.Reset(pair{n << 52, mix(n)}.key())
			got := f.maybe(&p)
			if want := f.bloom.TestLocations(f.locations(&p)); got != want || n < 2000 && !got {
				t.Fatalf("rate %g, key %d: %v, bloom/v3 says %v", rate, n, got, want)
			}
			if got {
				hits++
			}
		}
		if hits == 4000 {
			t.Fatalf("rate %g: everything is a member", rate)
		}
	}
}

// TestFuseContains: our look-up says what xorfilter's own does.
func TestFuseContains(t *testing.T) {
	for _, n := range []uint64{1, 2, 10, 3000, 100_000} {
		var keys sliceStream
		for i := range n {
			keys = append(keys, pair{mix(i), mix(i + 1<<40)})
		}
		f, err := newFuse(DefaultRate, n, &keys)
		if err != nil {
			t.Fatal(err)
		}
		hits := uint64(0)
		for i := range 2 * n {
			var p Probe
			p.Reset(pair{mix(i), mix(i + 1<<40)}.key())
			got := f.maybe(&p)
			if want := f.fuse16.Contains(p.fuse); got != want || i < n && !got {
				t.Fatalf("%d keys, key %d: %v, xorfilter says %v", n, i, got, want)
			}
			if got {
				hits++
			}
		}
		if n > 100 && hits > n+n/100 {
			t.Fatalf("%d keys: %d of as many strangers are members", n, hits-n)
		}
	}
}

// TestProbesShared: one probe asked of filters of every number of bits a key, in any
// order, says for each what all of its bits say.
func TestProbesShared(t *testing.T) {
	var filters []*filter
	for probes := 1; probes <= maxProbes; probes++ {
		f := &filter{blocks: 3, probes: probes, words: make([]uint64, 3*blockWords)}
		for i := range f.words {
			for b := range 64 {
				if mix(uint64(probes)<<32|uint64(i)<<8|uint64(b))%10 != 0 { // nine bits in ten are set
					f.words[i] |= 1 << b
				}
			}
		}
		filters = append(filters, f)
	}
	hits := 0
	for n := range uint64(2000) {
		key := pair{mix(n), mix(n + 1<<40)}
		var all, p Probe
		all.Reset(key.key())
		all.extend(maxProbes)
		p.Reset(key.key())
		for i := range filters {
			f := filters[(uint64(i)*7+n)%maxProbes]
			at, _ := bits.Mul64(all.x, f.blocks)
			want := true
			for _, off := range all.off[:f.probes] {
				want = want && f.words[at*blockWords+uint64(off/64)]&(1<<(off%64)) != 0
			}
			if got := f.maybe(&p); got != want {
				t.Fatalf("key %d, %d probes: %v, want %v", n, f.probes, got, want)
			}
			if want {
				hits++
			}
		}
	}
	if hits == 0 || hits == 2000*maxProbes {
		t.Errorf("%d hits", hits)
	}
}

// TestPrefetch: fetching ahead changes no answer and needs no list to be there, for
// each kind of filter, the smallest and none.
func TestPrefetch(t *testing.T) {
	for _, kind := range []string{FilterBloom, FilterFuse} {
		for _, rate := range []float64{1e-4, 1e-7} {
			for _, n := range []uint64{0, 1, 2000} {
				f, err := buildFilter(kind, rate, n, func() keyStream {
					var keys sliceStream
					for i := range n {
						keys = append(keys, pair{i << 52, mix(i)})
					}
					return &keys
				})
				if err != nil {
					t.Fatal(err)
				}
				v := &View{lists: []entry{{filter: *f}}}
				for i := range n + 1000 {
					var p Probe
					p.Reset(pair{i << 52, mix(i)}.key())
					v.Prefetch(0, &p)
					v.Prefetch(1, &p)
					v.Prefetch(-1, &p)
					if i < n && !f.maybe(&p) {
						t.Fatalf("%s, rate %g, %d keys: key %d is gone", kind, rate, n, i)
					}
				}
			}
		}
	}
}
