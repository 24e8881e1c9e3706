package edge

import (
	"errors"
	goflag "flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"restraint/caps"
	"restraint/edge/replica"
)

var residentUsers = goflag.Int("resident-users", 10_000, "users of 20 counters in BenchmarkResident; 5,000,000 take about 2.5 GB")

// recording is a Keeper on a disk, without other nodes.
type recording struct{ *replica.Keeper }

func (recording) Kept() Kept { return Kept{} }

// The mark: with 5,000,000 users of 20 counters, p99.9 of a decision is under 20 us
// while 20,000 impressions a second are recorded and applied, and a snapshot rolls.
//
// After each decision the same goroutine reads the clock for as long as the median
// decision takes, and does nothing else. The quantiles of that are what the machine
// itself adds: the same share of both meets the scheduler, its other processes and
// interrupts.
func BenchmarkResident(b *testing.B) {
	const perSecond = 20_000
	users := *residentUsers
	n := benchNode(b, int64(users)*800+(64<<20), benchPolicy())
	dir := b.TempDir()
	k, err := replica.Open(replica.Options{Dir: dir, Fingerprint: n.options.Secret.Fingerprint(), SnapshotEvery: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := k.Close(); err != nil {
			b.Error(err)
		}
	}()
	if err := k.Restore(n.caps); err != nil {
		b.Fatal(err)
	}
	n.keeper = recording{k}
	fill(b, n, users)
	fillList(b, n)
	runtime.GC()
	for _, candidates := range []int{20, 50} {
		b.Run(fmt.Sprintf("users=%d/candidates=%d", users, candidates), func(b *testing.B) {
			a := newAsker(b, n, users, candidates)
			span := medianDecision(a)
			beside := startApplier(n, dir, users, perSecond)
			decisions, clock := hdr.New(1, int64(time.Minute), 3), hdr.New(1, int64(time.Minute), 3)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				a.ask()
				decided := time.Since(began)
				began = time.Now()
				spent := time.Since(began)
				for spent < span {
					spent = time.Since(began)
				}
				record(b, decisions, decided)
				record(b, clock, spent)
			}
			runtime.ReadMemStats(&after)
			if err := beside.stop(); err != nil {
				b.Fatal(err)
			}
			for _, h := range []struct {
				what string
				of   *hdr.Histogram
			}{{"decision", decisions}, {"clock", clock}} {
				b.ReportMetric(float64(h.of.ValueAtPercentile(50)), h.what+"-p50-ns")
				b.ReportMetric(float64(h.of.ValueAtPercentile(99)), h.what+"-p99-ns")
				b.ReportMetric(float64(h.of.ValueAtPercentile(99.9)), h.what+"-p99.9-ns")
				b.ReportMetric(float64(h.of.ValueAtPercentile(99.99)), h.what+"-p99.99-ns")
			}
			b.ReportMetric(float64(beside.applied)/beside.length.Seconds(), "applied/s")
			b.ReportMetric(100*float64(beside.rolling)/float64(max(1, beside.looks)), "%snapshot")
			b.ReportMetric(float64(after.NumGC-before.NumGC), "GCs")
			b.ReportMetric(float64(after.HeapAlloc)/1e6, "heap-MB")
			b.ReportMetric(float64(gcPercent()), "GOGC")
		})
	}
}

// record notes a time; one over a minute, of a machine that was stopped, as a minute.
func record(b *testing.B, h *hdr.Histogram, d time.Duration) {
	if err := h.RecordValue(min(int64(d), int64(time.Minute))); err != nil {
		b.Fatal(err)
	}
}

// medianDecision is how long a decision takes by itself.
func medianDecision(a *asker) time.Duration {
	took := make([]float64, 1000)
	for i := range took {
		began := time.Now()
		a.ask()
		took[i] = float64(time.Since(began))
	}
	return time.Duration(middle(took))
}

// gcPercent is GOGC, -1 where it is off.
func gcPercent() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}

// applier records impressions at a rate, as a node does that acknowledges them, sweeps
// as a node does, and looks whether a snapshot is being written meanwhile.
type applier struct {
	node    *Node
	dir     string // of the keeper
	users   int
	stopped chan struct{}
	ended   sync.WaitGroup

	// What it did; read it after stop.
	applied        int
	looks, rolling int
	length         time.Duration
	err            error
}

func startApplier(n *Node, dir string, users, perSecond int) *applier {
	a := &applier{node: n, dir: dir, users: users, stopped: make(chan struct{})}
	a.ended.Go(func() { a.run(perSecond) })
	return a
}

func (a *applier) stop() error {
	close(a.stopped)
	a.ended.Wait()
	return a.err
}

func (a *applier) run(perSecond int) {
	const every = 5 * time.Millisecond
	ticker, sweeper := time.NewTicker(every), time.NewTicker(sweepEvery)
	defer ticker.Stop()
	defer sweeper.Stop()
	random := rand.New(rand.NewPCG(9, uint64(a.users)))
	began := time.Now()
	for a.err == nil {
		select {
		case <-a.stopped:
			a.length = time.Since(began)
			return
		case <-sweeper.C:
			a.node.caps.Sweep(benchNow, sweepShare)
			continue
		case <-ticker.C:
		}
		due := int(time.Since(began).Seconds() * float64(perSecond))
		a.err = a.record(random, min(due-a.applied, 10_000))
		if names, err := filepath.Glob(filepath.Join(a.dir, "snapshots", "*.tmp")); err != nil {
			a.err = errors.Join(a.err, err)
		} else {
			a.looks++
			a.rolling += min(1, len(names))
		}
	}
}

// record applies so many impressions of random users and campaigns.
func (a *applier) record(random *rand.Rand, count int) error {
	rules := a.node.rules.Load()
	changes, scopes := make([]caps.Change, count), make([]caps.Counted, 0, 4*count)
	keys := make([]caps.Key, count)
	for i := range changes {
		campaign := random.IntN(2 * benchCampaigns)
		s := subject{Campaign: &rules.Campaigns[campaign], plan: &rules.plans[campaign]}
		from := len(scopes)
		scopes = s.appendScopes(scopes, a.node.tags, nil)
		keys[i] = a.node.hasher.Key("user.id", []byte("u"+strconv.Itoa(random.IntN(a.users))))
		changes[i] = caps.Change{
			Kind: caps.ChangeExpose, Keys: keys[i : i+1], Now: benchNow,
			Exposure: caps.Exposure{Identity: random.Uint32(), At: benchNow - caps.Second(random.IntN(60))}, Scopes: scopes[from:len(scopes):len(scopes)],
		}
	}
	if err := a.node.keeper.Record(changes); err != nil {
		return err
	}
	a.applied += count
	return nil
}
