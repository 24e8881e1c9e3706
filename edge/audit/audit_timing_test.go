package audit

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkAppend is the time that one caller waits for its entry to be on disk, with so
// many callers at once: those that come while one is written share the next fsync.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{2, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := open(b, b.TempDir(), nil)
			syncs := new(atomic.Int64)
			l.file = countedFile{l.file, syncs}
			b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					if _, err := l.Append(someEntry(i)); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(syncs.Load()), "entries/fsync")
		})
	}
}

type countedFile struct {
	file
	syncs *atomic.Int64
}

func (f countedFile) Sync() error {
	f.syncs.Add(1)
	return f.file.Sync()
}

// BenchmarkVerify is a log of 50,000 entries.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	l := open(b, dir, nil)
	const entries = 50_000
	for i := 0; i < entries; i += 500 {
		many := make([]Entry, 500)
		for k := range many {
			many[k] = someEntry(i + k)
		}
		l.disk.Lock()
		err := l.write(many)
		l.disk.Unlock()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := verify(b, dir); r.FaultsTotal != 0 || r.Entries != entries+1 {
			b.Fatal(r.Faults)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}

// BenchmarkHead is the signing of a head, and BenchmarkHeadCheck its check.
func BenchmarkHead(b *testing.B) {
	l := open(b, b.TempDir(), nil)
	for b.Loop() {
		if _, ok := l.Head(); !ok {
			b.Fatal("no head")
		}
	}
}

func BenchmarkHeadCheck(b *testing.B) {
	w := head(b, open(b, b.TempDir(), nil))
	for b.Loop() {
		if err := w.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
