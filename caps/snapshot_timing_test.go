package caps

import "testing"

// One step of 64 KiB: how long a shard is locked.
func BenchmarkAppendSnapshot(b *testing.B) {
	s := benchStore(benchKeys(1e5), 20)
	b.ReportAllocs()
	var at Cursor
	enc, more := make([]byte, 0, 128<<10), true
	for b.Loop() {
		if enc, more = s.AppendSnapshot(enc[:0], &at, 64<<10); !more {
			at = Cursor{}
		}
		b.SetBytes(64 << 10)
	}
}

// A whole snapshot into an empty store, and into one that has it already.
func BenchmarkMergeSnapshot(b *testing.B) {
	const users = 1e5
	keys := benchKeys(users)
	steps := snapshotSteps(benchStore(keys, 20), 64<<10, func() {})
	for name, again := range map[string]int{"empty": 0, "again": 1} {
		b.Run("users=1e5/"+name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := New(Options{Memory: users*20*32 + 64<<20})
				for round := range 1 + again {
					if round == again {
						b.StartTimer()
					}
					for _, step := range steps {
						if err := s.MergeSnapshot(step, benchNow); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/user")
		})
	}
}

// A change of each kind, applied again and again.
func BenchmarkApply(b *testing.B) {
	s, keys := newStore(), benchKeys(2)
	changes := []Change{
		{Kind: ChangeExpose, Exposure: Exposure{Identity: 1, At: benchNow}, Scopes: []Counted{{scopeTag(1, 1), 5}, {scopeTag(1, 2), 5}, {scopeTag(1, 3), 5}}},
		{Kind: ChangeRelease, Identity: 4},
		{Kind: ChangePurchase, Tags: []uint64{2, 4, 6}, Stamp: benchNow},
		{Kind: ChangeChoice, Field: 7, Stamp: benchNow, Value: 1},
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range changes {
			changes[i].Keys, changes[i].Now = keys, benchNow
			if err := s.Apply(&changes[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkSweep goes through the store once, when nothing has expired, as in nearly every pass.
func BenchmarkSweep(b *testing.B) {
	s := New(Options{Memory: 256 << 20, RefusalMemory: 64 << 20})
	now := Second(1_793_500_000)
	for u := range 50_000 {
		key := Key{0: byte(u), 1: byte(u >> 8), 2: byte(u >> 16), 8: byte(u * 7), 9: byte(u * 13 >> 8)}
		for i := range 10 {
			scopes := []Counted{{Scope: uint64(u%97+i) * 0x9e3779b97f4a7c15, Keep: 3}, {Scope: uint64(u%31+i) * 0xbf58476d1ce4e5b9, Keep: 6}}
			s.Expose([]Key{key}, Exposure{Identity: uint32(u*10 + i), At: now - Second(i*3600)}, nil, scopes, now)
		}
	}
	segments := int(s.Stats().Bytes>>16) + 1
	for b.Loop() {
		s.Sweep(now, segments)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.Stats().Users), "ns/user")
}
