package edge

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/suppress"
)

// The decision's benchmark: users with 20 counters, half of them on campaigns that
// are asked for. The pool of asked campaigns belongs to 14 advertisers, of which a
// user has seen 5, one campaign each, so that their caps make 5 of 14 verdicts
// `cap`; the other 10 counters are of campaigns that are not in the pool. Each
// candidate has three caps, a spacing and the same list of a million members.
const (
	benchAdvertisers = 14
	benchCampaigns   = 210 // 15 of each advertiser
	benchSeen        = 5
	benchMembers     = 1_000_000
	benchNow         = 1_793_500_000
)

// benchPolicy has the pool, and as many campaigns again that nobody asks for.
func benchPolicy() []byte {
	var b strings.Builder
	b.WriteString("markets: [{name: all, require: none}]\nlists: {customers: {id: [user.id], source: first_party, basis: contract}}\ncampaigns:\n")
	for i := range 2 * benchCampaigns {
		fmt.Fprintf(&b, "  campaign-%04d: {advertiser: a%d, purpose: acquisition, spacing: 1m, suppress: [customers], caps: ["+
			"{per: campaign, limit: 2, within: 24h}, {per: advertiser, limit: 1, within: 7d}, {per: creative, limit: 1, within: 1h}]}\n",
			i, i%benchAdvertisers+i/benchCampaigns*benchAdvertisers)
	}
	return []byte(b.String())
}

// benchNode is a node without servers.
func benchNode(tb testing.TB, memory int64, policy []byte) *Node {
	secret, err := identity.ParseSecret([]byte(strings.Repeat("s", 32)))
	if err != nil {
		tb.Fatal(err)
	}
	n, err := load(Options{
		Name: "bench", Dir: tb.TempDir(), Secret: secret, MaxRejected: 0.01, MaxShrink: 0.5, MaxUpload: 1 << 30, Connections: 1,
		Caps:        caps.Options{Memory: memory, RefusalMemory: memory / 8},
		FirstPolicy: policy, FirstPolicyName: "bench", RequestClock: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { n.close() })
	return n
}

// fill gives every user 20 counters: 10 exposures, each counted under its campaign
// and its advertiser.
func fill(tb testing.TB, n *Node, users int) { fillTimes(tb, n, users, 1) }

// fillTimes gives every user so many exposures under each of the 20 counters.
func fillTimes(tb testing.TB, n *Node, users, times int) {
	rules := n.rules.Load()
	random, more := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
	var scopes []caps.Counted
	for u := range users {
		key := n.hasher.Key("user.id", []byte("u"+strconv.Itoa(u)))
		for i := range 2 * benchSeen {
			// Advertisers one after the other from a random one; the second five are of
			// the campaigns that nobody asks for.
			advertiser := (u + i) % benchAdvertisers
			campaign := advertiser + benchAdvertisers*random.IntN(benchCampaigns/benchAdvertisers) + i/benchSeen*benchCampaigns
			s := subject{Campaign: &rules.Campaigns[campaign], plan: &rules.plans[campaign]}
			scopes = s.appendScopes(scopes[:0], n.tags, nil)
			at := caps.Second(benchNow - 3600 - random.IntN(80000))
			n.caps.Expose([]caps.Key{key}, caps.Exposure{Identity: random.Uint32(), At: at}, nil, scopes, benchNow)
			for range times - 1 {
				at := caps.Second(benchNow - 3600 - more.IntN(80000))
				n.caps.Expose([]caps.Key{key}, caps.Exposure{Identity: more.Uint32(), At: at}, nil, scopes, benchNow)
			}
		}
	}
	// Two scopes of one user fall together once in 2^32.
	if s := n.caps.Stats(); s.Counters < users*20-10 || s.EvictedUsers != 0 {
		tb.Fatalf("not every user has 20 counters: %+v", s)
	}
}

// fillList gives the list a million members, none of them a user.
func fillList(tb testing.TB, n *Node) { fillListOf(tb, n, "customers") }

func fillListOf(tb testing.TB, n *Node, list string) {
	r, w := io.Pipe()
	go func() {
		line := []byte("m00000000\n")
		for i := range benchMembers {
			for k, v := len(line)-2, i; k > 0; k, v = k-1, v/10 {
				line[k] = '0' + byte(v%10)
			}
			if _, err := w.Write(line); err != nil {
				return
			}
		}
		w.Close()
	}()
	if _, err := n.lists.Replace(list, r, suppress.Import{Format: suppress.Plain, ID: "user.id"}); err != nil {
		tb.Fatal(err)
	}
}

// benchRequests are requests for k random campaigns of the pool: a few, so that they
// are in the processor's caches, as a request is that was read a moment ago.
func benchRequests(tb testing.TB, k int) []*exchange {
	random := rand.New(rand.NewPCG(3, uint64(k)))
	requests := make([]*exchange, 8)
	for i := range requests {
		var b strings.Builder
		b.WriteString(`{"user":{"id":"u0000000000"},"candidates":[`)
		for c, campaign := range random.Perm(benchCampaigns)[:k] {
			if c > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"campaign":"campaign-%04d","creative":"creative-%04d-%d"}`, campaign, campaign, random.IntN(4))
		}
		b.WriteString("]}")
		requests[i] = new(exchange)
		requests[i].body = []byte(b.String())
		if err := requests[i].req.Parse(requests[i].body); err != nil {
			tb.Fatal(err)
		}
	}
	return requests
}

func BenchmarkDecide(b *testing.B) {
	for _, users := range benchUsers(b) {
		n := benchNode(b, int64(users)*800+(64<<20), benchPolicy())
		fill(b, n, users)
		fillList(b, n)
		for _, k := range []int{1, 20, 50, 200} {
			requests := benchRequests(b, k)
			b.Run(fmt.Sprintf("users=%d/candidates=%d", users, k), func(b *testing.B) { benchDecide(b, n, requests, users) })
		}
	}
}

// BenchmarkDecideOptOuts decides with one list of opt-outs, of a million members of whom
// none is a user, beside the list that all campaigns name, and reports how long that takes
// of what it takes without (the median over pairs of blocks, so that a noisy machine does
// not matter).
func BenchmarkDecideOptOuts(b *testing.B) {
	const users, block = 1e5, 64
	var nodes [2]*Node
	for i, lists := range []string{"lists: {", "lists: {left: {kind: opt_out, id: [user.id], source: first_party, basis: objection}, "} {
		nodes[i] = benchNode(b, users*800+(64<<20), bytes.Replace(benchPolicy(), []byte("lists: {"), []byte(lists), 1))
		fill(b, nodes[i], users)
		fillList(b, nodes[i])
	}
	fillListOf(b, nodes[1], "left")
	for _, k := range []int{1, 20, 50} {
		requests := benchRequests(b, k)
		b.Run(fmt.Sprintf("candidates=%d", k), func(b *testing.B) {
			random := rand.New(rand.NewPCG(5, 6))
			name, source := make([]byte, 0, 16), []byte(openrtb.SourceUserID)
			var ratios []float64
			for i := 0; b.Loop(); i++ {
				var took [2]time.Duration
				for which := range nodes {
					which = (which + i) % 2 // each goes first as often
					begun := time.Now()
					for d := range block {
						x := requests[d%len(requests)]
						name = strconv.AppendInt(append(name[:0], 'u'), int64(random.IntN(users)), 10)
						x.req.Identifiers[0] = openrtb.Identifier{Source: source, ID: name}
						nodes[which].decide(x, benchNow)
					}
					took[which] = time.Since(begun)
				}
				ratios = append(ratios, float64(took[1])/float64(took[0]))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "with/without")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func benchDecide(b *testing.B, n *Node, requests []*exchange, users int) {
	random := rand.New(rand.NewPCG(5, 6))
	name, source := make([]byte, 0, 16), []byte(openrtb.SourceUserID)
	capped, asked := 0, 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x := requests[i%len(requests)]
		name = strconv.AppendInt(append(name[:0], 'u'), int64(random.IntN(users)), 10)
		x.req.Identifiers[0] = openrtb.Identifier{Source: source, ID: name}
		n.decide(x, benchNow)
		for v := range x.judge.verdicts {
			if x.judge.verdicts[v].reason == Cap {
				capped++
			}
		}
		asked += len(x.judge.verdicts)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(asked), "ns/candidate")
	b.ReportMetric(100*float64(capped)/float64(asked), "%cap")
}

// BenchmarkMemoryRead is the unit of the marks: one dependent random read over as
// many bytes as the counters of so many users take.
func BenchmarkMemoryRead(b *testing.B) {
	for _, users := range benchUsers(b) {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			n := benchNode(b, int64(users)*800+(64<<20), benchPolicy())
			fill(b, n, users)
			chain := newMemoryChain(n.caps.Stats().Bytes)
			for b.Loop() {
				chain.read()
			}
		})
	}
}

// benchUsers are the sizes: a tenth of them when every benchmark is run just once,
// to see that it works.
func benchUsers(b *testing.B) []int {
	if f := testing.Testing(); f && testing.Short() {
		return []int{1e4}
	}
	return []int{1e5, 1e6}
}

// BenchmarkTally decides for people whose decisions are counted and for those of a load
// test, whose are not, and reports how long the one takes of the other, and what that is
// for a candidate (the median over pairs of blocks, so that a noisy machine does not
// matter). All are strangers to the node.
func BenchmarkTally(b *testing.B) {
	const users, block = 1e5, 64
	n := benchNode(b, users*800+(64<<20), benchPolicy())
	fill(b, n, users)
	fillList(b, n)
	sources := [2][]byte{[]byte(loadSource), []byte(strings.Repeat("s", len(loadSource)))}
	for _, k := range []int{1, 20, 50} {
		requests := benchRequests(b, k)
		b.Run(fmt.Sprintf("candidates=%d", k), func(b *testing.B) {
			random := rand.New(rand.NewPCG(5, 6))
			name := make([]byte, 0, 16)
			var ratios, costs []float64
			for i := 0; b.Loop(); i++ {
				var took [2]time.Duration
				for which := range took {
					which = (which + i) % 2 // each goes first as often
					begun := time.Now()
					for d := range block {
						x := requests[d%len(requests)]
						name = strconv.AppendInt(append(name[:0], 'u'), int64(random.IntN(users)), 10)
						x.req.Identifiers[0] = openrtb.Identifier{Source: sources[which], ID: name}
						n.decide(x, benchNow)
					}
					took[which] = time.Since(begun)
				}
				ratios = append(ratios, float64(took[1])/float64(took[0]))
				costs = append(costs, float64(took[1]-took[0])/float64(block*k))
			}
			slices.Sort(ratios)
			slices.Sort(costs)
			b.ReportMetric(ratios[len(ratios)/2], "counted/not")
			b.ReportMetric(costs[len(costs)/2], "ns/candidate")
			b.ReportMetric(0, "ns/op")
		})
	}
}
