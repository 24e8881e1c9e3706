package identity

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// A receipt opens on every node of its cluster, on none of another, and not when any
// byte of it was changed; nothing of the keys can be read in it.
func TestReceipt(t *testing.T) {
	mine, peer, other := NewReceipts(testSecret(t, 0)), NewReceipts(testSecret(t, 0)), NewReceipts(testSecret(t, 1))
	for _, keys := range []int{0, 1, MaxTokenKeys} {
		want := Receipt{At: 1_793_500_000, Until: 1_793_500_180}
		for i := range keys {
			want.Keys = append(want.Keys, Key(bytes.Repeat([]byte{byte('A' + i)}, 16)))
		}
		receipt := mine.Append(nil, &want)
		if len(receipt) > MaxReceiptBytes || bytes.Equal(receipt, mine.Append(nil, &want)) {
			t.Errorf("%d keys: %d bytes, at most %d; or two receipts are alike", keys, len(receipt), MaxReceiptBytes)
		}
		if got, err := peer.Open(receipt); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d keys: %+v, %v", keys, got, err)
		}
		if _, err := other.Open(receipt); !errors.Is(err, ErrReceipt) {
			t.Errorf("another cluster opens it: %v", err)
		}
		for i := range receipt {
			changed := bytes.Clone(receipt)
			if changed[i]++; changed[i] > 'z' {
				changed[i] = '-'
			}
			if _, err := mine.Open(changed); !errors.Is(err, ErrReceipt) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
		}
		if raw, _ := encoding.AppendDecode(nil, receipt); keys > 0 && bytes.Contains(raw, want.Keys[0][:]) {
			t.Error("a key can be read in the receipt")
		}
	}
	for _, wrong := range []string{"", "x", "AQ", strings.Repeat("A", MaxReceiptBytes), strings.Repeat("A", MaxReceiptBytes+1), "\n"} {
		if _, err := mine.Open([]byte(wrong)); !errors.Is(err, ErrReceipt) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func FuzzReceiptOpen(f *testing.F) {
	r := NewReceipts(rotated(f, 0, 2))
	f.Add(NewReceipts(testSecret(f, 0)).Append(nil, &Receipt{At: 1, Until: 2, Keys: []Key{{3}}}))
	f.Add(r.Append(nil, &Receipt{At: 1, Until: 2, Keys: []Key{{3}}}))
	f.Fuzz(func(t *testing.T, receipt []byte) {
		x, err := r.Open(receipt)
		if err != nil && !reflect.DeepEqual(x, Receipt{}) {
			t.Fatalf("%+v with %v", x, err)
		}
		if again, e := r.Open(r.Append(nil, &x)); e != nil || !reflect.DeepEqual(again, x) {
			t.Fatalf("sealed again: %+v, %v, want %+v", again, e, x)
		}
	})
}
