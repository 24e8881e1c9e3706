package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"restraint/caps"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0: the time")

func testRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 2))
}

var testCodec = Codec{Fingerprint: 0x0123456789abcdef, RoutingSeed: testSeed}

func encode(t testing.TB, changes []caps.Change) []byte {
	t.Helper()
	enc, err := testCodec.AppendBatch(nil, changes)
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

// applyBatch applies what a batch says.
func applyBatch(t testing.TB, s *caps.Store, enc []byte) {
	t.Helper()
	var b Batch
	if _, err := b.ParseNext(enc); err != nil {
		t.Fatal(err)
	}
	var c caps.Change
	for b.Next(&c) {
		if err := s.Reapply(&c); err != nil {
			t.Fatal(err)
		}
	}
}

// The form is fixed: one change of each kind.
func TestBatchForm(t *testing.T) {
	key := []caps.Key{{1, 2, 3, 15: 4}}
	enc := encode(t, []caps.Change{
		{Kind: caps.ChangeExpose, Keys: key, Now: 0x11, Exposure: caps.Exposure{Identity: 0x12, At: 0x13, Issued: 0x14}, Beats: []uint32{0x15}, Scopes: []caps.Counted{{Scope: 0x16, Keep: 0x17}}},
		{Kind: caps.ChangeRelease, Keys: key, Now: 0x21, Identity: 0x22, Until: 0x23},
		{Kind: caps.ChangePurchase, Keys: key, Now: 0x31, Stamp: 0x32, Tags: []uint64{0x33, 0x34}},
		{Kind: caps.ChangeReturn, Keys: key, Now: 0x41, Stamp: 0x42, Tags: []uint64{0x43}},
		{Kind: caps.ChangeChoice, Keys: key, Now: 0x51, Field: 0x52, Stamp: 0x53, Value: 0x54},
		{Kind: caps.ChangeErase, Keys: key, Now: 0x61, Until: 0x62},
		{Kind: caps.ChangeHold, Keys: key, Now: 0x71, Identity: 0x72, Until: 0x73, Scopes: []caps.Counted{{Scope: 0x74}}},
	})
	k := "01020300000000000000000000000004"
	records := k + "01000100" + "11000000" + "12000000" + "13000000" + "14000000" + "0100" + "1600000000000000" + "17" + "15000000" +
		k + "02000000" + "21000000" + "22000000" + "23000000" +
		k + "03000200" + "31000000" + "32000000" + "3300000000000000" + "3400000000000000" +
		k + "04000100" + "41000000" + "42000000" + "4300000000000000" +
		k + "05000000" + "51000000" + "5200000000000000" + "53000000" + "54000000" +
		k + "06000000" + "61000000" + "62000000" +
		k + "07000100" + "71000000" + "72000000" + "73000000" + "7400000000000000"
	want := hex.EncodeToString([]byte("rsbt")) + "0100" + "0100" + "efcdab8967452301" + "07000000" + "14010000" + "a7f69f0b" + "da" + "0f010000" + records
	if got := hex.EncodeToString(enc); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// What a batch says applies to the state that the changes apply to; twice, and in any order with others, too.
func TestBatchIsTheChanges(t *testing.T) {
	r, keys := testRand(t), testKeys(12)
	for range 60 {
		want := newStore()
		var batches [][]byte
		for range 1 + r.IntN(5) {
			changes := randomChanges(r, keys, 30)
			applyAll(t, want, changes)
			batches = append(batches, encode(t, changes))
		}
		for range 2 {
			got := newStore()
			for _, i := range r.Perm(len(batches)) {
				applyBatch(t, got, batches[i])
				applyBatch(t, got, batches[r.IntN(len(batches))])
			}
			wantSame(t, got, want, keys)
		}
	}
}

// The directory says where the records of each partition are.
func TestBatchDirectory(t *testing.T) {
	enc := encode(t, randomChanges(testRand(t), testKeys(2000), 3000))
	n := int(binary.LittleEndian.Uint16(enc[6:]))
	at := batchHead + n*batchEntry
	for i := range n {
		entry := enc[batchHead+i*batchEntry:]
		end := at + int(binary.LittleEndian.Uint32(entry[1:]))
		for at < end {
			key := caps.Key(enc[at:])
			if p := testCodec.Partition(&key); p != entry[0] {
				t.Fatalf("a record of partition %d under %d", p, entry[0])
			}
			size, err := checkRecord(enc[at:end])
			if err != nil {
				t.Fatal(err)
			}
			at += size
		}
	}
	if at != len(enc) {
		t.Fatalf("%d bytes, the directory has %d", len(enc), at)
	}
}

// Partitions are as even as chance makes them (chi-squared), and another seed gives others.
func TestPartitionIsEven(t *testing.T) {
	keys := benchKeys(256 * 400)
	var counts [partitions]float64
	same, other := 0, Codec{RoutingSeed: testSeed + 1}
	for i := range keys {
		p := testCodec.Partition(&keys[i])
		counts[p]++
		if other.Partition(&keys[i]) == p {
			same++
		}
	}
	chi := 0.0
	for _, n := range counts {
		chi += (n - 400) * (n - 400) / 400
	}
	if chi > 380 || same > 800 { // 255 degrees of freedom: 380 is beyond one in a million
		t.Errorf("chi-squared %.0f, %d keys in the same partition under another seed", chi, same)
	}
}

func TestBatchRefuses(t *testing.T) {
	if _, err := testCodec.AppendBatch(nil, []caps.Change{{Kind: 9}}); !errors.Is(err, caps.ErrMalformed) {
		t.Error(err)
	}
	large := caps.Change{Kind: caps.ChangePurchase, Keys: testKeys(16), Tags: make([]uint64, caps.MaxScopes)}
	changes := make([]caps.Change, maxBatch/(16*8*caps.MaxScopes)+1)
	for i := range changes {
		changes[i] = large
	}
	if enc, err := testCodec.AppendBatch([]byte{7}, changes); !errors.Is(err, ErrBatchTooLarge) || len(enc) != 1 {
		t.Error(len(enc), err)
	}
	enc := encode(t, randomChanges(testRand(t), testKeys(5), 10))
	var b Batch
	for n := range len(enc) {
		if _, err := b.ParseNext(enc[:n]); !errors.Is(err, ErrBatch) {
			t.Fatalf("%d of %d bytes: %v", n, len(enc), err)
		}
		flipped := bytes.Clone(enc)
		flipped[n] ^= 1 << (n % 8)
		if _, err := b.ParseNext(flipped); !errors.Is(err, ErrBatch) || b.Next(&caps.Change{}) {
			t.Fatalf("bit flipped at %d: %v", n, err)
		}
	}
	if rest, err := b.ParseNext(append(bytes.Clone(enc), 7, 8)); err != nil || !bytes.Equal(rest, []byte{7, 8}) {
		t.Error(rest, err)
	}
}

func TestBatchAllocations(t *testing.T) {
	changes, s := randomChanges(rand.New(rand.NewPCG(1, 1)), testKeys(50), 400), caps.New(caps.Options{Memory: testMemory, RefusalMemory: testMemory, Shards: 4})
	var enc []byte
	var b Batch
	var c caps.Change
	round := func() {
		var err error
		if enc, err = testCodec.AppendBatch(enc[:0], changes); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ParseNext(enc); err != nil {
			t.Fatal(err)
		}
		for b.Next(&c) {
			if err := s.Apply(&c); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	if got := allocations(20, round); got != 0 {
		t.Errorf("%v allocations for a batch, want 0", got)
	}
}

// allocations is the least that a number of runs of f allocate each: servers of other tests
// that have not ended yet allocate too, so one try without is enough.
func allocations(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for tries := 0; least != 0 && tries < 50; tries++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

// Whatever bytes come: an error, or changes that the store takes and that encode as what they are.
func FuzzBatch(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 8 {
		f.Add(encode(f, randomChanges(r, testKeys(4), 6)), true)
		f.Add(encode(f, ownChanges(r, testKeys(4), 6)), true)
	}
	f.Fuzz(func(t *testing.T, enc []byte, mend bool) {
		if mend && len(enc) >= batchHead { // past the checksum
			enc = bytes.Clone(enc)
			binary.LittleEndian.PutUint32(enc[20:], uint32(len(enc)-batchHead))
			binary.LittleEndian.PutUint32(enc[24:], batchChecksum(enc))
		}
		var b Batch
		if _, err := b.ParseNext(enc); err != nil {
			if !errors.Is(err, ErrBatch) && !errors.Is(err, ErrVersion) || b.Records != 0 {
				t.Fatal(err, b.Records)
			}
			return
		}
		s, n := newStore(), 0
		var changes []caps.Change
		for c := (caps.Change{}); b.Next(&c); n++ {
			if err := s.Apply(&c); err != nil && !errors.Is(err, caps.ErrFull) {
				t.Fatal(err)
			}
			changes = append(changes, caps.Change{})
			c, changes[n] = changes[n], c
		}
		var again Batch
		if _, err := again.ParseNext(encode(t, changes)); err != nil || again.Records != n {
			t.Fatalf("%v, %d records, want %d", err, again.Records, n)
		}
	})
}
