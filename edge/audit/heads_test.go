package audit

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// someHeads are heads of two logs of one node over many days, some of them of one number
// with several macs.
func someHeads(t testing.TB, n int, seed uint64) (hs Heads) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	signers := make([]signer, 2)
	for i := range signers {
		var err error
		if signers[i], err = openSigner(nil, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		h := Head{
			Node: "edge-1", Seq: 1 + random.Uint64N(4), MAC: strings.Repeat(string(rune('a'+random.IntN(3))), 64),
			At: time.Unix(1_800_000_000+random.Int64N(100)*24*60*60+random.Int64N(5*60*60), 0).UTC(),
		}
		signers[random.IntN(2)].sign(&h)
		hs = append(hs, h)
	}
	return hs
}

// Joining is commutative, associative and idempotent, on the encoded form, and keeps the
// largest number of the newest days.
func TestHeadsJoin(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	all := someHeads(t, 400, seed)
	random := rand.New(rand.NewPCG(seed, 2))
	part := func() (hs Heads) {
		for range random.IntN(60) {
			hs = append(hs, all[random.IntN(len(all))])
		}
		return Heads(nil).Join(hs)
	}
	text := func(hs Heads) string { return string(AppendHeads(nil, hs)) }
	for range 200 {
		a, b, c := part(), part(), part()
		if text(a.Join(b)) != text(b.Join(a)) || text(a.Join(b).Join(c)) != text(a.Join(b.Join(c))) || text(a.Join(a)) != text(a) {
			t.Fatal("not a join")
		}
	}
	whole := Heads(nil).Join(all)
	for span, most := range map[int64]int{daySeconds: maxDays, hourSeconds: maxHours} {
		largest, kept := map[[2]any]uint64{}, map[[2]any]uint64{}
		for _, h := range all {
			of := [2]any{h.Key, h.At.Unix() / span}
			largest[of] = max(largest[of], h.Seq)
		}
		for _, h := range whole {
			of := [2]any{h.Key, h.At.Unix() / span}
			kept[of] = max(kept[of], h.Seq)
		}
		so := 0
		for of, seq := range kept {
			if seq == largest[of] {
				so++
			}
		}
		if so < most {
			t.Errorf("of %d s: the largest of %d, want %d", span, so, most)
		}
	}
	if len(whole) > maxHeads {
		t.Errorf("%d heads", len(whole))
	}
	if again, err := ParseHeads(AppendHeads(nil, whole), nil); err != nil || text(again) != text(whole) {
		t.Error(err)
	}
}

func TestParseHeadsRefuses(t *testing.T) {
	hs := Heads(nil).Join(someHeads(t, 3, 1))
	text := AppendHeads(nil, hs)
	if _, err := ParseHeads(text, hs); err != nil {
		t.Error(err)
	}
	two := append(Heads{}, hs...)
	two[1].Node = "edge-2"
	for _, wrong := range [][]byte{
		nil, []byte("{}"), []byte(`{"version":1,"heads":[]}`), bytes.Repeat([]byte(" "), maxHeadsBytes+1), AppendHeads(nil, two),
		bytes.Replace(text, []byte(`"seq":`), []byte(`"seq":1`), 1), AppendHeads(nil, make(Heads, maxHeads+1)),
	} {
		if _, err := ParseHeads(wrong, nil); !errors.Is(err, ErrHead) && !errors.Is(err, ErrSignature) {
			t.Errorf("%.100s: %v", wrong, err)
		}
	}
	if _, err := ParseHeads([]byte(`{"version":2}`), nil); !errors.Is(err, ErrHeadsNewer) {
		t.Error(err)
	}
}

func FuzzParseHeads(f *testing.F) {
	f.Add(AppendHeads(nil, Heads(nil).Join(someHeads(f, 5, 1))))
	f.Add([]byte(`{"version":1,"heads":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		hs, err := ParseHeads(text, nil)
		if err != nil {
			return
		}
		if again, err := ParseHeads(AppendHeads(nil, hs), nil); err != nil || !bytes.Equal(AppendHeads(nil, again), AppendHeads(nil, hs)) {
			t.Errorf("%v", err)
		}
	})
}
