package replica

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"restraint/caps"
)

var largeFlag = flag.Bool("large", false, "benchmarks with a million users too")

// benchSizes are the numbers of users.
func benchSizes() []int {
	if *largeFlag {
		return []int{1e5, 1e6}
	}
	return []int{1e5}
}

// benchKeys returns n random keys.
func benchKeys(n int) []caps.Key {
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]caps.Key, n)
	for i := range keys {
		for j := 0; j < 16; j += 8 {
			x := r.Uint64()
			for b := range 8 {
				keys[i][j+b] = byte(x >> (8 * b))
			}
		}
	}
	return keys
}

func benchOptions(users, counters int) caps.Options {
	return caps.Options{Memory: int64(users)*int64(counters)*32 + 64<<20, RefusalMemory: 64 << 20}
}

// benchFill gives every user so many counters of one exposure each.
func benchFill(s *caps.Store, keys []caps.Key, counters int) {
	scopes := make([]caps.Counted, counters)
	for user := range keys {
		for i := range scopes {
			scopes[i] = caps.Counted{Scope: scope((user*7 + i*50) % 1000), Keep: 10}
		}
		s.Expose(keys[user:user+1], caps.Exposure{Identity: uint32(user), At: testNow}, nil, scopes, testNow)
	}
}

// A start from a snapshot: a store with so many users of 20 counters is there again.
func BenchmarkRestore(b *testing.B) {
	for _, users := range benchSizes() {
		b.Run(fmt.Sprintf("users=%.0e/counters=20", float64(users)), func(b *testing.B) {
			dir := b.TempDir()
			o := testOptions(dir)
			k, err := Open(o)
			if err != nil {
				b.Fatal(err)
			}
			s := caps.New(benchOptions(users, 20))
			if err := k.Restore(s); err != nil {
				b.Fatal(err)
			}
			benchFill(s, benchKeys(users), 20)
			if err := k.Record(benchChanges(1)); err != nil {
				b.Fatal(err)
			}
			if err := k.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				k, err := Open(o)
				if err != nil {
					b.Fatal(err)
				}
				s := caps.New(benchOptions(users, 20))
				if err := k.Restore(s); err != nil {
					b.Fatal(err)
				}
				if got := s.Stats(); got.Users != users || got.Counters < users*20 {
					b.Fatalf("%+v", got)
				}
				if err := k.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchChanges are n exposures of a person of one key under five scopes.
func benchChanges(n int) []caps.Change {
	keys := benchKeys(n + 7)
	changes := make([]caps.Change, n)
	for i := range changes {
		c := &changes[i]
		*c = caps.Change{Kind: caps.ChangeExpose, Keys: keys[i+7 : i+8], Now: testNow, Exposure: caps.Exposure{Identity: uint32(i), At: testNow}}
		for k := range 5 {
			c.Scopes = append(c.Scopes, caps.Counted{Scope: scope(k), Keep: 5})
		}
	}
	return changes
}

// Recording a batch of 100 impressions under five scopes: encoding, one write, applying.
func BenchmarkRecord(b *testing.B) {
	for _, of := range []struct {
		events    int
		encrypted bool
	}{{1, false}, {1, true}, {100, false}, {100, true}} {
		events := of.events
		b.Run(fmt.Sprintf("events=%d/encrypted=%t", events, of.encrypted), func(b *testing.B) {
			o := testOptions(b.TempDir())
			if of.encrypted {
				o.OpenFile = encrypted(b, o.Dir)
			}
			o.OutboxBytes = 64 << 30
			k, err := Open(o)
			if err != nil {
				b.Fatal(err)
			}
			if err := k.Restore(newStore()); err != nil {
				b.Fatal(err)
			}
			changes := benchChanges(events)
			b.ReportAllocs()
			for b.Loop() {
				if err := k.Record(changes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.StopTimer()
			crash(k)
		})
	}
}

// A batch of 1,000 impressions under five scopes, by exposure (a key and a scope each): encoding, decoding, decoding and applying.
func BenchmarkBatch(b *testing.B) {
	const events, scopes = 1000, 5
	changes := benchChanges(events)
	codec := Codec{Fingerprint: 1, RoutingSeed: testSeed}
	enc, err := codec.AppendBatch(nil, changes)
	if err != nil {
		b.Fatal(err)
	}
	perExposure := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(events*scopes), "ns/exposure")
		b.ReportMetric(float64(len(enc))/(events*scopes), "bytes/exposure")
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if enc, err = codec.AppendBatch(enc[:0], changes); err != nil {
				b.Fatal(err)
			}
		}
		perExposure(b)
	})
	for _, apply := range []bool{false, true} {
		b.Run(map[bool]string{false: "decode", true: "decode-apply"}[apply], func(b *testing.B) {
			s := newStore()
			var batch Batch
			var c caps.Change
			b.ReportAllocs()
			for b.Loop() {
				if _, err := batch.ParseNext(enc); err != nil {
					b.Fatal(err)
				}
				for batch.Next(&c) {
					if !apply {
						continue
					}
					if err := s.Apply(&c); err != nil {
						b.Fatal(err)
					}
				}
			}
			perExposure(b)
		})
	}
}

// What other nodes send, as it comes from a stream: exposures that are new, of 100,000 users with five scopes each, in messages of 500.
func BenchmarkApplyRemote(b *testing.B) {
	const users, events, scopes = 100_000, 500, 5
	keys := benchKeys(users)
	r := rand.New(rand.NewPCG(1, 1))
	k := &Keeper{codec: Codec{Fingerprint: 1, RoutingSeed: testSeed}}
	c := cluster{codec: &k.codec, store: caps.New(caps.Options{Memory: 1 << 30, RefusalMemory: 1 << 20}), now: func() time.Time { return time.Unix(int64(testNow), 0) }, applied: func(int) {}}
	var messages [][]byte
	for m := range 64 {
		changes := make([]caps.Change, events)
		for i := range changes {
			x := &changes[i]
			at := r.IntN(users)
			*x = caps.Change{Kind: caps.ChangeExpose, Keys: keys[at : at+1], Now: testNow, Exposure: caps.Exposure{Identity: r.Uint32(), At: testNow - caps.Second(m)}}
			for n := range scopes {
				x.Scopes = append(x.Scopes, caps.Counted{Scope: scope(n), Keep: 5})
			}
		}
		enc, err := k.codec.AppendBatch(nil, changes)
		if err != nil {
			b.Fatal(err)
		}
		messages = append(messages, enc)
	}
	b.ReportAllocs()
	applied := 0
	for b.Loop() {
		if applied++; applied%len(messages) == 0 { // all are known now
			b.StopTimer()
			c.store = caps.New(caps.Options{Memory: 1 << 30, RefusalMemory: 1 << 20})
			b.StartTimer()
		}
		if err := c.message(messages[applied%len(messages)], "another", unbounded); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events*scopes)*float64(b.N)/b.Elapsed().Seconds(), "exposures/s")
}

// Exposures while snapshots are written one after the other, as fast as they go, and while none is.
func BenchmarkExposeBesideSnapshots(b *testing.B) {
	const users = 1e5
	keys := benchKeys(users)
	s := caps.New(benchOptions(users, 20))
	benchFill(s, keys, 20)
	for _, beside := range []bool{false, true} {
		b.Run(fmt.Sprintf("users=1e5/snapshots=%v", beside), func(b *testing.B) {
			stop, written := make(chan struct{}), atomic.Int64{}
			done := make(chan struct{})
			dir := b.TempDir()
			go func() {
				defer close(done)
				for beside {
					select {
					case <-stop:
						return
					default:
						w := snapshotWriter{files: disk{}, stopped: stop}
						if err := w.write(dir, snapshotName(1), snapshotFrom{}, s); err != nil {
							b.Error(err)
						}
						written.Add(w.bytes)
					}
				}
			}()
			scopes := []caps.Counted{{Scope: scope(1), Keep: 4}}
			i, slowest := 0, time.Duration(0)
			for b.Loop() {
				i++
				begun := time.Now()
				user := i * 7919 % users
				s.Expose(keys[user:user+1], caps.Exposure{Identity: uint32(i), At: testNow}, nil, scopes, testNow)
				slowest = max(slowest, time.Since(begun))
			}
			b.ReportMetric(float64(slowest.Microseconds()), "slowest-us")
			b.ReportMetric(float64(written.Load())/b.Elapsed().Seconds()/1e6, "snapshot-MB/s")
			close(stop)
			<-done
		})
	}
}

// Writing a snapshot at full speed.
func BenchmarkSnapshotWrite(b *testing.B) {
	for _, users := range benchSizes() {
		b.Run(fmt.Sprintf("users=%.0e/counters=20", float64(users)), func(b *testing.B) {
			s := caps.New(benchOptions(users, 20))
			benchFill(s, benchKeys(users), 20)
			for _, crypt := range []bool{false, true} {
				b.Run(fmt.Sprintf("encrypted=%t", crypt), func(b *testing.B) {
					dir := b.TempDir()
					w := snapshotWriter{files: disk{}}
					if crypt {
						w.files = disk{encrypted(b, dir)}
					}
					for b.Loop() {
						if err := w.write(dir, snapshotName(1), snapshotFrom{}, s); err != nil {
							b.Fatal(err)
						}
						b.SetBytes(w.bytes)
					}
				})
			}
		})
	}
}
