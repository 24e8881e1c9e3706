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
