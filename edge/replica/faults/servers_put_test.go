package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// puts are changes of one shared thing, each with a number, made one after the other on any node, and what came of each.
type puts struct {
	what string
	put  func(n *node, number int) (status int, answer string, err error)
	asks func(n *node, number int) (in bool, err error) // whether this number, and so this change, is what the node goes by

	done    int   // the last that was answered with success
	open    []int // those that may be in force though they were refused: NATS may have taken one and not said so
	refused int
	wrong   []string
	last    int
}

// next makes a change on a node and notes what came of it.
func (p *puts) next(n *node) {
	p.last++
	switch status, answer, err := p.put(n, p.last); {
	case err != nil:
		p.wrong = append(p.wrong, fmt.Sprintf("%s %d on %s was not answered: %v", p.what, p.last, n.name, err))
	case status/100 == 2:
		p.done, p.open = p.last, nil
	case status == http.StatusServiceUnavailable || status == http.StatusConflict:
		p.refused++
		p.open = append(p.open, p.last)
	default:
		p.wrong = append(p.wrong, fmt.Sprintf("%s %d on %s: %d %s", p.what, p.last, n.name, status, answer))
	}
}

// inForce waits until every node goes by one and the same change, that which was last answered with success or one that was refused later,
// and by no other.
func (p *puts) inForce(t *testing.T, nodes []*node) {
	t.Helper()
	seen := map[string][]int{}
	until(t, fmt.Sprintf("one %s on all nodes, %d or refused %v", p.what, p.done, p.open), func() bool {
		clear(seen)
		for _, n := range nodes {
			for number := range p.last + 1 {
				in, err := p.asks(n, number)
				if err != nil {
					t.Fatal(err)
				}
				if in {
					seen[n.name] = append(seen[n.name], number)
				}
			}
		}
		return oneInForce(seen, len(nodes), p.done, p.open)
	})
	p.done, p.open = seen[nodes[0].name][0], nil
	if len(p.wrong) > 0 {
		t.Error(few(p.wrong))
	}
}

// oneInForce says whether all nodes go by one and the same change: done, or one of the open ones.
func oneInForce(seen map[string][]int, nodes, done int, open []int) bool {
	var first []int
	for _, s := range seen {
		if first == nil {
			first = s
		}
		if len(s) != 1 || s[0] != first[0] || s[0] != done && !slices.Contains(open, s[0]) {
			return false
		}
	}
	return len(seen) == nodes
}

func TestOneInForce(t *testing.T) {
	for _, c := range []struct {
		seen map[string][]int
		want bool
	}{
		{map[string][]int{"a": {3}, "b": {3}}, true},
		{map[string][]int{"a": {5}, "b": {5}}, true},
		{map[string][]int{"a": {4}, "b": {4}}, false}, // done before 3, or never sent
		{map[string][]int{"a": {3}, "b": {5}}, false},
		{map[string][]int{"a": {3, 5}, "b": {3, 5}}, false}, // half of one and half of another
		{map[string][]int{"a": {3}}, false},
		{map[string][]int{}, false},
	} {
		if got := oneInForce(c.seen, 2, 3, []int{5, 6}); got != c.want {
			t.Errorf("%v: %t", c.seen, got)
		}
	}
}

// policyPuts put policies that differ in one campaign.
func policyPuts() *puts {
	name := func(number int) string { return fmt.Sprintf("extra-%d", number) }
	return &puts{
		what: "policy",
		put: func(n *node, number int) (int, string, error) {
			return n.doPatiently(http.MethodPut, "/v1/policy", "application/yaml", suitePolicy("  "+name(number)+": {advertiser: extra}\n"))
		},
		asks: func(n *node, number int) (bool, error) {
			d, err := n.decide("u", fmt.Sprintf(`{"campaign":%q}`, name(number)), "")
			return err == nil && d.Decisions[0].Show, err
		},
	}
}

// listPuts replace the list.
func listPuts() *puts {
	return &puts{
		what: "list",
		put: func(n *node, number int) (int, string, error) {
			return n.doPatiently(http.MethodPut, "/v1/lists/"+memberList+"?id=user.id", "text/plain", listOf(number))
		},
		asks: func(n *node, number int) (bool, error) {
			r, err := n.readListed(fmt.Sprintf("wave-%d", number))
			return err == nil && !r.verdicts[listedCampaign].show, err
		},
	}
}

// adds are members added to a list, each for itself.
type adds struct {
	outcomes []outcome // by member
	wrong    []string
}

func added(i int) string { return fmt.Sprintf("added-%d", i) }

// next adds a member on a node and notes what came of it.
func (a *adds) next(n *node) {
	status, answer, err := n.doPatiently(http.MethodPost, "/v1/lists/"+addedList+"/add?id=user.id", "text/plain", added(len(a.outcomes))+"\n")
	o := unknown // NATS may have taken it and not said so
	switch {
	case err != nil:
		a.wrong = append(a.wrong, fmt.Sprintf("add %d on %s was not answered: %v", len(a.outcomes), n.name, err))
	case status/100 == 2:
		o = acknowledged
	case status != http.StatusServiceUnavailable && status != http.StatusConflict:
		a.wrong = append(a.wrong, fmt.Sprintf("add %d on %s: %d %s", len(a.outcomes), n.name, status, answer))
	}
	a.outcomes = append(a.outcomes, o)
}

// inForce waits until every node has all that were acknowledged, of the others the same as the first, and nobody who was never sent.
func (a *adds) inForce(t *testing.T, nodes []*node) {
	t.Helper()
	wrong := ""
	for end := time.Now().Add(patience); ; pause() {
		if wrong = a.differs(t, nodes); wrong == "" || time.Now().After(end) {
			break
		}
	}
	if wrong != "" {
		a.wrong = append(a.wrong, wrong)
	}
	if len(a.wrong) > 0 {
		t.Error(few(a.wrong))
	}
}

// differs is the first member of whom a node says something else than it must.
func (a *adds) differs(t *testing.T, nodes []*node) string {
	t.Helper()
	for i := range len(a.outcomes) + 1 {
		var first bool
		for k, n := range nodes {
			d, err := n.decide(added(i), fmt.Sprintf(`{"campaign":%q}`, addedCampaign), "")
			if err != nil || len(d.Decisions) != 1 {
				t.Fatalf("%+v %v", d, err)
			}
			in := d.Decisions[0].Reason == "suppressed"
			if k == 0 {
				first = in
			}
			sent := i < len(a.outcomes)
			if in != first || !sent && in || sent && a.outcomes[i] == acknowledged && !in {
				return fmt.Sprintf("%s is a member on %s: %t, on %s: %t; sent %t", added(i), n.name, in, nodes[0].name, first, sent)
			}
		}
	}
	return ""
}

// Policies and lists are put while the server that leads what they are kept in is killed: each is live on all nodes or refused, never half,
// and no member of the list gets through.
func TestPutsDuringLeaderChange(t *testing.T) {
	c := newClusterOf(t, clusterOptions{servers: 3})
	all, members := []*puts{policyPuts(), listPuts()}, &adds{}
	for _, p := range all {
		p.next(c.nodes[0])
		p.inForce(t, c.nodes)
	}
	watched := newPusher(t, c.nodes, c.random)
	for _, n := range c.nodes {
		watched.watch(n, c.random.Uint64())
	}
	streams := c.random.Perm(3)
	for round := range rounds(1, 30) {
		stream := []string{keysStream, objectsStream, refusalsStream}[streams[round%3]]
		c.during(t, func() {
			var putting sync.WaitGroup
			stop := make(chan struct{})
			for i, next := range []func(*node){all[0].next, all[1].next, members.next} {
				random := rand.New(rand.NewPCG(*seedFlag, uint64(10*round+i)))
				putting.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(20 * time.Millisecond): // people do it
							next(c.nodes[random.IntN(3)])
						}
					}
				})
			}
			defer func() {
				close(stop)
				putting.Wait()
			}()
			<-anyTime(c.random, 200*time.Millisecond)
			c.withoutLeader(t, stream, func() {})
		})
		for _, p := range all {
			p.inForce(t, c.nodes)
			p.next(c.nodes[c.random.IntN(3)])
			if p.done != p.last {
				t.Errorf("%s %d is refused when all is well", p.what, p.last)
			}
			p.inForce(t, c.nodes)
		}
		members.inForce(t, c.nodes)
		c.verify(t)
		c.awaitCopies(t)
	}
	watched.halt()
	if len(watched.wrong) > 0 || watched.asked < 100 {
		t.Errorf("%d questions about members: %s", watched.asked, few(watched.wrong))
	}
	said := []string{fmt.Sprintf("%d members added", len(members.outcomes))}
	for _, p := range all {
		said = append(said, fmt.Sprintf("%d of %s, %d refused", p.last, p.what, p.refused))
	}
	t.Log(strings.Join(said, "; "))
	c.summary(t)
}
