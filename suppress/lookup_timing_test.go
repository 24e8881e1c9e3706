package suppress_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/bits-and-blooms/bloom/v3"

	"restraint/suppress"
)

var benchKeys = flag.Uint64("keys", 1e6, "members of the list in the benchmarks")

// BenchmarkContains is one probe of one list, beside bloom/v3's own Test at the
// same rate in the same run. Probes are reset in the loop.
func BenchmarkContains(b *testing.B) {
	n := *benchKeys
	plainBloom := bloom.NewWithEstimates(uint(n), suppress.DefaultRate)
	for i := range n {
		k := number(i)
		plainBloom.Add(k[:])
	}
	for _, of := range []struct {
		name string
		base uint64
	}{{"hit", 0}, {"miss", 1 << 40}} {
		b.Run(fmt.Sprintf("plain-bloom/keys=%.0e/%s", float64(n), of.name), func(b *testing.B) {
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				k := number(of.base + i*7919%n)
				plainBloom.Test(k[:])
				i++
			}
		})
	}
	for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
		d := people("l")
		d.Filter = kind
		s := numberStore(b, d, n)
		v := s.View()
		for _, of := range []struct {
			name string
			base uint64
		}{{"hit", 0}, {"miss", 1 << 40}} {
			b.Run(fmt.Sprintf("%s/keys=%.0e/%s", kind, float64(n), of.name), func(b *testing.B) {
				b.ReportAllocs()
				var p suppress.Probe
				at, i := v.List("l"), uint64(0)
				for b.Loop() {
					p.Reset(number(of.base + i*7919%n))
					v.Contains(at, &p, 0)
					i++
				}
			})
		}
		st, _ := s.Status("l")
		b.Logf("%s: %.3f bytes a key", kind, float64(st.Bytes)/float64(n))
	}
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
	d := people("l")
	d.Exact = true
	s := numberStore(b, d, *benchKeys)
	v := s.View()
	b.ReportAllocs()
	var p suppress.Probe
	i := uint64(0)
	for b.Loop() {
		p.Reset(number(i * 7919 % *benchKeys))
		v.Contains(0, &p, 0)
		i++
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
