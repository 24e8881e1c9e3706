package suppress_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"testing"
	"time"

	"restraint/suppress"
)

var big = flag.Bool("big", false, "measure false positives at 1e7 keys too")

// number is the key of a number, uniform as a keyed hash is.
func number(n uint64) (k suppress.Key) {
	binary.LittleEndian.PutUint64(k[:8], splitmix(2*n))
	binary.LittleEndian.PutUint64(k[8:], splitmix(2*n+1))
	return k
}

func splitmix(n uint64) uint64 {
	n *= 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// numberHash makes the key of an identifier that is a decimal number, so that
// tests at size do not measure SHA-256.
func numberHash(_ string, id []byte) suppress.Key {
	n := uint64(0)
	for _, c := range id {
		n = n*10 + uint64(c-'0')
	}
	return number(n)
}

// numbers is a file of the numbers from..to, one a line.
type numbers struct {
	at, to uint64
	buf    []byte
}

func (n *numbers) Read(p []byte) (int, error) {
	for len(n.buf) < len(p) && n.at < n.to {
		n.buf = append(strconv.AppendUint(n.buf, n.at, 10), '\n')
		n.at++
	}
	if len(n.buf) == 0 {
		return 0, io.EOF
	}
	k := copy(p, n.buf)
	n.buf = append(n.buf[:0], n.buf[k:]...)
	return k, nil
}

func numberStore(t testing.TB, d suppress.Declaration, keys uint64) *suppress.Store {
	t.Helper()
	return numberStoreWith(t, suppress.Options{Dir: t.TempDir(), Hash: numberHash}, d, keys)
}

func numberStoreWith(t testing.TB, o suppress.Options, d suppress.Declaration, keys uint64) *suppress.Store {
	t.Helper()
	s := open(t, o)
	declare(t, s, d)
	if keys > 0 {
		if _, err := s.Replace(d.Name, &numbers{to: keys}, plain); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestFalsePositives looks every member up and a number of strangers: the
// members are all in, and of the strangers no more than the stated rate, with
// three standard deviations for the sample.
func TestFalsePositives(t *testing.T) {
	sizes := []uint64{1e4, 1e6}
	if *big {
		sizes = append(sizes, 1e7)
	}
	for _, keys := range sizes {
		for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
			for _, exact := range []bool{false, true} {
				if exact && keys > 1e4 && !*big {
					continue
				}
				t.Run(fmt.Sprintf("keys=%.0e/%s/exact=%v", float64(keys), kind, exact), func(t *testing.T) {
					d := people("l")
					d.Filter, d.Exact = kind, exact
					began := time.Now()
					s := numberStore(t, d, keys)
					built := time.Since(began)
					measure(t, s, keys, exact)
					t.Logf("built in %v", built)
				})
			}
		}
	}
}

func measure(t *testing.T, s *suppress.Store, keys uint64, exact bool) {
	v := s.View()
	at := v.List("l")
	var p suppress.Probe
	for n := range keys {
		p.Reset(number(n))
		if !v.Contains(at, &p, 0) {
			t.Fatalf("member %d is let through", n)
		}
	}
	strangers, wrong := uint64(500_000), 0
	if *big {
		strangers *= 20
	}
	for n := range strangers {
		p.Reset(number(1<<40 + n))
		if v.Contains(at, &p, 0) {
			wrong++
		}
	}
	most := float64(strangers) * suppress.DefaultRate
	if got := float64(wrong); got > most+3*math.Sqrt(most) || exact && wrong > 0 {
		t.Fatalf("%d of %d strangers are taken for members", wrong, strangers)
	}
	st, err := s.Status("l")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("measured %.2e, estimated %.2e, %.3f bytes a key in memory",
		float64(wrong)/float64(strangers), st.FalsePositiveRate, float64(st.Bytes)/float64(keys))
}

func TestAllocations(t *testing.T) {
	for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
		for _, exact := range []bool{false, true} {
			d := people("l")
			d.Filter, d.Exact, d.Rate = kind, exact, 1e-8
			s := numberStore(t, d, 1000)
			if err := s.Apply("l", 1, suppress.Add, []suppress.Key{number(5000)}); err != nil {
				t.Fatal(err)
			}
			var p suppress.Probe
			for _, n := range []uint64{1, 5000, 1 << 40} { // base, change, stranger
				key := number(n)
				if got := testing.AllocsPerRun(100, func() {
					v := s.View()
					p.Reset(key)
					v.Contains(v.List("l"), &p, 0)
				}); got >= 1 {
					t.Errorf("%s, exact %v, key %d: %v allocations", kind, exact, n, got)
				}
			}
		}
	}
	id, dst := []byte(" "+base64Of("a@example.com")), make([]byte, 0, 64)
	if got := testing.AllocsPerRun(100, func() { dst, _ = suppress.Canonical(dst[:0], "email_sha256", id) }); got >= 1 {
		t.Errorf("Canonical: %v allocations", got)
	}
}
