package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// annoying is a campaign that people complain about. It is lowered at 8 of 40 showings, and paused at 24.
const (
	annoying       = "annoying"
	annoyingPeople = 40
	dialExtra      = "  annoying: {advertiser: annoys, caps: [{per: campaign, limit: 9, within: 24h}]}\n" +
		"dial_back: {window: 24h, min_shown: 40, min_people: 5, hides_per_10k: 2000, factor: 0.5, pause_at: 6000}\n"
)

// review is what a node says of how a campaign stands.
type review struct {
	Level       string
	InForce     bool `json:"in_force"`
	DialledBack *struct {
		Since                   int64
		Policy                  int
		Shown, Weighing, People int
		Node                    string
	} `json:"dialled_back"`
	Released *struct {
		At        int64
		Why, Node string
	}
	Window struct {
		Reports                 map[string]int
		Weighing, People, Shown int
	}
}

func (n *node) review(t testing.TB) (r review) {
	t.Helper()
	status, answer, err := n.do(http.MethodGet, "/v1/campaigns/"+annoying+"/review", "", "")
	if err == nil {
		err = json.Unmarshal([]byte(answer), &r)
	}
	if err != nil || status != http.StatusOK {
		t.Fatalf("review on %s: %d %s %v", n.name, status, answer, err)
	}
	return r
}

// stands is what all nodes have to say alike: what holds, since when and by which numbers, who released it, and what weighs.
func (r *review) stands() string {
	b, err := json.Marshal([]any{r.Level, r.DialledBack, r.Released, r.Window.Reports, r.Window.Weighing, r.Window.People})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// checkStanding: all nodes say the level, and the same of it. (Convergence, as checkAgreement has it.)
func checkStanding(said map[string]review, level string) (wrong []string) {
	first, of := "", ""
	for name, r := range said {
		if r.Level != level || (level != "none") != (r.DialledBack != nil) {
			wrong = append(wrong, fmt.Sprintf("node %s says %s by %+v, want %s", name, r.Level, r.DialledBack, level))
		}
		if stands := r.stands(); first == "" {
			first, of = stands, name
		} else if stands != first {
			wrong = append(wrong, fmt.Sprintf("node %s says %s\n  node %s says %s", name, stands, of, first))
		}
	}
	return wrong
}

// Each thing that can be wrong is found.
func TestCheckStanding(t *testing.T) {
	at := func(change func(*review)) review {
		r := review{Level: "lowered"}
		r.DialledBack = &struct {
			Since                   int64
			Policy                  int
			Shown, Weighing, People int
			Node                    string
		}{Since: 7, Weighing: 8}
		r.Window.Reports = map[string]int{"hide": 3}
		change(&r)
		return r
	}
	good := at(func(*review) {})
	if wrong := checkStanding(map[string]review{"a": good, "b": at(func(r *review) { r.Window.Shown = 9 })}, "lowered"); len(wrong) > 0 {
		t.Errorf("%v", wrong)
	}
	for what, change := range map[string]func(*review){
		"another level":    func(r *review) { r.Level = "paused" },
		"no numbers":       func(r *review) { r.DialledBack = nil },
		"another second":   func(r *review) { r.DialledBack.Since = 8 },
		"other numbers":    func(r *review) { r.DialledBack.Weighing = 9 },
		"counted twice":    func(r *review) { r.Window.Reports = map[string]int{"hide": 4} },
		"more that weighs": func(r *review) { r.Window.Weighing++ },
		"more people":      func(r *review) { r.Window.People++ },
	} {
		if wrong := checkStanding(map[string]review{"a": good, "b": at(change)}, "lowered"); len(wrong) == 0 {
			t.Errorf("%s is not found", what)
		}
	}
	if reflect.DeepEqual(good, review{}) {
		t.Error("nothing is compared")
	}
}

// agree waits until all nodes say the level, and the same of it.
func (c *cluster) agree(t *testing.T, level string) (r review) {
	t.Helper()
	var wrong []string
	for end := time.Now().Add(patience); ; pause() {
		said := map[string]review{}
		for _, n := range c.nodes {
			r = n.review(t)
			said[n.name] = r
		}
		if wrong = checkStanding(said, level); len(wrong) == 0 {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("%s", few(wrong))
		}
	}
}

// newAnnoyed starts a cluster in which the campaign was shown once to each of the people, as all nodes know.
func newAnnoyed(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	text := suitePolicy(dialExtra)
	c.nodes[0].mustPut(t, "/v1/policy", "application/yaml", text)
	until(t, "the policy on all nodes", func() bool {
		for _, n := range c.nodes {
			if _, answer, err := n.do(http.MethodGet, "/v1/policy", "", ""); err != nil || answer != text {
				return false
			}
		}
		return true
	})
	for i := range annoyingPeople {
		body := fmt.Sprintf(`{"type":"impression","id":"shown-%d","user":{"id":"annoyed-%d"},"campaign":%q}`, i, i, annoying)
		c.nodes[i%3].ask(t, "/v1/events", body, http.StatusAccepted)
	}
	until(t, "the showings known on all nodes", func() bool {
		for _, n := range c.nodes {
			if n.review(t).Window.Shown != annoyingPeople {
				return false
			}
			for i := range annoyingPeople {
				d, err := n.decide(fmt.Sprintf("annoyed-%d", i), fmt.Sprintf(`{"campaign":%q}`, annoying), "")
				if err != nil || len(d.Decisions) != 1 || d.Decisions[0].verdict().count != 1 {
					return false
				}
			}
		}
		return true
	})
	return c
}

// complain reports complaints of people from to one before to on each of the nodes, each with the same id everywhere.
func complain(t *testing.T, from, to int, nodes ...*node) {
	t.Helper()
	var lines []string
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf(`{"type":"complaint","id":"complaint-%d","user":{"id":"annoyed-%d"},"campaign":%q}`, i, i, annoying))
	}
	for _, n := range nodes {
		n.ask(t, "/v1/events", strings.Join(lines, "\n"), http.StatusAccepted)
	}
}

// want is what must weigh and be counted on all nodes.
func (r *review) want(t *testing.T, complaints int) {
	t.Helper()
	if w := &r.Window; w.Weighing != complaints || w.People != complaints || w.Reports["complaint"] != complaints {
		t.Errorf("%d people complained, each once for everybody: %+v", complaints, *w)
	}
}

// A node is cut off while people complain on both sides, some on both: neither side has enough, together they have. Then nodes are
// killed with -9, NATS loses its store, and the same is reported again.
func TestDialBackAfterFaults(t *testing.T) {
	c := newAnnoyed(t)
	i := c.random.IntN(3)
	cut, others := c.nodes[i], []*node{c.nodes[(i+1)%3], c.nodes[(i+2)%3]}
	c.during(t, func() {
		before := c.proxies[i].stats()
		c.proxies[i].cut()
		complain(t, 0, 6, cut)
		complain(t, 4, 10, others...)
		c.awaitMore(t, 300)
		if s := c.proxies[i].stats(); s.swallowed[toServer] == before.swallowed[toServer] {
			t.Errorf("the cut swallowed nothing: %+v", s)
		}
		for _, n := range c.nodes {
			if r := n.review(t); r.Level != "none" || r.Window.Weighing != 6 {
				t.Errorf("node %s, which knows of six: %s, %+v", n.name, r.Level, r.Window)
			}
		}
		c.heal()
	})
	r := c.agree(t, "lowered")
	r.want(t, 10)
	since := r.DialledBack.Since

	c.during(t, func() {
		for _, n := range c.nodes {
			n.kill(t)
			c.awaitMore(t, 50)
			n.start(t)
			complain(t, 0, 10, n) // again, to each
		}
	})
	if r = c.agree(t, "lowered"); r.DialledBack.Since != since {
		t.Errorf("lowered since %d, and after the kills since %d", since, r.DialledBack.Since)
	}
	r.want(t, 10)

	// 24 have complained once the last ones have, of whom the node that dies at once took some.
	c.during(t, func() {
		c.broker.kill(t)
		complain(t, 10, 18, cut)
		cut.kill(t)
		complain(t, 16, 24, others[0])
		if err := os.RemoveAll(c.broker.store()); err != nil {
			t.Fatal(err)
		}
		c.broker.start(t)
		cut.start(t)
		c.awaitMore(t, 100)
	})
	r = c.agree(t, "paused")
	r.want(t, 24)
	c.verify(t)
	c.summary(t)
}

// A human releases the campaign on one node while another, cut off from NATS, has it paused; healed, the release holds on all, nothing that was
// reported before counts again, and what is reported after does.
func TestReleaseAfterFaults(t *testing.T) {
	c := newAnnoyed(t)
	i := c.random.IntN(3)
	cut, releasing, other := c.nodes[i], c.nodes[(i+1)%3], c.nodes[(i+2)%3]
	complain(t, 0, 8, other)
	c.agree(t, "lowered")
	var at int64
	c.during(t, func() {
		before := c.proxies[i].stats()
		c.proxies[i].cut()
		complain(t, 8, 30, cut)
		until(t, "the node that is cut off pauses it by itself", func() bool { return cut.review(t).Level == "paused" })
		if r := releasing.review(t); r.Level != "lowered" {
			t.Errorf("node %s heard of it: %+v", releasing.name, r)
		}
		// Only what is reported after the second of the release counts, and a human is slower than that.
		second := time.Now().Unix()
		until(t, "the next second", func() bool { return time.Now().Unix() > second })
		answer := releasing.ask(t, "/v1/campaigns/"+annoying+"/release", "", http.StatusOK)
		var r review
		if err := json.Unmarshal([]byte(answer), &r); err != nil || r.Level != "none" || r.Released == nil {
			t.Fatalf("%s %v", answer, err)
		}
		at = r.Released.At
		c.awaitMore(t, 200)
		if s := c.proxies[i].stats(); s.swallowed[toServer] == before.swallowed[toServer] {
			t.Errorf("the cut swallowed nothing: %+v", s)
		}
		if r := cut.review(t); r.Level != "paused" || r.Released != nil {
			t.Errorf("the node that is cut off heard of the release: %+v", r)
		}
		c.heal()
	})
	r := c.agree(t, "none")
	if r.Released.At != at || r.Released.Node != releasing.name {
		t.Errorf("%+v", r.Released)
	}
	r.want(t, 0)
	// After a restart too, and when the old complaints come again.
	c.during(t, func() {
		cut.kill(t)
		complain(t, 0, 30, other)
		cut.start(t)
		complain(t, 0, 30, cut)
	})
	r = c.agree(t, "none")
	r.want(t, 0)
	c.verify(t)
	c.summary(t)
}
