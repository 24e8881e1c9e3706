package caps

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
)

// The wire form is fixed: one exposure in one scope, kept up to 3, and a hold.
func TestWireForm(t *testing.T) {
	s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	key := Key{1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0, 0, 0, 0, 0}
	s.Expose([]Key{key}, Exposure{Identity: 0xaabbccdd, At: 1000}, nil, []Counted{{0x0000_0007_0000_0000, 3}}, 1010)
	var p Person
	s.Lock(&p, []Key{key}, 1010)
	p.Take(0x11, 1070, []Counted{{0x0000_0009_0000_0000, 3}})
	p.Hold(0)
	p.Unlock()
	want := "01010000" + "10400000" + "01020304050607080100000000000000" + "00000000" + "8002000000000000" +
		"07000000" + "0a40c000" + "e8030000" + "ddccbbaa" + "09000000" + "11000000" + "2e040000" + "f2030000"
	if got := hex.EncodeToString(s.AppendExposures(nil, key, 1010)); got != want {
		t.Errorf("exposures\n%s, want\n%s", got, want)
	}
	if err := s.Purchase([]Key{key}, []uint64{0x0102030405060708}, 1000, 1010); err != nil {
		t.Fatal(err)
	}
	if err := s.Choose([]Key{key}, 0x0102030405060708, 1005, 7, 1010); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase([]Key{key}, 999, 1010); err != nil {
		t.Fatal(err)
	}
	want = "01020000" + "0e800000" + "01020304050607080100000000000000" + "e7030000" +
		"04030201" + "08070605" + "e8030000" + "00000000" + "04030201" + "09070605" + "ed030000" + "07000000"
	if got := hex.EncodeToString(s.AppendRefusals(nil, key, 1010)); got != want {
		t.Errorf("refusals\n%s, want\n%s", got, want)
	}
}

// wireSeeds are encoded records of every kind, for the fuzz targets to start from.
func wireSeeds(t *testing.T, pick func(state) []byte) (seeds [][]byte) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 30 {
		if enc := pick(randomState(t, r, randomKey(r), func(int) uint8 { return 3 })); enc != nil {
			seeds = append(seeds, enc)
			if enc[1] == wireExposures {
				own := bytes.Clone(enc)
				own[0], own[7] = wireOwn, byte(1+r.IntN(int(MaxRetention)))<<1
				seeds = append(seeds, own)
			}
		}
	}
	return seeds
}

// Whatever bytes come: an error and no change, or a record that encodes as what it is.
func FuzzMergeExposures(f *testing.F) {
	for _, seed := range wireSeeds(&testing.T{}, func(s state) []byte { return s.exposures }) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, enc []byte) {
		s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
		if err := s.MergeExposures(enc, 1); err != nil {
			if !errors.Is(err, ErrMalformed) || s.Stats().Users != 0 {
				t.Fatalf("%v, %+v", err, s.Stats())
			}
			return
		}
		checkTable(t, &s.shards[0].exposures)
		key := Key(enc[8:24])
		once := s.AppendExposures(nil, key, 1)
		var p Person
		s.Lock(&p, []Key{key}, 1)
		p.Full(1, 1, 0)
		p.Usage(1, 1, Window{})
		p.Run(1, 2, 3)
		p.Unlock()
		if once == nil {
			return
		}
		if err := s.MergeExposures(once, 1); err != nil {
			t.Fatalf("%v: own record %x", err, once)
		}
		if twice := s.AppendExposures(nil, key, 1); !bytes.Equal(once, twice) {
			t.Fatalf("%x, again %x", once, twice)
		}
	})
}

func FuzzMergeRefusals(f *testing.F) {
	for _, seed := range wireSeeds(&testing.T{}, func(s state) []byte { return s.refusals }) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, enc []byte) {
		s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
		if err := s.MergeRefusals(enc, 1); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrFull) || s.Stats().RefusalUsers != 0 {
				t.Fatalf("%v, %+v", err, s.Stats())
			}
			return
		}
		checkTable(t, &s.shards[0].refusals)
		once := s.AppendRefusals(nil, Key(enc[8:24]), 1)
		if once == nil {
			return
		}
		if err := s.MergeRefusals(once, 1); err != nil {
			t.Fatalf("%v: own record %x", err, once)
		}
		if twice := s.AppendRefusals(nil, Key(enc[8:24]), 1); !bytes.Equal(once, twice) {
			t.Fatalf("%x, again %x", once, twice)
		}
	})
}

// A truncated record, or one with any byte more, is refused.
func TestMergeMalformed(t *testing.T) {
	for _, enc := range wireSeeds(t, func(s state) []byte { return s.exposures }) {
		s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
		for n := range len(enc) {
			if err := s.MergeExposures(enc[:n], 1); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%d bytes of %x: %v", n, enc, err)
			}
		}
		for _, more := range [][]byte{{0}, {0, 0, 0, 0}, make([]byte, MaxEncoded)} {
			if err := s.MergeExposures(append(bytes.Clone(enc), more...), 1); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%x and %d bytes: %v", enc, len(more), err)
			}
		}
		if s.Stats().Users != 0 {
			t.Fatal("a malformed record was applied")
		}
	}
}
