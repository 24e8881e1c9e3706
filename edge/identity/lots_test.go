package identity

import (
	"encoding/binary"
	"math"
	"testing"
)

// lotKeys are keys of made-up people.
func lotKeys(t *testing.T, n int) []Key {
	t.Helper()
	h := NewHasher(testSecret(t, 1))
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = h.Key("user.id", binary.LittleEndian.AppendUint32(nil, uint32(i)))
	}
	return keys
}

// within says whether a count of n trials of probability p is within five standard
// deviations of what is expected: a right one is outside once in 1.7 million.
func within(count, n int, p float64) bool {
	return math.Abs(float64(count)-float64(n)*p) <= 5*math.Sqrt(float64(n)*p*(1-p))
}

// Every lot is drawn by one in a hundred, and none of the draws says anything of
// another, or of the bits that shards and partitions go by.
func TestLotsAreEvenAndIndependent(t *testing.T) {
	const n = 200_000
	l := NewLots(testSecret(t, 1))
	var pilot, holdout, part [100]int
	var both, bothPilots, shard int
	for _, k := range lotKeys(t, n) {
		p, h := l.Pilot(6, k), l.Holdout(k)
		pilot[p]++
		holdout[h]++
		part[l.Part(16, k)]++
		if p < 10 && h < 10 {
			both++
		}
		if p < 10 && l.Pilot(7, k) < 10 {
			bothPilots++
		}
		if p < 10 && k[0] < 64 && k[15]&3 == 0 {
			shard++
		}
	}
	for lot := range 100 {
		if !within(pilot[lot], n, 0.01) || !within(holdout[lot], n, 0.01) {
			t.Errorf("lot %d: %d and %d of %d", lot, pilot[lot], holdout[lot], n)
		}
		if want := 1.0 / 16; lot < 16 && !within(part[lot], n, want) || lot >= 16 && part[lot] != 0 {
			t.Errorf("part %d: %d of %d", lot, part[lot], n)
		}
	}
	if !within(both, n, 0.01) || !within(bothPilots, n, 0.01) || !within(shard, n, 0.1/16) {
		t.Errorf("a tenth of a tenth: %d and %d of %d; a tenth of a sixteenth: %d", both, bothPilots, n, shard)
	}
}

// The same person draws the same lot wherever the secret is the same, and another
// under another secret. What is drawn never changes: people would change sides.
func TestLotsStay(t *testing.T) {
	a, b, other := NewLots(testSecret(t, 1)), NewLots(testSecret(t, 1)), NewLots(testSecret(t, 2))
	same := 0
	for _, k := range lotKeys(t, 1000) {
		if a.Pilot(3, k) != b.Pilot(3, k) || a.Holdout(k) != b.Holdout(k) || a.Part(16, k) != b.Part(16, k) {
			t.Fatalf("%x draws differently", k)
		}
		if a.Pilot(3, k) == other.Pilot(3, k) && a.Holdout(k) == other.Holdout(k) {
			same++
		}
	}
	if same > 20 { // one in 10,000 by chance
		t.Errorf("%d of 1000 draw alike under another secret", same)
	}
	k := Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	if got := [...]uint8{a.Pilot(1, k), a.Pilot(2, k), a.Holdout(k), uint8(a.Part(16, k))}; got != [...]uint8{42, 77, 45, 13} {
		t.Errorf("%v", got)
	}
}
