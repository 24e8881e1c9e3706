package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFigures measures a cluster at peace and under load; nothing passes or fails by a time. Read the figures on a machine that does nothing
// else (make figures).
func TestFigures(t *testing.T) {
	if !*figuresFlag {
		t.Skip("measures a cluster: run it with -faults -figures (make figures)")
	}
	c := newCluster(t)
	t.Run("propagation", func(t *testing.T) { propagation(t, c) })
	t.Run("overshoot", func(t *testing.T) { overshootFigure(t, c) })
	t.Run("throughput", func(t *testing.T) { throughput(t, c) })
}

// impressionsPerSecond are spread over the nodes while the time from node to node is taken.
const (
	impressionsPerSecond = 5000
	impressionsTogether  = 10 // in one request
	measured             = 10 * time.Second
)

// propagation reports how long after a 202 on one node another counts the impression.
func propagation(t *testing.T, c *cluster) {
	stop, sent := background(c, impressionsPerSecond)
	defer stop()
	random := rand.New(rand.NewPCG(*seedFlag, 1))
	var took []time.Duration
	for end := time.Now().Add(measured); time.Now().Before(end); {
		from := random.IntN(len(c.nodes))
		to := (from + 1 + random.IntN(len(c.nodes)-1)) % len(c.nodes)
		user := fmt.Sprintf("probe-%d", len(took))
		mustReport(t, c.nodes[from], shownOnce(user, user, "count-0"))
		begun := time.Now()
		for counted := false; !counted; {
			d, err := c.nodes[to].decide(user, `{"campaign":"count-0"}`, "")
			if err != nil || time.Since(begun) > patience {
				t.Fatalf("the other node does not count it: %v", err)
			}
			v := d.Decisions[0].verdict()
			counted = v.count == 1
		}
		took = append(took, time.Since(begun))
		<-time.After(5 * time.Millisecond) // so that the asking is no load of its own
	}
	slices.Sort(took)
	at := func(share float64) time.Duration { return took[min(len(took)-1, int(share*float64(len(took))))] }
	t.Logf("%.0f impressions/s on %d nodes; from a 202 on one to the count on another, %d times: p50 %v, p90 %v, p99 %v, most %v",
		float64(sent())/measured.Seconds(), len(c.nodes), len(took), at(.5), at(.9), at(.99), took[len(took)-1])
}

// background reports impressions of a hundred thousand people at a rate until stop is called.
func background(c *cluster, perSecond int) (stop func(), sent func() int64) {
	const workers = 6
	var running sync.WaitGroup
	var count atomic.Int64
	done := make(chan struct{})
	for w := range workers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(*seedFlag, uint64(w)))
			ticker := time.NewTicker(time.Second * workers * impressionsTogether / time.Duration(perSecond))
			defer ticker.Stop()
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-ticker.C:
				}
				var body strings.Builder
				for i := range impressionsTogether {
					body.WriteString(shownOnce(fmt.Sprintf("bg-%d-%d-%d", w, n, i), fmt.Sprintf("u-%d", random.IntN(100_000)), "count-1") + "\n")
				}
				status, _, err := c.nodes[random.IntN(len(c.nodes))].do(http.MethodPost, "/v1/events", "application/x-ndjson", body.String())
				if err == nil && status == http.StatusAccepted {
					count.Add(impressionsTogether)
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(done); running.Wait() }), count.Load
}

func shownOnce(id, user, campaign string) string {
	return fmt.Sprintf(`{"type":"impression","id":%q,"user":{"id":%q},"campaign":%q}`, id, user, campaign)
}

func mustReport(t *testing.T, n *node, event string) {
	t.Helper()
	if status, answer, err := n.do(http.MethodPost, "/v1/events", "application/json", event); err != nil || status != http.StatusAccepted {
		t.Fatal(status, answer, err)
	}
}

// overshootFigure reports how many impressions over a cap people get whose requests come to all nodes at random, 20 ms or more apart, and
// whose requests go to one node with holds and no pause.
func overshootFigure(t *testing.T, c *cluster) {
	const people, requests = 400, 12
	stop, _ := background(c, impressionsPerSecond)
	defer stop()
	for _, hold := range []bool{false, true} {
		var shown, over atomic.Int64
		var running sync.WaitGroup
		limit := make(chan struct{}, 16) // people at a time
		for p := range people {
			running.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				n := int64(serveOne(t, c, fmt.Sprintf("over-%t-%d", hold, p), requests, hold))
				shown.Add(n)
				over.Add(max(0, n-tightLimit))
			})
		}
		running.Wait()
		how := "on all nodes at random, 20 ms apart"
		if hold {
			how = "on one node, with holds"
		}
		t.Logf("%d people, %d requests each %s: %d shown, %d over the cap of %d: %.2f per mille",
			people, requests, how, shown.Load(), over.Load(), tightLimit, 1000*float64(over.Load())/float64(shown.Load()))
	}
}

// serveOne asks for a person and reports what was shown; it returns how much that was.
func serveOne(t *testing.T, c *cluster, user string, requests int, hold bool) (shown int) {
	random := rand.New(rand.NewPCG(*seedFlag, uint64(len(user))+uint64(user[len(user)-1])))
	home := c.nodes[random.IntN(len(c.nodes))]
	for i := range requests {
		n, more := c.nodes[random.IntN(len(c.nodes))], ""
		if hold {
			n, more = home, `,"want":1,"hold":true`
		}
		d, err := n.decide(user, fmt.Sprintf(`{"campaign":%q}`, tightCampaign), more)
		if err != nil {
			t.Error(err)
			return shown
		}
		if d.Decisions[0].Show {
			shown++
			event := shownOnce(fmt.Sprintf("%s-%d", user, i), user, tightCampaign)
			if hold {
				event = fmt.Sprintf(`{"type":"impression","token":%q,"campaign":%q}`, d.Token, tightCampaign)
			}
			if status, answer, err := n.do(http.MethodPost, "/v1/events", "application/json", event); err != nil || status != http.StatusAccepted {
				t.Error(status, answer, err)
			}
		}
		if !hold {
			<-time.After(20 * time.Millisecond)
		}
	}
	return shown
}

// throughput reports how many events a second one node acknowledges in batches of a thousand, while the others follow.
func throughput(t *testing.T, c *cluster) {
	const workers, batch = 2, 1000
	var count atomic.Int64
	var running sync.WaitGroup
	begun := time.Now()
	for w := range workers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(*seedFlag, uint64(w)+100))
			for n := 0; time.Since(begun) < measured/2; n++ {
				var body strings.Builder
				for i := range batch {
					body.WriteString(shownOnce(fmt.Sprintf("tp-%d-%d-%d", w, n, i), fmt.Sprintf("u-%d", random.IntN(100_000)), "count-2") + "\n")
				}
				status, answer, err := c.nodes[0].do(http.MethodPost, "/v1/events", "application/x-ndjson", body.String())
				if err != nil || status != http.StatusAccepted {
					t.Error(status, answer, err)
					return
				}
				count.Add(batch)
			}
		})
	}
	running.Wait()
	t.Logf("%.0f events/s acknowledged by one node of %d, in batches of %d", float64(count.Load())/time.Since(begun).Seconds(), len(c.nodes), batch)
}
