package edge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"restraint/edge/openrtb"
)

// memoryChain is memory in which each read says where the next one is: nothing can be
// fetched ahead.
type memoryChain struct {
	next []uint32
	at   uint32
}

const chainLine = 16 // uint32 in a cache line

// newMemoryChain is one cycle, in random order, through all cache lines of so many
// bytes.
func newMemoryChain(bytes int64) *memoryChain {
	cells := int(bytes) / 64
	c := &memoryChain{next: make([]uint32, cells*chainLine)}
	order := make([]uint32, cells)
	for i := range order {
		order[i] = uint32(i)
	}
	random := rand.New(rand.NewPCG(7, 8))
	for i := cells - 1; i > 0; i-- { // Sattolo's algorithm
		j := random.IntN(i)
		order[i], order[j] = order[j], order[i]
	}
	for i := range order {
		c.next[order[i]*chainLine] = order[(i+1)%cells]
	}
	return c
}

func (c *memoryChain) read() { c.at = c.next[c.at*chainLine] }

// asker asks a node about random users, with requests of one size.
type asker struct {
	node     *Node
	users    int
	requests []*exchange
	random   *rand.Rand
	source   []byte
	name     []byte
	asked    int
	capped   int // verdicts
	verdicts int
}

func newAsker(tb testing.TB, n *Node, users, candidates int) *asker {
	return &asker{
		node: n, users: users, requests: benchRequests(tb, candidates), random: rand.New(rand.NewPCG(5, 6)),
		source: []byte(openrtb.SourceUserID), name: make([]byte, 0, 16),
	}
}

// ask is one decision.
func (a *asker) ask() {
	x := a.requests[a.asked%len(a.requests)]
	a.asked++
	a.name = strconv.AppendInt(append(a.name[:0], 'u'), int64(a.random.IntN(a.users)), 10)
	x.req.Identifiers[0] = openrtb.Identifier{Source: a.source, ID: a.name}
	a.node.decide(x, benchNow)
}

// count adds up the verdicts of the decision before.
func (a *asker) count() {
	j := &a.requests[(a.asked-1)%len(a.requests)].judge
	for v := range j.verdicts {
		if j.verdicts[v].reason == Cap {
			a.capped++
		}
	}
	a.verdicts += len(j.verdicts)
}

// The marks for decisions are in dependent reads of memory. A turn is some decisions and
// as long of reads, each first unmeasured for as long as the caches need to be as they
// are in a loop of nothing else, then in strides of about 100 us, of which the median
// counts: a stride is short beside the slices of time that the scheduler gives to
// neighbours on the machine, so that few strides meet one. The figures are the medians
// of the turns.
func BenchmarkDecideInReads(b *testing.B) {
	users := 1_000_000
	if testing.Short() {
		users = 10_000
	}
	n := benchNode(b, int64(users)*800+(64<<20), benchPolicy())
	fill(b, n, users)
	fillList(b, n)
	chain := newMemoryChain(n.caps.Stats().Bytes)
	for _, k := range []int{1, 20, 50, 200} {
		b.Run(fmt.Sprintf("users=%d/candidates=%d", users, k), func(b *testing.B) {
			a := newAsker(b, n, users, k)
			var decided, read, ratio []float64
			for b.Loop() {
				decisions := strides(1+1200/(12+k), a.ask)
				reads := strides(500, chain.read)
				decided, read = append(decided, decisions), append(read, reads)
				ratio = append(ratio, decisions/reads)
			}
			allocations := testing.AllocsPerRun(100, a.ask)
			for range 1000 {
				a.ask()
				a.count()
			}
			b.ReportMetric(0, "ns/op") // of no use: decisions and reads together
			b.ReportMetric(middle(decided), "ns/decision")
			b.ReportMetric(middle(read), "ns/read")
			b.ReportMetric(middle(ratio), "reads/decision")
			b.ReportMetric(allocations, "allocs/decision")
			b.ReportMetric(100*float64(a.capped)/float64(a.verdicts), "%cap")
		})
	}
}

// strides takes what a stride of so many steps needs, a few unmeasured and a few
// measured ones, and returns the nanoseconds a step of the median one.
func strides(steps int, step func()) float64 {
	const unmeasured, measured = 3, 5
	var took [measured]float64
	for i := range unmeasured + measured {
		began := time.Now()
		for range steps {
			step()
		}
		if i >= unmeasured {
			took[i-unmeasured] = float64(time.Since(began).Nanoseconds()) / float64(steps)
		}
	}
	return middle(took[:])
}

// middle is the median, of an even number the upper of the two.
func middle(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// BenchmarkDecideLongHistory is decisions about users with 1,000 exposures beside users
// with 20 under the same scopes, in turns: a counter keeps no more exposures than the
// largest limit needs. The mark: the former cost no more.
func BenchmarkDecideLongHistory(b *testing.B) {
	users := 10_000
	if testing.Short() {
		users = 200
	}
	// Two nodes, so that both kinds have an index of the same size.
	short, long := benchNode(b, 128<<20, benchPolicy()), benchNode(b, 128<<20, benchPolicy())
	fillTimes(b, short, users, 2)
	fillTimes(b, long, users, 100)
	for _, k := range []int{20, 50} {
		b.Run(fmt.Sprintf("users=%d/candidates=%d", users, k), func(b *testing.B) {
			few, many := newAsker(b, short, users, k), newAsker(b, long, users, k)
			var fewTook, manyTook, ratio []float64
			for b.Loop() {
				f, m := strides(1+1200/(12+k), few.ask), strides(1+1200/(12+k), many.ask)
				fewTook, manyTook, ratio = append(fewTook, f), append(manyTook, m), append(ratio, m/f)
			}
			b.ReportMetric(0, "ns/op") // of no use: both together
			b.ReportMetric(middle(manyTook), "ns/long")
			b.ReportMetric(middle(fewTook), "ns/short")
			b.ReportMetric(middle(ratio), "long/short")
		})
	}
}
