package suppress_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bits-and-blooms/bloom/v3"

	"restraint/suppress"
)

var benchKeys = flag.Uint64("keys", 1e6, "members of the list in the benchmarks")

// BenchmarkContains is one probe of one list, beside bloom/v3's own Test at the
// same rate. The contestants take turns, a few thousand look-ups each, so that a
// neighbour on the machine slows all of them alike: the figures are the median of
// the turns, and of the ratios to plain bloom/v3 within a turn. A probe is reset
// for each look-up.
func BenchmarkContains(b *testing.B) {
	n := *benchKeys
	b.Run(fmt.Sprintf("keys=%.0e", float64(n)), func(b *testing.B) {
		plainBloom := bloom.NewWithEstimates(uint(n), suppress.DefaultRate)
		for i := range n {
			k := number(i)
			plainBloom.Add(k[:])
		}
		contestants := []contestant{{name: "plain", ask: func(k *suppress.Key) bool { return plainBloom.Test(k[:]) }}}
		for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
			d := people("l")
			d.Filter = kind
			began := time.Now()
			s := numberStore(b, d, n)
			built := float64(time.Since(began).Nanoseconds()) / float64(n)
			st, _ := s.Status("l")
			v := s.View()
			at, p := v.List("l"), new(suppress.Probe)
			contestants = append(contestants, contestant{name: kind, built: built, bytes: float64(st.Bytes) / float64(n), ask: func(k *suppress.Key) bool {
				p.Reset(*k)
				return v.Contains(at, p, 0)
			}})
		}
		b.ResetTimer()
		for turn := uint64(0); b.Loop(); turn++ {
			for i := range contestants {
				contestants[i].turn(turn, n)
			}
		}
		for i := range contestants {
			c := &contestants[i]
			if c.found[0] != c.asked {
				b.Fatalf("%s: %d of %d members are let through", c.name, c.asked-c.found[0], c.asked)
			}
			b.ReportMetric(1e6*float64(c.found[1])/float64(c.asked), c.name+"-false/million")
			for of, took := range c.took {
				what := c.name + "-" + [...]string{"hit", "miss"}[of]
				b.ReportMetric(median(took), what+"-ns")
				if i == 0 {
					continue
				}
				b.ReportMetric(c.built, c.name+"-build-ns/key") // with import and sorting
				b.ReportMetric(c.bytes, c.name+"-bytes/key")
				ratios := make([]float64, len(took))
				for turn := range took {
					ratios[turn] = took[turn] / contestants[0].took[of][turn]
				}
				b.ReportMetric(median(ratios), what+"/plain")
			}
		}
		b.ReportMetric(0, "ns/op") // of no use: all contestants together
	})
}

// contestant is a filter in BenchmarkContains.
type contestant struct {
	name         string
	built, bytes float64 // nanoseconds and bytes of memory for a key
	ask          func(*suppress.Key) bool
	// Of hits and of misses: nanoseconds for a look-up by turn, and how many were
	// found of those that were asked for.
	took  [2][]float64
	found [2]int
	asked int
}

// turn looks some thousand members up, and as many strangers.
func (c *contestant) turn(turn, n uint64) {
	const times = 4096
	var keys [times]suppress.Key
	for of, base := range []uint64{0, 1 << 40} {
		for i := range keys {
			keys[i] = number(base + (turn*times+uint64(i))*7919%n)
		}
		found, began := 0, time.Now()
		for i := range keys {
			if c.ask(&keys[i]) {
				found++
			}
		}
		c.found[of] += found
		c.took[of] = append(c.took[of], float64(time.Since(began).Nanoseconds())/times)
	}
	c.asked += times
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// BenchmarkLists asks 200 lists of 100,000 members about one user.
func BenchmarkLists(b *testing.B) {
	const lists, keys = 200, 100_000
	for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
		s := open(b, suppress.Options{Dir: b.TempDir(), Hash: numberHash})
		var all []suppress.Declaration
		for i := range lists {
			d := people(fmt.Sprint("l", i))
			d.Filter = kind
			all = append(all, d)
		}
		declare(b, s, all...)
		for i, d := range all {
			from := uint64(i) * keys
			if _, err := s.Replace(d.Name, &numbers{at: from, to: from + keys}, plain); err != nil {
				b.Fatal(err)
			}
		}
		v := s.View()
		b.Run(fmt.Sprintf("%s/lists=%d", kind, lists), func(b *testing.B) {
			b.ReportAllocs()
			var p suppress.Probe
			n := uint64(0)
			for b.Loop() {
				p.Reset(number(1<<40 + n))
				n++
				for i := range lists {
					v.Contains(i, &p, 0)
				}
			}
		})
	}
}

// BenchmarkExact settles a filter hit in the key file (in the page cache).
func BenchmarkExact(b *testing.B) {
	for _, crypt := range []bool{false, true} {
		b.Run(fmt.Sprintf("encrypted=%t", crypt), func(b *testing.B) {
			d := people("l")
			d.Exact = true
			o := suppress.Options{Dir: b.TempDir(), Hash: numberHash}
			if crypt {
				o.Disk = encrypted(b, o.Dir)
			}
			s := numberStoreWith(b, o, d, *benchKeys)
			v := s.View()
			b.ReportAllocs()
			var p suppress.Probe
			i := uint64(0)
			for b.Loop() {
				p.Reset(number(i * 7919 % *benchKeys))
				v.Contains(0, &p, 0)
				i++
			}
		})
	}
}

// emails is a CSV of hashed emails.
func emails(n int) string {
	var b strings.Builder
	b.WriteString("email_sha256\n")
	for i := range n {
		k, l := number(uint64(i)), number(uint64(i)+1<<41)
		fmt.Fprintf(&b, "%x%x\n", k, l)
	}
	return b.String()
}

// hexHash takes the key from a canonical hash itself, which is uniform already.
func hexHash(_ string, id []byte) (k suppress.Key) {
	if _, err := hex.Decode(k[:], id[:32]); err != nil {
		panic("BUG: not canonical")
	}
	return k
}

// BenchmarkReplace uploads 1e6 hashed emails; rows/s is the figure. The hash of
// identifiers costs nothing here: add that of the caller.
func BenchmarkReplace(b *testing.B) {
	const rows = 1_000_000
	body := emails(rows)
	for _, how := range []string{suppress.None, suppress.Gzip, suppress.Zstd} {
		packed := body
		if how != suppress.None {
			packed = string(compress(b, how, body))
		}
		b.Run(how, func(b *testing.B) {
			s := open(b, suppress.Options{Dir: b.TempDir(), Hash: hexHash})
			declare(b, s, suppress.Declaration{Name: "l", Sources: []string{"email_sha256"}})
			b.ReportAllocs()
			for b.Loop() {
				im := suppress.Import{Format: suppress.CSV, Compression: how, Force: true}
				if rep, err := s.Replace("l", strings.NewReader(packed), im); err != nil || rep.Keys < rows/2 {
					b.Fatal(rep, err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkOpen is a start: verify a generation and build its filter.
func BenchmarkOpen(b *testing.B) {
	for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
		d := people("l")
		d.Filter = kind
		dir := b.TempDir()
		o := suppress.Options{Dir: dir, Hash: numberHash}
		s := open(b, o)
		declare(b, s, d)
		if _, err := s.Replace("l", &numbers{to: *benchKeys}, plain); err != nil {
			b.Fatal(err)
		}
		s.Close()
		b.Run(fmt.Sprintf("%s/keys=%.0e", kind, float64(*benchKeys)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := suppress.Open(o)
				if err != nil {
					b.Fatal(err)
				}
				declare(b, s, d)
				s.Close()
			}
		})
	}
}
