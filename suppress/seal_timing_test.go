package suppress_test

import (
	"fmt"
	"strings"
	"testing"

	"restraint/suppress"
)

// Writing a list anew in another epoch, against opening it, which reads and verifies every
// key too; and looking one key up in a key file that is sealed or not.
func BenchmarkReseal(b *testing.B) {
	const members = 1_000_000
	o, e := options(b.TempDir()), &epochs{}
	o.Seals = e
	s := open(b, o)
	d := people("l")
	declare(b, s, d)
	var rows strings.Builder
	for i := range members {
		fmt.Fprintf(&rows, "u%d\n", i)
	}
	if _, err := s.Replace("l", strings.NewReader(rows.String()), plain); err != nil {
		b.Fatal(err)
	}
	look := func(b *testing.B) {
		b.ReportAllocs()
		keys := make([]suppress.Key, 1024)
		for i := range keys {
			keys[i] = testHash("user.id", fmt.Appendf(nil, "u%d", i))
		}
		for i := 0; b.Loop(); i++ {
			if in, err := s.Member("l", keys[i%len(keys)]); err != nil || !in {
				b.Fatal(in, err)
			}
		}
	}
	b.Run("member/clear", look)
	b.Run("reseal", func(b *testing.B) {
		b.SetBytes(members * 16)
		for epoch := 1; b.Loop(); epoch++ {
			e.use(epoch)
			if err := s.Reseal(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("member/sealed", look)
	b.Run("open/sealed", func(b *testing.B) {
		b.SetBytes(members * 16)
		for b.Loop() {
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			var err error
			if s, err = suppress.Open(o); err != nil {
				b.Fatal(err)
			}
		}
	})
}
