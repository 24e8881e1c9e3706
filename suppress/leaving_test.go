package suppress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A key file that says when keys leave is whole, or refused, whatever byte of it is
// another, and wherever it ends.
func TestLeavingFile(t *testing.T) {
	dir := t.TempDir()
	whole := leavingFile(t, dir)
	path := filepath.Join(dir, "k")
	open := func(b []byte) (*keyFile, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := openKeyFile(asIs{}, path, "l", vault{fingerprint: "f"})
		if err == nil {
			k.file.Close()
		}
		return k, err
	}
	k, err := open(whole)
	if err != nil || len(whole) != 160+4*16+48+2*20 || k.size() != int64(len(whole)) {
		t.Fatalf("%d bytes, %+v, %v", len(whole), k, err)
	}
	for key, leaves := range map[pair]uint32{{1, 1}: never, {2, 2}: 1_900_000_000, {4, 4}: 1_900_000_000, {9, 9}: 7} {
		if key := key.key(); k.leaves(&key) != leaves {
			t.Errorf("key %v leaves at %d, want %d", key, k.leaves(&key), leaves)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		if _, err := open(b); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFingerprint) {
			t.Errorf("byte %d is another: %v", i, err)
		}
		if _, err := open(whole[:i]); !errors.Is(err, ErrDamaged) {
			t.Errorf("it ends after %d bytes: %v", i, err)
		}
	}
	if _, err := open(append(whole, 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
}

// Every key is found among few and many, evenly spread or not, and no other is.
func TestLeavingOf(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 3, 10, 1000, 50_000} {
		for _, narrow := range []bool{false, true} {
			var keys []pair
			for range n {
				p := pair{r.Uint64(), r.Uint64() &^ 1}
				if narrow {
					p.hi = 1<<63 | p.hi>>50
				}
				keys = append(keys, p)
			}
			slices.SortFunc(keys, comparePairs)
			l := new(leaving)
			for i, p := range slices.Compact(keys) {
				l.add(member{p, uint32(i + 1)})
			}
			for i, p := range l.keys {
				if got := l.of(p, 0); got != uint32(i+1) {
					t.Fatalf("key %d of %d: %d", i, l.len(), got)
				}
				if got := l.of(pair{p.hi, p.lo | 1}, 0); got != 0 {
					t.Fatalf("beside key %d of %d: %d", i, l.len(), got)
				}
			}
			for _, p := range []pair{{0, 1}, {1 << 63, 1}, {^uint64(0), ^uint64(0)}} {
				if got := l.of(p, 9); got != 9 {
					t.Fatalf("a key that is not there: %d", got)
				}
			}
		}
	}
	if (*leaving)(nil).of(pair{1, 2}, 5) != 5 {
		t.Error("of nothing")
	}
}

// What is kept of the changes to a key gives, for every generation and stretch of
// changes, what all of them would.
func TestJoined(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		var all []change
		for range 1 + r.IntN(6) {
			op := Op(1 + r.IntN(2))
			c := newChange(1+r.Uint64N(8), op, 0)
			if op == Add && r.IntN(3) > 0 {
				c.leaves = 1 + r.Uint32N(4)
			}
			all = append(all, c)
		}
		last, earlier := all[0], []change(nil)
		for _, c := range all[1:] {
			last, earlier, _ = joined(last, earlier, c)
		}
		for start := range uint64(9) {
			for _, base := range []uint32{0, 2, never} {
				got, _ := standingOf(last, earlier, start, keptUnknown)
				if want := plainly(all, start, base); got.over(base) != want {
					t.Fatalf("%+v over %d from %d: leaves at %d, want %d (kept %+v %+v)", all, base, start, got.over(base), want, last, earlier)
				}
			}
		}
		if _, _, news := joined(last, earlier, all[r.IntN(len(all))]); news {
			t.Fatalf("%+v: one of them tells something new to %+v %+v", all, last, earlier)
		}
	}
}

// plainly is when a key leaves that leaves the generation at base.
func plainly(all []change, start uint64, base uint32) uint32 {
	removed := uint64(0)
	for _, c := range all {
		if c.op == Remove && c.seq > start {
			removed, base = max(removed, c.seq), 0
		}
	}
	for _, c := range all {
		if c.op == Add && c.seq > start && c.seq >= removed {
			base = max(base, c.leaves)
		}
	}
	return base
}

// An entry for a key that is not in the file counts for nobody.
func TestLeavingForNobody(t *testing.T) {
	l := &leavingKeys{keys: &sliceStream{{2, 2}, {5, 5}}, all: 7, l: &leaving{keys: []pair{{1, 1}, {2, 2}, {3, 3}, {9, 9}}, at: []uint32{1, 2, 3, 4}}}
	var got []uint32
	for {
		m, ok, err := l.nextMember()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		got = append(got, m.leaves)
	}
	if !slices.Equal(got, []uint32{2, 7}) {
		t.Errorf("%v", got)
	}
	b := binary.BigEndian.AppendUint64(nil, 3)
	if _, err := readLeaving(bytes.NewReader(append([]byte("LEAV\x00\x00\x00\x00"), b...)), nil, 2, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("more entries than keys: %v", err)
	}
}
