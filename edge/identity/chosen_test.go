package identity

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// Whoever finds identifiers or names that fall together under one secret has found nothing for
// another: under that they fall together as often as any others. So nobody who does not know the
// secret can choose many that meet in one bucket, filter block or counter.
func TestNothingCanBeChosen(t *testing.T) {
	const inputs, buckets = 1 << 14, 1 << 16
	here, there := testSecret(t, 0), testSecret(t, 1)
	low := func(k Key) uint16 { return binary.LittleEndian.Uint16(k[:]) }
	high := func(k Key) uint16 { return binary.LittleEndian.Uint16(k[14:]) }
	type hash func(s Secret) func(name []byte) uint16
	for what, of := range map[string]hash{
		"user key, its first bits": func(s Secret) func([]byte) uint16 {
			h := NewHasher(s)
			return func(b []byte) uint16 { return low(h.Key("user.id", b)) }
		},
		"user key, its last bits": func(s Secret) func([]byte) uint16 {
			h := NewHasher(s)
			return func(b []byte) uint16 { return high(h.Key("user.id", b)) }
		},
		"tag, its last bits": func(s Secret) func([]byte) uint16 {
			tags := NewTags(s)
			return func(b []byte) uint16 { return uint16(tags.TagBytes(KindItem, 7, b)) }
		},
		"tag, its first bits": func(s Secret) func([]byte) uint16 {
			tags := NewTags(s)
			return func(b []byte) uint16 { return uint16(tags.TagBytes(KindCreative, 7, b) >> 48) }
		},
		"exposure": func(s Secret) func([]byte) uint16 {
			tags := NewTags(s)
			return func(b []byte) uint16 { return uint16(tags.Exposure("impression", b, b, nil, nil)) }
		},
		"candidate": func(s Secret) func([]byte) uint16 {
			tags := NewTags(s)
			return func(b []byte) uint16 { return uint16(tags.Candidate(b, nil, b)) }
		},
		"report": func(s Secret) func([]byte) uint16 {
			reports := NewReports(s)
			return func(b []byte) uint16 { return uint16(reports.Named(9, 1, b)) }
		},
	} {
		first, second := of(here), of(there)
		at := map[uint16][]byte{}
		found, still := 0, 0
		for i := range inputs {
			name := fmt.Appendf(nil, "chosen-%d", i)
			other, meet := at[first(name)]
			if !meet {
				at[first(name)] = name
				continue
			}
			found++
			if second(name) == second(other) {
				still++
			}
		}
		// About inputs^2 / 2 / buckets pairs, of which one in 65,536 by chance.
		if found < inputs*inputs/buckets/4 || still > 3 {
			t.Errorf("%s: of %d pairs that meet under one secret %d do under another", what, found, still)
		}
	}
}
