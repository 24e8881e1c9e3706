package replica

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"restraint/caps"
)

const (
	testNow    = caps.Second(1_700_000_000)
	secretHex  = "0123456789abcdef"
	otherHex   = "fedcba9876543210"
	testSeed   = 99
	testMemory = 4 << 20
)

func newStore() *caps.Store {
	set := &reports{held: map[string]bool{}}
	s := caps.New(caps.Options{Memory: testMemory, RefusalMemory: testMemory, Shards: 4, Retention: 30 * 86400, PurchaseRetention: 60 * 86400, Beside: set})
	besides.Store(s, set)
	return s
}

// besides are the sets beside the stores of newStore.
var besides sync.Map

// reports is a set beside a store, of what a change of kind report has.
type reports struct {
	mu   sync.Mutex
	held map[string]bool
}

func (s *reports) Apply(c *caps.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[fmt.Sprintf("%x %d %d %d", c.Keys[0], c.Field, c.Stamp, c.Value)] = true
}

func (s *reports) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.held))
}

func (s *reports) AppendNext(dst []byte, at *any) ([]byte, bool) {
	if *at == nil {
		*at = s.all()
	}
	left := (*at).([]string)
	if len(left) == 0 {
		return dst, false
	}
	*at = left[1:]
	return append(dst, left[0]...), true
}

func (s *reports) Merge(record []byte) error {
	if bytes.Count(record, []byte(" ")) != 3 {
		return errors.New("no report")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[string(record)] = true
	return nil
}

func testOptions(dir string) Options {
	return Options{
		Dir: dir, Fingerprint: secretHex, RoutingSeed: testSeed, SnapshotEvery: time.Hour, SnapshotRate: 1 << 40,
		Now: func() time.Time { return time.Unix(int64(testNow), 0) }, ahead: caps.Never,
	}
}

// opened opens a Keeper and restores a store.
func opened(t *testing.T, o Options) (*Keeper, *caps.Store) {
	t.Helper()
	k, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore()
	if err := k.Restore(s); err != nil {
		t.Fatal(err)
	}
	return k, s
}

func closed(t *testing.T, k *Keeper) {
	t.Helper()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T, k *Keeper, changes ...caps.Change) {
	t.Helper()
	if err := k.Record(changes); err != nil {
		t.Fatal(err)
	}
}

// encoded is everything that a store holds about the keys.
func encoded(s *caps.Store, keys []caps.Key) (enc []byte) {
	for _, key := range keys {
		enc = s.AppendRefusals(s.AppendExposures(enc, key, testNow), key, testNow)
	}
	if set, ok := besides.Load(s); ok {
		enc = append(enc, strings.Join(set.(*reports).all(), ";")...)
	}
	return enc
}

func wantSame(t *testing.T, got, want *caps.Store, keys []caps.Key) {
	t.Helper()
	if !bytes.Equal(encoded(got, keys), encoded(want, keys)) {
		t.Fatal("another state")
	}
}

// What was recorded is there again: from the outbox alone, from a snapshot, and from both.
func TestRestore(t *testing.T) {
	r, keys := rand.New(rand.NewPCG(1, 1)), testKeys(300)
	dir, want := t.TempDir(), newStore()
	for round := range 6 {
		k, s := opened(t, testOptions(dir))
		wantSame(t, s, want, keys)
		for range 30 {
			changes := randomChanges(r, keys, 20)
			record(t, k, changes...)
			applyAll(t, want, changes)
		}
		wantSame(t, s, want, keys)
		switch round % 3 {
		case 0:
			crash(k)
		case 1:
			closed(t, k)
		case 2:
			if err := k.snapshot(); err != nil {
				t.Fatal(err)
			}
			changes := randomChanges(r, keys, 20)
			record(t, k, changes...)
			applyAll(t, want, changes)
			crash(k)
		}
	}
}

// crash leaves the directory as a killed process does.
func crash(k *Keeper) {
	close(k.stop)
	k.running.Wait()
	k.close.Do(func() {})
	if k.cluster != nil {
		k.cluster.stop()
		k.cluster.running.Wait()
		k.cluster.member.stop()
		k.cluster.member.running.Wait()
		k.broker.close()
	}
	k.lock.Close()
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	k, _ := opened(t, testOptions(dir))
	if _, err := Open(testOptions(dir)); !errors.Is(err, ErrLocked) {
		t.Fatalf("%v, want ErrLocked", err)
	}
	closed(t, k)
	k, _ = opened(t, testOptions(dir))
	closed(t, k)
}

func testKeys(n int) []caps.Key {
	r := rand.New(rand.NewPCG(4, 4))
	keys := make([]caps.Key, n)
	for i := range keys {
		for j := range keys[i] {
			keys[i][j] = byte(r.Uint32())
		}
	}
	return keys
}

func applyAll(t *testing.T, s *caps.Store, changes []caps.Change) {
	t.Helper()
	for i := range changes {
		if err := s.Apply(&changes[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// randomChanges keep to what the laws of merge ask: an identity is issued once, and shown or released no earlier.
func randomChanges(r *rand.Rand, keys []caps.Key, n int) []caps.Change {
	changes := make([]caps.Change, 1+r.IntN(n))
	for i := range changes {
		identity := uint32(1 + r.IntN(500))
		at := testNow - 6000 + caps.Second(identity)*2 + caps.Second(r.IntN(20)*60)
		c := caps.Change{Kind: caps.ChangeKind(1 + r.IntN(6)), Now: testNow - caps.Second(r.IntN(500)), Stamp: at, Field: uint64(r.IntN(3)), Value: uint32(r.IntN(3))}
		if c.Kind > caps.ChangeRelease && r.IntN(2) == 0 {
			c.Kind = caps.ChangeExpose
		}
		if r.IntN(12) == 0 {
			c.Kind = caps.ChangeReport
		}
		for range 1 + r.IntN(3) {
			c.Keys = append(c.Keys, keys[r.IntN(len(keys))])
		}
		switch c.Kind {
		case caps.ChangeReport:
			c.Keys = c.Keys[:1]
		case caps.ChangeExpose:
			c.Exposure = caps.Exposure{Identity: identity, At: at, Issued: at}
			for tag := range 1 + r.IntN(5) {
				c.Scopes = append(c.Scopes, caps.Counted{Scope: scope(tag), Keep: uint8(1 + tag)})
			}
			if r.IntN(3) == 0 {
				c.Beats = []uint32{identity, uint32(1 + r.IntN(500))}
			}
		case caps.ChangeRelease:
			c.Identity, c.Until = identity, at+caps.MaxHold
		case caps.ChangePurchase, caps.ChangeReturn:
			for tag := range 1 + r.IntN(3) {
				c.Tags = append(c.Tags, scope(tag+10))
			}
		case caps.ChangeErase:
			c.Until = at - 2000
		}
		changes[i] = c
	}
	return changes
}

func scope(n int) uint64 { return uint64(n+1) * 0x9e3779b97f4a7c15 }
