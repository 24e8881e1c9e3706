package replica

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"restraint/caps"
)

// testSeals are epochs whose keys are hashes of a word. The first is that of the cluster.
type testSeals struct {
	word string

	mu     sync.Mutex
	known  int // epochs 0 to known
	active int
}

func newSeals(known, active int) *testSeals {
	return &testSeals{word: "a cluster", known: known, active: active}
}

func sealFingerprint(number int) string { return sealFingerprints[number] }

var sealFingerprints = [10]string{
	secretHex, "0000e0c000000001", "0000e0c000000002", "0000e0c000000003", "0000e0c000000004", "0000e0c000000005",
}

func (s *testSeals) learn(known int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known
}

func (s *testSeals) Active() (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active, sealFingerprint(s.active)
}

func (s *testSeals) Newest() (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known, sealFingerprint(s.known)
}

func (s *testSeals) Readable() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.known + 1 {
		all = append(all, sealFingerprint(i))
	}
	return all
}

var errNoSecret = errors.New("no secret")

func (s *testSeals) number(fingerprint string) (int, error) {
	for i := range s.known + 1 {
		if sealFingerprint(i) == fingerprint {
			return i, nil
		}
	}
	return 0, errNoSecret
}

func (s *testSeals) Subkey(fingerprint, purpose string, salt []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := s.number(fingerprint)
	if err != nil || number == 0 {
		return nil, err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %x", s.word, fingerprint, purpose, salt))
	return key[:], nil
}

func (s *testSeals) Activate(fingerprint string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := s.number(fingerprint)
	s.active = max(s.active, number)
	return err
}

// sealedCodec is that of a node that knows so many epochs and writes in one of them.
func sealedCodec(known, active int) *Codec {
	c := testCodec
	c.sealer = newSealer(newSeals(known, active))
	return &c
}

// wantHidden fails where a key stands in what was written, or any half of it.
func wantHidden(t testing.TB, what string, b []byte, keys []caps.Key) {
	t.Helper()
	for _, key := range keys {
		if bytes.Contains(b, key[:8]) || bytes.Contains(b, key[8:]) {
			t.Fatalf("%s: a key stands in it in clear", what)
		}
	}
}

func TestSealedBatch(t *testing.T) {
	r, keys := testRand(t), testKeys(30)
	writer, reader := sealedCodec(2, 1), sealedCodec(3, 2)
	for n := range 30 {
		changes := randomChanges(r, keys, 20)
		if n%3 == 0 {
			changes = append(changes, ownChanges(r, keys, 3)...)
		}
		enc, err := writer.AppendBatch([]byte("x"), changes)
		if err != nil || enc[0] != 'x' {
			t.Fatal(err)
		}
		enc = enc[1:]
		wantHidden(t, "batch", enc, keys)
		if length, ok := batchLength(enc); !ok || length != len(enc) || enc[4] != batchSealed || enc[5] != contentOf(changes) {
			t.Fatalf("length %d of %d, version %d, content %d", length, len(enc), enc[4], enc[5])
		}
		got, want := newStore(), newStore()
		b := reader.Batch()
		rest, err := b.ParseNext(append(bytes.Clone(enc), 7))
		if err != nil || len(rest) != 1 || reader.foreign(&b) {
			t.Fatalf("%v, %d bytes follow", err, len(rest))
		}
		for c := (caps.Change{}); b.Next(&c); {
			if err := got.Reapply(&c); err != nil {
				t.Fatal(err)
			}
		}
		applyAll(t, want, changes)
		wantSame(t, got, want, keys)
	}
}

// Each bit of a sealed batch counts, also where the checksum was set right by whoever changed it; and what cannot be opened for want of
// the secret is told from what is damaged.
func TestSealedBatchRefused(t *testing.T) {
	keys := testKeys(3)
	enc, err := sealedCodec(1, 1).AppendBatch(nil, []caps.Change{{Kind: caps.ChangeChoice, Keys: keys, Now: 7, Field: 1, Stamp: 6, Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	mend := func(b []byte) []byte { binary.LittleEndian.PutUint32(b[24:], batchChecksum(b)); return b }
	reader := sealedCodec(1, 0)
	for bit := range len(enc) * 8 {
		forged := bytes.Clone(enc)
		forged[bit/8] ^= 1 << (bit % 8)
		if at := bit / 8; at < 4 || at >= 20 && at < 28 {
			continue // magic, length and checksum are no matter of the seal
		}
		b := reader.Batch()
		if _, err := b.ParseNext(mend(forged)); !errors.Is(err, ErrBatch) && !errors.Is(err, ErrEpoch) && !errors.Is(err, ErrVersion) || b.Next(&caps.Change{}) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range len(enc) - batchHead {
		short := bytes.Clone(enc[:batchHead+n])
		binary.LittleEndian.PutUint32(short[20:], uint32(n))
		b := reader.Batch()
		if _, err := b.ParseNext(mend(short)); !errors.Is(err, ErrBatch) {
			t.Fatalf("%d bytes: %v", len(short), err)
		}
	}
	other := sealedCodec(1, 1)
	other.sealer.seals.(*testSeals).word = "another cluster"
	for name, c := range map[string]struct {
		codec *Codec
		want  error
	}{"without epochs": {&testCodec, ErrEpoch}, "without this epoch": {sealedCodec(0, 0), ErrEpoch}, "with another secret": {other, ErrBatch}} {
		b := c.codec.Batch()
		if _, err := b.ParseNext(enc); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var zero Batch
	if _, err := zero.ParseNext(enc); !errors.Is(err, ErrEpoch) {
		t.Errorf("the zero batch: %v", err)
	}
	// What is not sealed is read, and one of another cluster is told.
	clear := encode(t, []caps.Change{{Kind: caps.ChangeErase, Keys: keys, Until: 5}})
	b := reader.Batch()
	if _, err := b.ParseNext(clear); err != nil || reader.foreign(&b) {
		t.Errorf("of epoch 0: %v", err)
	}
	claims := bytes.Clone(clear)
	fingerprint, _ := parseFingerprint(sealFingerprint(1))
	binary.LittleEndian.PutUint64(claims[8:], fingerprint)
	b = reader.Batch()
	if _, err := b.ParseNext(mend(claims)); err != nil || !reader.foreign(&b) {
		t.Errorf("not sealed, and says it is of epoch 1: %v", err)
	}
}

// Two batches of the same are two: no nonce comes twice, also of two processes.
func TestSealedBatchNonces(t *testing.T) {
	change := []caps.Change{{Kind: caps.ChangeErase, Keys: testKeys(1), Until: 5}}
	seen := map[string]bool{}
	for range 3 {
		codec := sealedCodec(1, 1)
		for range 100 {
			enc, err := codec.AppendBatch(nil, change)
			if err != nil {
				t.Fatal(err)
			}
			seen[string(enc[batchHead:batchHead+sealSalt+sealNonce])] = true
			seen[string(enc[batchHead+sealSalt+sealNonce:])] = true
		}
	}
	if len(seen) != 600 {
		t.Errorf("%d different", len(seen))
	}
}

func TestSealedBatchDoesNotAllocate(t *testing.T) {
	codec := sealedCodec(1, 1)
	changes := randomChanges(testRand(t), testKeys(5), 20)
	enc, err := codec.AppendBatch(nil, changes)
	if err != nil {
		t.Fatal(err)
	}
	b, buffer, c := codec.Batch(), enc, caps.Change{}
	if n := allocations(100, func() {
		if buffer, err = codec.AppendBatch(buffer[:0], changes); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ParseNext(buffer); err != nil {
			t.Fatal(err)
		}
		for b.Next(&c) {
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever bytes: an error, or changes that can be written and read again.
func FuzzSealedBatch(f *testing.F) {
	codec := sealedCodec(2, 1)
	for i := range 3 {
		enc, err := codec.AppendBatch(nil, randomChanges(rand.New(rand.NewPCG(1, uint64(i))), testKeys(5), 9))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(enc, true)
	}
	f.Fuzz(func(t *testing.T, enc []byte, mend bool) {
		if length, ok := batchLength(enc); mend && ok && length <= len(enc) {
			enc = bytes.Clone(enc)
			binary.LittleEndian.PutUint32(enc[24:], batchChecksum(enc[:length]))
		}
		b := codec.Batch()
		if _, err := b.ParseNext(enc); err != nil && !errors.Is(err, ErrBatch) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrEpoch) {
			t.Fatal(err)
		}
		for c := (caps.Change{}); b.Next(&c); {
			if _, err := codec.AppendBatch(nil, []caps.Change{c}); err != nil && !errors.Is(err, caps.ErrMalformed) {
				t.Fatal(err)
			}
		}
	})
}
