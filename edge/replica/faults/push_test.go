package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// listOf is a list of the members of every generation and one of this generation alone.
func listOf(generation int) string {
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "core-%d\n", i)
	}
	fmt.Fprintf(&b, "wave-%d\n", generation)
	return b.String()
}

// pusher replaces the list on one node again and again, while others look that no member gets through anywhere.
type pusher struct {
	nodes      []*node
	random     *rand.Rand
	generation int // that of the last replacement that was answered

	stop    chan struct{}
	once    sync.Once
	running sync.WaitGroup
	mu      sync.Mutex
	wrong   []string
	asked   int
}

func newPusher(t testing.TB, nodes []*node, random *rand.Rand) *pusher {
	p := &pusher{nodes: nodes, random: random, stop: make(chan struct{})}
	t.Cleanup(p.halt)
	return p
}

// halt stops the watchers.
func (p *pusher) halt() {
	p.once.Do(func() { close(p.stop) })
	p.running.Wait()
}

// watch asks about members of every generation until the pusher stops.
func (p *pusher) watch(n *node, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	p.running.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			default:
			}
			r, err := n.readListed(fmt.Sprintf("core-%d", random.IntN(2000)))
			if err != nil {
				pause() // it is away; asked again when it is back
				continue
			}
			p.mu.Lock()
			p.asked++
			p.wrong = append(p.wrong, checkMembers(r, listedCampaign)...)
			p.mu.Unlock()
		}
	})
}

func (n *node) readListed(user string) (reading, error) {
	d, err := n.decide(user, fmt.Sprintf(`{"campaign":%q}`, listedCampaign), "")
	if err != nil || len(d.Decisions) != 1 {
		return reading{}, fmt.Errorf("%d decisions: %w", len(d.Decisions), err)
	}
	return reading{node: n.name, user: user, verdicts: map[string]verdict{listedCampaign: d.Decisions[0].verdict()}}, nil
}

// push replaces the list, and wants the node that took it to obey it at once: the member of this generation is in, that of the last is out.
func (p *pusher) push(t *testing.T) {
	t.Helper()
	n := p.nodes[p.random.IntN(len(p.nodes))]
	p.generation++
	n.mustPut(t, "/v1/lists/"+memberList+"?id=user.id", "text/plain", listOf(p.generation))
	p.obeyed(t, n)
}

func (p *pusher) obeyed(t *testing.T, n *node) {
	t.Helper()
	if wrong := p.lag(t, n); wrong != "" {
		t.Error(wrong)
	}
}

// lag is what the node says that is not of the last generation.
func (p *pusher) lag(t *testing.T, n *node) string {
	t.Helper()
	in, err := n.readListed(fmt.Sprintf("wave-%d", p.generation))
	if err != nil {
		t.Fatal(err)
	}
	if wrong := checkMembers(in, listedCampaign); len(wrong) > 0 {
		return wrong[0]
	}
	out, err := n.readListed(fmt.Sprintf("wave-%d", p.generation-1))
	if err != nil {
		t.Fatal(err)
	}
	if v := out.verdicts[listedCampaign]; !v.show {
		return fmt.Sprintf("node %s says %+v of %s, who left the list", n.name, v, out.user)
	}
	return ""
}

// end stops the watchers, and says what they found.
func (p *pusher) end(t *testing.T) {
	t.Helper()
	p.halt()
	if len(p.wrong) > 0 {
		t.Error(few(p.wrong))
	}
	if p.asked < 100 || p.generation < 5 {
		t.Errorf("%d generations, %d questions about members: the fault hardly took place", p.generation, p.asked)
	}
	t.Logf("%d generations, %d questions about members", p.generation, p.asked)
}

// The list is replaced under load, and the node killed while it is: no member is ever let through.
func TestListSwap(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	p := newPusher(t, l.nodes, random)
	p.push(t)
	p.watch(n, random.Uint64())
	p.watch(n, random.Uint64())
	for range rounds(4, 40) {
		l.during(t, func() {
			for range 5 {
				p.push(t)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				n.do(http.MethodPut, "/v1/lists/"+memberList+"?id=user.id", "text/plain", listOf(p.generation+1)) // on its way when the node dies
			}()
			<-anyTime(random, 10*time.Millisecond)
			n.kill(t)
			<-done
		})
		n.start(t)
		p.generation++ // either is whole: the next push decides
		p.push(t)
		l.verify(t)
	}
	p.end(t)
	l.summary(t)
}

// policyVersion is the version in force.
func (n *node) policyVersion(t testing.TB) int {
	t.Helper()
	d := n.status(t)
	return int(d["policy"].(float64))
}

// A policy is put under load, again and again, and over a kill: no count changes by it.
func TestPolicyPut(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	for round := range rounds(4, 40) {
		before := n.policyVersion(t)
		l.during(t, func() {
			for i := range 5 {
				n.mustPut(t, "/v1/policy", "application/yaml", suitePolicy(fmt.Sprintf("  extra-%d-%d: {advertiser: extra, caps: [{per: all, limit: 200, within: day}]}\n", round, i)))
			}
			n.kill(t)
		})
		n.start(t)
		if now := n.policyVersion(t); now != before+5 {
			t.Errorf("policy version %d after 5 more than %d", now, before)
		}
		l.verify(t)
	}
	l.summary(t)
}
