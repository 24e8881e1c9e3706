package suppress_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"restraint/suppress"
)

func sampleChange(keys uint64) *suppress.Change {
	c := &suppress.Change{List: "Opt.Outs ü", Fingerprint: "0123456789abcdef", Op: suppress.Remove, Items: true}
	for n := range keys {
		c.Keys = append(c.Keys, number(n))
	}
	return c
}

func encodeChange(t testing.TB, c *suppress.Change) []byte {
	t.Helper()
	b, err := suppress.AppendChange([]byte("before"), c)
	if err != nil || !bytes.HasPrefix(b, []byte("before")) {
		t.Fatal(err)
	}
	return b[len("before"):]
}

// TestChangeForm reads back what was written; no other bytes are a change.
func TestChangeForm(t *testing.T) {
	for _, keys := range []uint64{1, 3, suppress.MaxChangeKeys} {
		want := sampleChange(keys)
		if keys == suppress.MaxChangeKeys {
			want.List = strings.Repeat("x", 128)
		}
		b := encodeChange(t, want)
		got, err := suppress.ParseChange(b)
		if err != nil || !reflect.DeepEqual(&got, want) || len(b) > suppress.MaxChangeBytes {
			t.Fatalf("%d keys in %d bytes are read as %d keys: %v", keys, len(b), len(got.Keys), err)
		}
	}
	whole := encodeChange(t, sampleChange(2))
	for n := range whole {
		if _, err := suppress.ParseChange(whole[:n]); !errors.Is(err, suppress.ErrDamaged) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		if _, err := suppress.ParseChange(flipped); !errors.Is(err, suppress.ErrDamaged) && !errors.Is(err, suppress.ErrVersion) {
			t.Fatalf("byte %d flipped: %v", n, err)
		}
	}
	whole[4] = 4
	if _, err := suppress.ParseChange(whole); !errors.Is(err, suppress.ErrVersion) {
		t.Fatalf("a version of the future: %v", err)
	}
}

func TestChangeRefused(t *testing.T) {
	for name, spoil := range map[string]func(c *suppress.Change){
		"no name":       func(c *suppress.Change) { c.List = "" },
		"no keys":       func(c *suppress.Change) { c.Keys = nil },
		"too many keys": func(c *suppress.Change) { c.Keys = make([]suppress.Key, suppress.MaxChangeKeys+1) },
		"no op":         func(c *suppress.Change) { c.Op = 0 },
		"fingerprint":   func(c *suppress.Change) { c.Fingerprint = strings.Repeat("f", 33) },
		"padding":       func(c *suppress.Change) { c.Fingerprint = "f\x00" },
	} {
		c := sampleChange(2)
		spoil(c)
		if b, err := suppress.AppendChange([]byte("x"), c); string(b) != "x" || !errors.Is(err, suppress.ErrImport) && !errors.Is(err, suppress.ErrName) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func FuzzChange(f *testing.F) {
	f.Add(encodeChange(f, sampleChange(1)))
	f.Add(encodeChange(f, sampleChange(3)))
	f.Add([]byte("rslc\x01\x01\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := suppress.ParseChange(b)
		if err != nil {
			return
		}
		if again := encodeChange(t, &c); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v", b, c)
		}
	})
}

// TestPrepare: nothing is applied before the messages are, and they hold what
// Change would have applied.
func TestPrepare(t *testing.T) {
	s := numberStore(t, people("l"), 10)
	many := uint64(suppress.MaxChangeKeys + 1000)
	p, rep, err := s.Prepare("l", suppress.Add, &numbers{at: 5, to: 5 + many}, plain)
	if err != nil || rep.Keys != many || rep.Generation != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	defer p.Close()
	if st, _ := s.Status("l"); st.Keys != 10 || s.Sequence() != 0 {
		t.Fatalf("applied beforehand: %+v", st)
	}
	for range p.Messages() {
		break // the caller fails
	}
	for range 2 {
		seen := 0
		for b, err := range p.Messages() {
			if err != nil {
				t.Fatal(err)
			}
			c, err := suppress.ParseChange(b)
			if err != nil {
				t.Fatal(err)
			}
			clear(b)
			if err := s.ApplyChange(uint64(7+seen), &c); err != nil {
				t.Fatal(err)
			}
			seen++
		}
		if st, _ := s.Status("l"); seen != 2 || st.Keys != int64(many)+5 {
			t.Fatalf("%d messages, %+v", seen, st)
		}
	}
	p.Close()
	for range p.Messages() {
		t.Fatal("a message after Close")
	}
}

func TestPrepareRefused(t *testing.T) {
	s := numberStore(t, people("l"), 10)
	bad := &duringRead{strings.NewReader("1\n\x00\n\x00\n"), nil}
	if p, rep, err := s.Prepare("l", suppress.Add, bad, plain); !errors.Is(err, suppress.ErrRejected) || p != nil || rep.Rejected != 2 {
		t.Fatalf("rejected rows: %+v, %v", rep, err)
	}
	if _, _, err := s.Prepare("other", suppress.Add, bad, plain); !errors.Is(err, suppress.ErrUnknownList) {
		t.Fatal(err)
	}
	if _, _, err := s.Prepare("l", 3, bad, plain); !errors.Is(err, suppress.ErrImport) {
		t.Fatal(err)
	}
	dry := plain
	dry.DryRun = true
	p, rep, err := s.Prepare("l", suppress.Remove, &numbers{to: 3}, dry)
	if err != nil || rep.Keys != 3 {
		t.Fatalf("dry run: %+v, %v", rep, err)
	}
	for range p.Messages() {
		t.Fatal("a message of a dry run")
	}
	p.Close()
	orders := people("l")
	orders.Items = true
	o := options(t.TempDir())
	s = open(t, o)
	declare(t, s, people("l"))
	if err := s.ApplyChange(1, &suppress.Change{List: "l", Fingerprint: o.Fingerprint, Op: suppress.Add, Keys: []suppress.Key{number(1)}}); err != nil {
		t.Fatal(err)
	}
	other := &suppress.Change{List: "l", Fingerprint: o.Fingerprint, Op: suppress.Add, Items: true, Keys: []suppress.Key{number(1)}}
	if err := s.ApplyChange(2, other); !errors.Is(err, suppress.ErrImport) {
		t.Fatalf("items in a list of users: %v", err)
	}
	other.Items, other.Fingerprint = false, "another"
	if err := s.ApplyChange(2, other); !errors.Is(err, suppress.ErrFingerprint) {
		t.Fatalf("another secret: %v", err)
	}
	declare(t, s, orders)
	csv := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "u", ItemColumn: "sku"}
	if _, _, err := s.Prepare("l", suppress.Add, strings.NewReader("u,sku\nu1,hat\n"), csv); !errors.Is(err, suppress.ErrImport) {
		t.Fatalf("prepared items for a list of users: %v", err)
	}
}

// TestChangeOrder: changes in binary form come in any order, doubled.
func TestChangeOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var all [][]byte
	for range 60 {
		c := suppress.Change{List: "l", Op: suppress.Op(1 + rng.IntN(2)), Keys: []suppress.Key{number(rng.Uint64N(9)), number(rng.Uint64N(9))}}
		all = append(all, encodeChange(t, &c))
	}
	var want []bool
	for round := range 4 {
		s := numberStore(t, people("l"), 0)
		order := rng.Perm(len(all))
		for _, i := range append(order, order[:20]...) {
			c, err := suppress.ParseChange(all[i])
			if err != nil {
				t.Fatal(err)
			}
			if err := s.ApplyChange(uint64(i+1), &c); err != nil {
				t.Fatal(err)
			}
		}
		var got []bool
		for n := range uint64(9) {
			in, _ := s.Member("l", number(n))
			got = append(got, in)
		}
		if round > 0 && !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		want = got
	}
}
